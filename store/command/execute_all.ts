import { given, needDecider, needObject, needSignal, needString } from "../base/given.ts";
import { needStore } from "../check/query.ts";
import { commandLogOf } from "../command_log.ts";
import type { Event } from "../event.ts";
import type { EventStore } from "../store.ts";
import { inSpan } from "../telemetry/spans.ts";
import { checkCommand, ownCopy, ownOptions } from "./command_options.ts";
import { queuesOf } from "./command_queues.ts";
import { traceCommand } from "./command_trace.ts";
import type { Decider, Decision } from "./decider.ts";
import { type ExecuteAllOptions, type ExecutePart, JointCall } from "./joint_call.ts";
import type { ExecuteResult } from "./pending_command.ts";
import { checkSnapshots } from "./rehydrate.ts";

/** The results of {@linkcode executeAll}, in the order of its parts. */
export type ExecuteAllResults<Parts extends readonly unknown[]> = {
  -readonly [At in keyof Parts]: Parts[At] extends
    { readonly decider: Decider<infer State, infer _Command, infer E extends Event> }
    ? ExecuteResult<State, E>
    : ExecuteResult<unknown>;
};

/**
 * Runs commands on several actors together: all are decided on the actors' current states, and all
 * of their events are saved at once, or none. A part that leads to no event takes part as a guard:
 * its actor must still be at the version that it was decided on. Several parts may name one actor;
 * each is decided on the state that those before it leave behind, by the same `initialState` and `evolve`.
 *
 * Calls of one process that share an actor, and single commands on it, wait for each other instead
 * of conflicting.
 *
 * @param store The store of the events. A cluster's store takes only actors of its own shards.
 * @param parts The commands, at least one.
 * @throws Any error that `decide` or `evolve` of a part throws, untouched; nothing was saved.
 * @throws {VersionConflictError} Other writers were faster until the deadline; nothing was saved.
 * @throws {StoreUnavailableError} The store could not be reached in time; nothing was saved.
 * @throws {SaveOutcomeUnknownError} The store did not report in time whether the events are saved.
 * @throws {FencedError} A shard of the actors is another node's; nothing was saved.
 *
 * @example Move money from one account to another
 * ```ts
 * import { type Decider, type Event, executeAll, InMemoryEventStore } from "@flowmade-one/aether";
 *
 * type Moved = Event<"Moved", { amount: number }>;
 * const account: Decider<number, number, Moved> = {
 *   initialState: () => 0,
 *   evolve: (balance, { data }) => balance + data.amount,
 *   decide: (amount, balance) => {
 *     if (balance + amount < 0) throw new RangeError(`there is only ${balance}`);
 *     return { eventType: "Moved", data: { amount } };
 *   },
 * };
 *
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
 * await executeAll(store, [{ actorId: "account-1", decider: account, command: 100 }]);
 * const [from, to] = await executeAll(store, [
 *   { actorId: "account-1", decider: account, command: -30 },
 *   { actorId: "account-2", decider: account, command: 30 },
 * ]);
 * console.log(from.state, to.state); // 70 30
 * ```
 */
export async function executeAll<
  const Parts extends readonly {
    readonly actorId: string;
    readonly decider: {
      readonly initialState: () => unknown;
      // deno-lint-ignore no-explicit-any -- each decider has states and events of its own
      readonly evolve: (state: any, event: any) => unknown;
      // deno-lint-ignore no-explicit-any -- each decider has states and commands of its own
      readonly decide: (command: any, state: any) => Decision | Promise<Decision>;
    };
    readonly command: unknown;
  }[],
>(
  store: EventStore,
  parts: Parts,
  options: ExecuteAllOptions = {},
): Promise<ExecuteAllResults<Parts>> {
  const what = "execute the commands";
  needStore(store, what);
  needObject(options, what, "options");
  const own = ownOptions(options);
  const { signal, snapshots } = own;
  needSignal(signal, what);
  signal?.throwIfAborted();
  checkCommand(own, commandLogOf(store));
  if (!Array.isArray(parts)) {
    throw new TypeError(`Cannot ${what}: parts is ${given(parts)}, not an array`);
  }
  const all: readonly ExecutePart[] = [...parts];
  if (all.length === 0) throw new RangeError(`Cannot ${what}: there are none`);
  const rules = new Map<string, Pick<ExecutePart["decider"], "initialState" | "evolve">>();
  for (const [at, part] of all.entries()) {
    needObject(part, what, `part ${at}`);
    const { actorId, decider } = part;
    needString(actorId, what, `actorId of part ${at}`);
    needDecider(decider, what, `decider of part ${at}`);
    if (snapshots !== undefined) checkSnapshots(decider, snapshots);
    const { initialState, evolve } = rules.get(actorId) ?? decider;
    if (initialState !== decider.initialState || evolve !== decider.evolve) {
      throw new TypeError(
        `Cannot ${what}: part ${at} gives "${actorId}" another initialState or evolve than a part ` +
          "before it, and parts on one actor share one state; let them share the functions",
      );
    }
    rules.set(actorId, decider);
  }
  const commands = all.map((part) => ({ ...part, command: ownCopy(part.command) }));
  const trace = traceCommand("executeAll", [...rules.keys()], own);
  const call = new JointCall(store, commands, own, queuesOf(store), trace);
  return await inSpan(trace?.spanned, () => call.run()) as ExecuteAllResults<Parts>;
}
