import type { Context } from "@opentelemetry/api";
import { encodeToken } from "../base/token.ts";
import type { ActorEnd } from "../command_log.ts";
import type { CheckedEvent, PreparedEvent } from "../format/encode.ts";
import {
  COMMAND,
  COUNT,
  EXPECT,
  FENCE,
  ID,
  INDEX,
  NONE,
  OP,
  PREVIOUS,
  SCHEMA,
  SIZES,
  TYPE,
  VERSION,
  VERSIONS,
} from "../format/headers.ts";
import type { StreamSequence } from "../format/position.ts";
import { type Run, type SavePart, versionBehind } from "../format/runs.ts";
import { HeaderLines } from "../nats/header_lines.ts";
import type { Outgoing } from "../nats/publisher.ts";
import type { Head } from "../read/heads.ts";
import { GuardPlaces } from "./guards.ts";

/** One save on its way to the stream, or several that go together. */
export interface Save {
  /** Names the save in its messages; stable over its tries, so that it knows its own again. */
  readonly op: string;
  /** The events to store, in order. */
  readonly events: readonly PreparedEvent[];
  /** The same as it is divided among messages. */
  readonly runs: readonly Run[];
  /** The same by the commands that led to them; each has a position of its own. */
  readonly parts: readonly SavePart[];
  /** The actors that it writes, in the order of their first events. */
  readonly actors: readonly string[];
  /** Versions that actors must be at exactly, whether it writes them or not. */
  readonly expect: ReadonlyMap<string, number>;
  /** The exact ends of actors, receipts included, that the events were decided on. */
  readonly ends?: ReadonlyMap<string, ActorEnd> | undefined;
  /** When to give up, by the monotonic clock, in ms. */
  readonly deadline: number;
  /** Makes it give up sooner. */
  readonly signal?: AbortSignal | undefined;
  /** The trace context of the call, for those that are notified of it: it may end in another's. */
  readonly within?: Context | undefined;
  /** The stream sequence of the fence that an actor's events are saved under. */
  readonly fenceOf?: ((actorId: string) => StreamSequence) | undefined;
}

/** The facts about a save that its messages carry. */
export type SaveFacts = Pick<Save, "op" | "fenceOf">;

/** The heads that one try of a save is based on, of all actors that it writes or expects. */
export type ExpectedHeads = Pick<ReadonlyMap<string, Head>, "get">;

/** The sequence that a subject of another actor, or a fence, must be at. */
export interface Guard {
  readonly subject: string;
  readonly sequence: StreamSequence;
  /** The subject of a message that carries it if no event can. */
  readonly marker: string;
}

/** The actor and the version that errors of a save name. */
export function subjectOfSave(
  { events, runs }: Pick<Save, "events" | "runs">,
): Pick<CheckedEvent, "actorId" | "version"> {
  return events[0] ?? { actorId: runs[0]!.actorId, version: versionBehind(runs[0]!) };
}

const EMPTY = new Uint8Array();
const NO_GUARDS: readonly Guard[] = [];

/**
 * The messages of `save`, one for each run: the first of each actor carries the compare-and-set
 * on its subject; guards on actors that are not written ride on second messages of actors, where
 * nothing else is checked, else on markers behind the events.
 *
 * @param subjectOf The exact subject of an actor.
 * @param markerOf The subject of a marker for an actor's guard.
 */
export function messagesOf(
  save: Save,
  expectedHeads: ExpectedHeads,
  subjectOf: (actorId: string) => string,
  markerOf: (actorId: string) => string,
): Outgoing[] {
  const guards = guardsOf(save, expectedHeads, subjectOf, markerOf);
  return assemble(save.runs, () => save, expectedHeads, guards, subjectOf);
}

/** The guards on the actors that `save` expects and does not write. */
function guardsOf(
  save: Save,
  expectedHeads: ExpectedHeads,
  subjectOf: (actorId: string) => string,
  markerOf: (actorId: string) => string,
): readonly Guard[] {
  if (save.expect.size === 0) return NO_GUARDS;
  return [...save.expect.keys()]
    .filter((actorId) => !save.actors.includes(actorId))
    .map((actorId) => ({
      subject: subjectOf(actorId),
      sequence: expectedHeads.get(actorId)!.sequence,
      marker: markerOf(actorId),
    }));
}

/**
 * The messages of runs, in order, with all guards of the saves that they are of.
 *
 * @param saveOf The save of a run.
 */
export function assemble(
  runs: readonly Run[],
  saveOf: (run: Run) => SaveFacts,
  expectedHeads: ExpectedHeads,
  guards: readonly Guard[],
  subjectOf: (actorId: string) => string,
): Outgoing[] {
  const messages: Outgoing[] = [];
  const places = new GuardPlaces(guards.length);
  const isBatch = runs.length > 1;
  const previous = isBatch ? new Map<string, number>() : undefined;
  const ops = isBatch ? opsOf(runs, saveOf) : undefined;
  let carried = 0;
  for (const [at, run] of runs.entries()) {
    const { actorId } = run;
    const before = previous?.get(actorId);
    const head = expectedHeads.get(actorId)!;
    const { op, fenceOf } = saveOf(run);
    const facts = { op: ops?.[at] ?? op, fenceOf };
    const headers = headersOf(facts, run, before ?? head.version);
    if (before === undefined) {
      expectSequence(headers, head.sequence);
    } else {
      const guard = guards[carried++];
      if (guard !== undefined) addGuard(headers, guard, places);
    }
    previous?.set(actorId, versionBehind(run));
    messages.push({ subject: subjectOf(actorId), headers, body: bodyOf(run) });
  }
  for (const guard of guards.slice(carried)) {
    const headers = new HeaderLines();
    if (runs.length > 0) headers.add(OP, saveOf(runs[0]!).op);
    addGuard(headers, guard, places);
    messages.push({ subject: guard.marker, headers, body: EMPTY });
  }
  return messages;
}

/**
 * The op of each run's message. The runs of one commit share an op. The runs of a group hold
 * different commits, and these are named by their place in the message, so each run that begins
 * with another commit gets an op of its own.
 */
function opsOf(runs: readonly Run[], saveOf: (run: Run) => SaveFacts): string[] {
  const begun = new Map<string, number>();
  let current = "";
  return runs.map((run) => {
    if (run.index > 0) return current;
    const { op } = saveOf(run);
    const before = begun.get(op) ?? 0;
    begun.set(op, before + 1);
    return current = before === 0 ? op : `${op}-${before}`;
  });
}

function headersOf({ op, fenceOf }: SaveFacts, run: Run, previous: number): HeaderLines {
  const { actorId, events, saves, index } = run;
  const headers = new HeaderLines();
  headers.add(OP, op);
  if (events.length > 0) {
    headers.add(ID, listOf(events, ({ id }) => encodeToken(id)));
    headers.add(TYPE, listOf(events, ({ eventType }) => encodeToken(eventType)));
  }
  if (events.length > 1) addSizes(headers, events);
  headers.add(VERSION, versionBehind(run));
  headers.add(PREVIOUS, previous);
  headers.add(COUNT, listOf(saves, ({ count }) => count));
  if (index > 0) headers.add(INDEX, index);
  if (events.some(({ schema }) => schema > 1)) {
    headers.add(SCHEMA, listOf(events, ({ schema }) => schema));
  }
  if (saves.some(({ command }) => command !== undefined)) {
    const tokenOf = (command: string | undefined) =>
      command === undefined ? NONE : encodeToken(command);
    headers.add(COMMAND, listOf(saves, ({ command }) => tokenOf(command)));
  }
  if (fenceOf !== undefined) headers.add(FENCE, fenceOf(actorId));
  return headers;
}

function addSizes(headers: HeaderLines, events: readonly PreparedEvent[]): void {
  headers.add(SIZES, listOf(events, ({ body }) => body.length));
  if (events.at(-1)!.version - events[0]!.version >= events.length) {
    headers.add(VERSIONS, listOf(events, ({ version }) => version));
  }
}

/** The bodies of a run, one after the other. */
function bodyOf({ events, receipt }: Run): Uint8Array {
  if (receipt !== undefined) return receipt.body;
  if (events.length === 1) return events[0]!.body;
  const whole = new Uint8Array(events.reduce((sum, { body }) => sum + body.length, 0));
  let at = 0;
  for (const { body } of events) {
    whole.set(body, at);
    at += body.length;
  }
  return whole;
}

function listOf<T>(items: readonly T[], valueOf: (item: T) => string | number): string | number {
  if (items.length === 1) return valueOf(items[0]!);
  let list = "";
  for (const item of items) list += list === "" ? valueOf(item) : ` ${valueOf(item)}`;
  return list;
}

/** The server takes an odd value for no check at all, so none is ever sent. */
function expectSequence(headers: HeaderLines, sequence: StreamSequence): void {
  if (!Number.isSafeInteger(sequence) || sequence < 0) {
    throw new TypeError(`Cannot expect sequence ${sequence}: it is not a safe integer`);
  }
  headers.add(EXPECT, sequence);
}

function addGuard(headers: HeaderLines, { sequence, subject }: Guard, places: GuardPlaces): void {
  expectSequence(headers, sequence);
  places.add(headers, subject);
}
