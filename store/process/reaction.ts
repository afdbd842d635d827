import type { EventDraft } from "../append.ts";
import { freshCopy } from "../base/fresh.ts";
import { refusePromise } from "../base/hook.ts";
import { textOf } from "../base/text.ts";
import type { Event } from "../event.ts";
import { timestampProblem } from "../format/decode.ts";
import { isLedgerType } from "../ledger_type.ts";
import { checkKey, checkTargetIn, objectIn, withKeys } from "./outgoing.ts";
import type { ProcessCommand, ProcessEffectCall, ProcessReaction } from "./process.ts";

/**
 * The reaction that `react` gave, read once: its content changes no more.
 *
 * @throws {TypeError} It is no reaction; or `checkTarget` throws for a command or a call.
 * @throws {RangeError} A command has no legal target.
 */
export function readReaction<Fact extends Event>(
  given: unknown,
  checkTarget: (target: ProcessCommand | ProcessEffectCall) => void,
): Required<ProcessReaction<Fact>> {
  refusePromise(given, "react()");
  const {
    facts = [],
    commands = [],
    together = false,
    effects = [],
    deadlines = {},
    done = false,
  }: ProcessReaction<Fact> = objectIn(given ?? {}, "a reaction");
  for (const [name, value] of Object.entries({ together, done })) {
    if (typeof value === "boolean") continue;
    throw new TypeError(`Cannot react: ${name} is ${textOf(value)}, neither true nor false`);
  }
  const reaction = {
    facts: [...facts].map(factIn) as readonly EventDraft[] as readonly EventDraft<Fact>[],
    commands: [...commands].map(commandIn),
    together,
    effects: [...effects].map(callIn),
    deadlines: { ...objectIn(deadlines, "deadlines") as Record<string, Date | null> },
    done,
  };
  reaction.commands.forEach(checkTarget);
  withKeys(reaction.commands);
  reaction.effects.forEach(checkTarget);
  withKeys(asTargets(reaction.effects));
  for (const [name, at] of Object.entries(reaction.deadlines)) {
    const problem = at === null ? undefined : timestampProblem(at);
    if (problem !== undefined) throw new TypeError(`Cannot set deadline "${name}": ${problem}`);
  }
  return reaction;
}

/** Calls of effects as what keys are given to. */
export function asTargets(
  effects: readonly ProcessEffectCall[],
): { readonly actorId: string; readonly key?: string; readonly call: ProcessEffectCall }[] {
  return effects.map((call) => {
    const { name: actorId, key } = call;
    return { actorId, ...(key !== undefined && { key }), call };
  });
}

function factIn(fact: unknown): EventDraft {
  const { id, eventType, data, metadata } = objectIn(fact, "a fact") as Partial<EventDraft>;
  if (isLedgerType(eventType!)) {
    throw new TypeError(`Cannot take the fact: "${eventType}" is a name of the library's own`);
  }
  return {
    ...{ eventType: eventType!, data },
    ...(id !== undefined && { id }),
    ...(metadata !== undefined && { metadata: { ...metadata } }),
  };
}

function commandIn(given: unknown): ProcessCommand {
  const { actorId, command, key } = objectIn(given, "a command") as Partial<ProcessCommand>;
  checkTargetIn(actorId, key);
  return { actorId: actorId!, command: freshCopy(command), ...(key !== undefined && { key }) };
}

function callIn(given: unknown): ProcessEffectCall {
  const { name, input, key } = objectIn(given, "a call of an effect") as Partial<ProcessEffectCall>;
  checkKey(key);
  return { name: name!, input: freshCopy(input), ...(key !== undefined && { key }) };
}
