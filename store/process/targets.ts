import { categoryOf } from "../actor.ts";
import { asGiven } from "../base/given.ts";
import type { AnyDecider } from "../command/pending_command.ts";
import type { Effect } from "./effect.ts";
import type { OutgoingDecider, SendCommand } from "./outgoing.ts";
import type { ProcessCommand, ProcessEffectCall } from "./process.ts";

/** Where commands and effects of processes go. */
export interface Targets {
  readonly deciders?: Readonly<Record<string, OutgoingDecider>>;
  readonly send?: SendCommand;
  readonly effects?: readonly Effect[];
}

/** The targets of a manager as they are at the call; see {@linkcode asGiven}. */
export function targetsAsGiven(targets: Targets): Targets {
  const { deciders, effects } = targets;
  const send = targets.send?.bind(targets); // It may be a method of the options' class.
  return {
    ...(deciders && { deciders: asGiven(deciders) }),
    ...(send && { send }),
    ...(effects && { effects: asGiven(effects) }),
  };
}

/**
 * Proves that a command or an effect can go somewhere.
 *
 * @throws {TypeError} It cannot.
 */
export function checkTarget(
  targets: Targets,
  target: Pick<ProcessCommand, "actorId"> | ProcessEffectCall,
): void {
  if ("name" in target) {
    const { name } = target;
    if (targets.effects?.some((effect) => effect.name === name)) return;
    throw new TypeError(`Cannot call effect "${name}": the manager has none of that name`);
  }
  const { actorId } = target;
  if (deciderOf(targets, actorId) !== undefined || targets.send !== undefined) return;
  throw new TypeError(
    `Cannot issue a command to "${actorId}": its category has no decider, and there is no send`,
  );
}

/** The rules by which commands to an actor are executed on the store, if there are any. */
export function deciderOf({ deciders = {} }: Targets, target: string): AnyDecider | undefined {
  const category = categoryOf(target);
  return Object.hasOwn(deciders, category) ? deciders[category] as AnyDecider : undefined;
}

/**
 * Proves that commands can be decided together with an input of the process `own`.
 *
 * @throws {TypeError} One of them cannot.
 */
export function checkTogether(
  targets: Targets,
  own: string,
  commands: readonly ProcessCommand[],
): void {
  for (const { actorId } of commands) {
    const reason = actorId === own
      ? "it is the process's own history"
      : deciderOf(targets, actorId) === undefined
      ? "its category has no decider"
      : undefined;
    if (reason !== undefined) {
      throw new TypeError(`Cannot decide a command on "${actorId}" together: ${reason}`);
    }
  }
}
