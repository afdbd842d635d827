import { executeAll, type ExecutePart } from "../command/execute_all.ts";
import type { ExecuteOptions } from "../command/pending_command.ts";
import { failureOf } from "../command/recorded_outcome.ts";
import { isAetherError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { EventStore } from "../store.ts";
import { Given, refusing } from "./dispatch.ts";
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
  readonly options: Pick<ExecuteOptions, "commandId" | "cause" | "metadata" | "signal">;
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
