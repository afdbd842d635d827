import { ActorQueue } from "./actor_queue.ts";
import type { Decider } from "./decider.ts";
import { GroupPolicy } from "./group_policy.ts";
import {
  type AnyDecider,
  type ExecuteOptions,
  type ExecuteResult,
  PendingCommand,
} from "./pending_command.ts";
import { policyOf } from "./rehydrate.ts";
import { StateCache } from "./state_cache.ts";
import type { Event } from "../event.ts";
import type { EventStore } from "../store.ts";
import { cacheOwnerOf } from "../store_view.ts";

/** Actors whose states are kept, for each store. */
const KEPT_STATES = 1000;

/** What commands on one store share. */
interface Desk {
  /** Only those of actors with commands under way. */
  readonly lanes: Map<string, ActorQueue>;
  readonly states: StateCache;
  readonly pace: GroupPolicy;
}

const desks = new WeakMap<EventStore, Desk>();

/**
 * Runs one command on one actor: loads its state, lets the decider decide, and saves all events
 * of the decision at once if nobody else has written to the actor since; else it loads what is
 * new and decides again, until the deadline.
 *
 * Commands of one process on one actor (through the same store) wait for each other instead of
 * conflicting; where many wait, they are decided one after the other and saved together. Between
 * processes the store decides. A command is decided as often as it takes and saved once: a
 * decider that has effects of its own has them each time.
 *
 * @param store Where the events are.
 * @param actorId Whose command it is.
 * @param decider The rules.
 * @param command What is asked of the actor.
 * @throws Whatever `decide` or `evolve` throws, untouched; it was the actor's present state that
 * was refused, and nothing was saved.
 * @throws {VersionConflictError} Others were faster until the deadline; nothing was saved.
 * @throws {StoreUnavailableError} The store could not be reached, or the command's turn did not
 * come before the deadline; nothing was saved.
 * @throws {SaveOutcomeUnknownError} The store did not tell before the deadline whether the
 * events are saved; `settle()` asks again.
 * @throws {StreamRegressedError} The store has lost events that were seen before.
 *
 * @example Withdraw no more than there is, however many try at once
 * ```ts
 * import { type Decider, type Event, execute, InMemoryEventStore } from "@flowmade-one/aether";
 *
 * type AccountEvent = Event<"Deposited", { amount: number }> | Event<"Withdrawn", { amount: number }>;
 * type AccountCommand = { type: "deposit" | "withdraw"; amount: number };
 *
 * const account: Decider<number, AccountCommand, AccountEvent> = {
 *   initialState: () => 0,
 *   evolve: (balance, { eventType, data }) =>
 *     eventType === "Deposited" ? balance + data.amount : balance - data.amount,
 *   decide: ({ type, amount }, balance) => {
 *     if (type === "deposit") return { eventType: "Deposited", data: { amount } };
 *     if (amount > balance) throw new RangeError(`Cannot withdraw ${amount}: there is ${balance}`);
 *     return { eventType: "Withdrawn", data: { amount } };
 *   },
 * };
 *
 * await using store = new InMemoryEventStore();
 * await execute(store, "account-1", account, { type: "deposit", amount: 100 });
 * const withdrawals = Array.from(
 *   { length: 20 },
 *   () => execute(store, "account-1", account, { type: "withdraw", amount: 10 }),
 * );
 * const outcomes = await Promise.allSettled(withdrawals);
 * console.log(outcomes.filter(({ status }) => status === "fulfilled").length); // 10
 * ```
 */
export async function execute<State, Command, E extends Event = Event>(
  store: EventStore,
  actorId: string,
  decider: Decider<State, Command, E>,
  command: NoInfer<Command>,
  options: ExecuteOptions = {},
): Promise<ExecuteResult<State, E>> {
  const { timeout = 10_000, signal, snapshots } = options;
  signal?.throwIfAborted();
  if (!(timeout >= 1 && timeout < 2 ** 31)) {
    throw new RangeError(
      `Cannot execute the command: timeout is ${timeout}, not from 1 to ${2 ** 31 - 1}`,
    );
  }
  if (snapshots !== undefined) policyOf(snapshots);
  const rules = decider as unknown as AnyDecider;
  const job = new PendingCommand(actorId, rules, command, options, timeout);
  enqueue(deskOf(store), store, job);
  return await job.promise as ExecuteResult<State, E>;
}

/** Views of one store share the states; each has lanes of its own, for it saves in its own way. */
function deskOf(store: EventStore): Desk {
  let desk = desks.get(store);
  if (desk === undefined) {
    const origin = cacheOwnerOf(store);
    const { states, pace } = origin === store
      ? { states: new StateCache(KEPT_STATES), pace: new GroupPolicy() }
      : deskOf(origin);
    desk = { lanes: new Map(), states, pace };
    desks.set(store, desk);
  }
  return desk;
}

function enqueue({ lanes, states, pace }: Desk, store: EventStore, job: PendingCommand): void {
  const { actorId } = job;
  const lane = lanes.get(actorId);
  if (lane !== undefined) return lane.push(job);
  const opened = new ActorQueue(store, actorId, states, pace);
  opened.push(job);
  lanes.set(actorId, opened);
  opened.drain(() => lanes.delete(actorId));
}
