import { freshCopy } from "../base/fresh.ts";
import type { Decider } from "../command/decider.ts";
import { executeAll } from "../command/execute_all.ts";
import type { ExecutePart } from "../command/joint_call.ts";
import type { AnyDecider, InnerExecuteOptions } from "../command/pending_command.ts";
import { isPromise } from "../command/plan.ts";
import { failureOf, isRefusal } from "../command/recorded_outcome.ts";
import { isAetherError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { EventStore } from "../store.ts";
import { DecideTogether, type InputDecider, type Taking, type TogetherOutcome } from "./inputs.ts";
import { ProcessHeld, ReactionFailure } from "./ledger.ts";
import type { ProcessCommand } from "./process.ts";
import { deciderOf, type Targets } from "./targets.ts";

/** An input whose reaction issues commands together. */
export interface JointInput<State, Input extends Event> {
  readonly store: EventStore;
  readonly decider: InputDecider<State, Input>;
  readonly taking: Taking<Input>;
  readonly targets: Targets;
  readonly commands: readonly ProcessCommand[];
  readonly options: InnerExecuteOptions;
}

/**
 * Decides an input and the commands of its reaction in one call, and saves all in one commit. Gives
 * what is to be known for the next try, if nothing was saved: which command was refused, or nothing
 * if the reaction is another one by now.
 */
export async function takeTogether<State, Input extends Event>(
  { store, decider, taking, targets, commands, options }: JointInput<State, Input>,
): Promise<{ readonly isSaved: boolean; readonly outcome?: TogetherOutcome }> {
  const { together: _, ...input } = taking;
  const given = commands.map(({ command }) => new Given(command));
  const parts: ExecutePart[] = [
    {
      actorId: taking.actorId,
      decider,
      command: { ...input, together: { kind: "decided", commands } },
    },
    ...commands.map(({ actorId }, at) => ({
      ...{ actorId, decider: refusing(deciderOf(targets, actorId)!), command: given[at]! },
    })),
  ] as ExecutePart[];
  try {
    await executeAll(store, parts, options);
    return { isSaved: true };
  } catch (error) {
    if (error instanceof DecideTogether) return { isSaved: false };
    const at = given.findIndex((it) => it.isRefusedBy(error));
    if (at >= 0) {
      const failure = failureOf(error);
      return { isSaved: false, outcome: { kind: "refused", commands, at, failure } };
    }
    if (isOfStore(error, options.signal)) throw error;
    throw new ReactionFailure(error); // The rules of a target threw, such as `evolve`.
  }
}

/** Whether it is no failure of a target's rules. */
function isOfStore(error: unknown, signal: AbortSignal | undefined): boolean {
  return isAetherError(error) || error instanceof ReactionFailure ||
    error instanceof ProcessHeld || signal?.aborted === true;
}

/**
 * A command, and how `decide` refused it. A class: `execute` hands copies of plain objects to
 * deciders, and what is noted has to reach the caller.
 */
class Given {
  readonly command: unknown;
  #refusal: { readonly error: unknown } | undefined;

  /** Not decided yet. */
  constructor(command: unknown) {
    this.command = command;
  }

  /** Notes that it is decided, again perhaps: so far it is not refused. */
  begin(): void {
    this.#refusal = undefined;
  }

  /** Notes what `decide` threw; throws it. */
  refuse(error: unknown): never {
    if (isRefusal(error)) this.#refusal = { error };
    throw error;
  }

  /** Whether it is `decide` that has thrown `error`. */
  isRefusedBy(error: unknown): boolean {
    return this.#refusal !== undefined && Object.is(this.#refusal.error, error);
  }
}

const refusingOnes = new WeakMap<AnyDecider, Decider<unknown, Given>>();

/** The same rules; what `decide` throws is noted, so that it is not taken for an outage. */
function refusing(decider: AnyDecider): Decider<unknown, Given> {
  const known = refusingOnes.get(decider);
  if (known !== undefined) return known;
  const made: Decider<unknown, Given> = {
    initialState: () => decider.initialState(),
    evolve: (state, event) => decider.evolve(state, event),
    decide: (given, state) => {
      given.begin();
      try {
        const decision = decider.decide(freshCopy(given.command), state);
        return isPromise(decision)
          ? Promise.resolve(decision).catch((error) => given.refuse(error))
          : decision;
      } catch (error) {
        return given.refuse(error);
      }
    },
  };
  refusingOnes.set(decider, made);
  return made;
}
