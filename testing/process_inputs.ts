import { freshCopy } from "../store/base/fresh.ts";
import { given as shown, needObject } from "../store/base/given.ts";
import type { EventDraft } from "../store/append.ts";
import { createEvent, type Event, type RecordedEvent } from "../store/event.ts";
import type {
  ProcessCommand,
  ProcessDeadline,
  ProcessEffect,
  ProcessEffectCall,
  ProcessInput,
  ProcessReaction,
  ProcessReply,
} from "../store/process/process.ts";
import { frozen, plain } from "./plain.ts";
import type { SpecEvent } from "./spec_draft.ts";

/**
 * An input as a spec writes it: fields that are left out get values that say nothing. A reply, the
 * end of an effect and a deadline have to be of a command, a call and a deadline that the inputs
 * before have led to: they get its actor, key and time.
 */
export type ProcessSpecInput<Input extends Event = Event> =
  | (SpecEvent<Input> & { readonly kind?: never })
  | (Pick<ProcessReply, "kind"> & Partial<ProcessReply>)
  | (Pick<ProcessDeadline, "kind" | "name"> & Partial<ProcessDeadline>)
  | (Pick<ProcessEffect, "kind" | "name" | "outcome"> & Partial<ProcessEffect>);

/** All that a process waits for: only of that come inputs that are no events. */
export interface ProcessWaits {
  /** Issued, without a reply so far. */
  readonly commands: readonly ProcessCommand[];
  /** Called, and not ended. */
  readonly effects: readonly ProcessEffectCall[];
  /** Set, and not come. */
  readonly deadlines: ReadonlyMap<string, Date>;
  /** Commands that were decided with the last input: one of them may still turn out to be refused. */
  readonly together: readonly ProcessCommand[];
}

/** The waits of a process that has taken nothing. */
export const NO_WAITS: ProcessWaits = {
  ...{ commands: [], effects: [], deadlines: new Map(), together: [] },
};

/** A whole input, and what the process waits for once it is taken. */
export interface WholeInput<Input extends Event> {
  readonly input: ProcessInput<Input>;
  readonly waits: ProcessWaits;
  /** Whether it says that the last reaction was refused: nothing of that is stored. */
  readonly isRefusal: boolean;
}

/**
 * A whole input, as a manager would give it.
 *
 * @param at Its place among the inputs, from 1.
 * @param now When it comes, in ms.
 * @throws {Error} No manager would give it to a process that waits for `before`.
 */
export function wholeInput<Input extends Event>(
  draft: ProcessSpecInput<Input>,
  before: ProcessWaits,
  at: number,
  now: number,
): WholeInput<Input> {
  needObject(draft, "test the process", `input ${at}`);
  const waits = { ...before, together: [] };
  switch (draft.kind) {
    case undefined:
      return { input: wholeEvent<Input>(draft, at, now), waits, isRefusal: false };
    case "reply":
      return wholeReply(draft, before, at);
    case "deadline":
      return { ...wholeDeadline(draft, waits, at), isRefusal: false };
    case "effect":
      return { ...wholeEffect(draft, waits, at), isRefusal: false };
    default:
      throw new Error(
        `Cannot give input ${at}: its kind is ${shown((draft as { kind: unknown }).kind)}; ` +
          "give a reply, a deadline, an effect, or an event without kind",
      );
  }
}

/** The waits after a reaction to an input that left `before`. */
export function waitsAfter<Fact extends Event>(
  before: ProcessWaits,
  { commands, together, effects, deadlines, done }: Required<ProcessReaction<Fact>>,
): ProcessWaits {
  const set = new Map(before.deadlines);
  for (const [name, at] of Object.entries(deadlines)) {
    if (at === null) set.delete(name);
    else set.set(name, new Date(at));
  }
  return {
    commands: together ? before.commands : [...before.commands, ...commands],
    effects: [...before.effects, ...effects],
    deadlines: done ? new Map() : set, // An end clears all.
    together: together ? commands : [],
  };
}

/** An event of a spec as it would be stored. */
export function eventOf(
  { id, eventType, data, metadata }: EventDraft,
  actorId: string,
  version: number,
  timestamp: Date | number,
): Event {
  const event = createEvent({
    ...{ eventType, actorId, version, data: frozen(plain(data)) },
    ...(metadata !== undefined && { metadata: { ...metadata } }),
  });
  const own = { ...event, timestamp: new Date(timestamp), ...(id !== undefined && { id }) };
  return Object.freeze(own);
}

function wholeEvent<Input extends Event>(
  draft: SpecEvent<Input>,
  at: number,
  now: number,
): Input & RecordedEvent {
  const { actorId = "given", timestamp = now } = draft as Partial<Event>;
  const event = eventOf(draft as EventDraft, actorId, at, timestamp);
  const commit = { op: "given", index: 0, count: 1 };
  return frozen({ ...event, sequence: at, commit }) as unknown as Input & RecordedEvent;
}

function wholeReply<Input extends Event>(
  { commandId = "given", actorId, key, events = [], refused }: Partial<ProcessReply>,
  before: ProcessWaits,
  at: number,
): WholeInput<Input> {
  const of = [
    ...(actorId === undefined ? [] : [` of "${actorId}"`]),
    ...(key === undefined ? [] : [` under key "${key}"`]),
  ].join("");
  const doing = `Cannot give a reply${of} as input ${at}`;
  const isNamed = (command: ProcessCommand) => actorId === undefined || command.actorId === actorId;
  const find = (all: readonly ProcessCommand[]) =>
    theOne(all.filter(isNamed), key, nameOfCommand, doing, "actorId and key");
  let command = find(before.commands);
  const isRefusal = command === undefined && refused !== undefined;
  command ??= find(before.together);
  if (command === undefined) {
    throw new Error(
      `${doing}: ${listed(before.commands.map(nameOfCommand), "command waits for its reply")}; ` +
        "give the input first that leads to the command. The refusal of a command that was " +
        "decided together is the input right after",
    );
  }
  if (!isRefusal && !before.commands.includes(command)) {
    throw new Error(
      `${doing}: the command was decided together with input ${at - 1}, and a reply comes only ` +
        "if it is refused; say why in refused, or give no reply",
    );
  }
  if (refused !== undefined && events.length > 0) {
    throw new Error(`${doing}: it has events and is refused; leave out one of both`);
  }
  const reply: ProcessReply = {
    ...{ kind: "reply", commandId, actorId: command.actorId },
    ...(command.key !== undefined && { key: command.key }),
    events,
    ...(refused !== undefined && { refused }),
  };
  const commands = before.commands.filter((it) => it !== command);
  return {
    input: frozen(freshCopy(reply)),
    waits: { ...before, commands, together: [] },
    isRefusal,
  };
}

function wholeDeadline(
  { name, at: due }: Pick<ProcessDeadline, "name"> & Partial<ProcessDeadline>,
  before: ProcessWaits,
  at: number,
): Omit<WholeInput<never>, "isRefusal"> {
  const doing = `Cannot give deadline "${name}" as input ${at}`;
  const set = before.deadlines.get(name);
  if (set === undefined) {
    const names = [...before.deadlines.keys()].map((name) => `"${name}"`);
    throw new Error(
      `${doing}: ${listed(names, "deadline is set")}; give the input first that sets it`,
    );
  }
  if (due !== undefined && due.getTime() !== set.getTime()) {
    throw new Error(
      `${doing}: it is set for ${set.toISOString()}, not for ${shownDate(due)}; leave out at`,
    );
  }
  const deadlines = new Map(before.deadlines);
  deadlines.delete(name);
  return {
    input: frozen({ kind: "deadline", name, at: new Date(set) }),
    waits: { ...before, deadlines },
  };
}

function wholeEffect(
  { name, key, outcome, result, failure }: Pick<ProcessEffect, "name"> & Partial<ProcessEffect>,
  before: ProcessWaits,
  at: number,
): Omit<WholeInput<never>, "isRefusal"> {
  const under = key === undefined ? "" : ` under key "${key}"`;
  const doing = `Cannot give the end of effect "${name}"${under} as input ${at}`;
  const named = before.effects.filter((call) => call.name === name);
  const call = theOne(named, key, nameOfCall, doing, "key");
  if (call === undefined) {
    throw new Error(
      `${doing}: ${listed(before.effects.map(nameOfCall), "effect is called and has not ended")}` +
        "; give the input first that calls it",
    );
  }
  const wrong = outcome !== "done" && outcome !== "failed" && outcome !== "unknown"
    ? `its outcome is ${shown(outcome)}, not "done", "failed" or "unknown"`
    : outcome === "done" && failure !== undefined
    ? "it is done and has a failure; leave out one of both"
    : outcome !== "done" && (result ?? null) !== null
    ? "it has a result, and only one that is done has; leave it out"
    : undefined;
  if (wrong !== undefined) throw new Error(`${doing}: ${wrong}`);
  const why = failure ?? (outcome === "failed" ? { name: "Error", message: "given" } : undefined);
  const end: ProcessEffect = {
    ...{ kind: "effect", name, outcome: outcome!, result: result ?? null },
    ...(why !== undefined && { failure: why }),
    ...(call.key !== undefined && { key: call.key }),
  };
  const effects = before.effects.filter((it) => it !== call);
  return { input: frozen(freshCopy(end)), waits: { ...before, effects } };
}

/** The oldest of `all` with this key; without a key the one that has none, or the only one. */
function theOne<Item extends { readonly key?: string }>(
  all: readonly Item[],
  key: string | undefined,
  nameOf: (item: Item) => string,
  doing: string,
  fields: string,
): Item | undefined {
  const same = all.filter((item) => item.key === key);
  const found = same.length > 0 || key !== undefined ? same : all;
  const names = [...new Set(found.map(nameOf))];
  if (names.length > 1) {
    throw new Error(`${doing}: it may be of ${names.join(" or of ")}; say by ${fields} which`);
  }
  return found[0];
}

function nameOfCommand({ actorId, key }: ProcessCommand): string {
  return key === undefined ? `"${actorId}"` : `"${actorId}" under key "${key}"`;
}

function nameOfCall({ name, key }: ProcessEffectCall): string {
  return key === undefined ? `"${name}"` : `"${name}" under key "${key}"`;
}

/** What there is in place of what was looked for. */
function listed(names: readonly string[], what: string): string {
  return names.length === 0 ? `no ${what}` : `no such ${what}, only ${names.join(", ")}`;
}

function shownDate(date: Date): string {
  return Number.isNaN(date.getTime()) ? "an invalid date" : date.toISOString();
}
