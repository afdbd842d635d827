import { encodeToken } from "../base/token.ts";
import type { PreparedEvent } from "./encode.ts";
import { HEADER_ROOM, MAX_BODIES, MAX_HEADERS } from "./layout.ts";
import {
  asStreamSequence,
  MAX_RUN,
  messageSequenceOf,
  type Position,
  positionOf,
  type StreamSequence,
} from "./position.ts";

/** The events of one call, or of one command, in the call's order. */
export interface Member {
  readonly events: readonly PreparedEvent[];
  /** The command that led to them. */
  readonly command?: string | undefined;
  /** The outcome to store if there are no events. */
  readonly receipt?: Receipt | undefined;
}

/** Events that one command led to, or some of them, with a position of their own. */
export interface SavePart {
  /** How many they are. */
  readonly events: number;
  /** The command's id. */
  readonly command?: string | undefined;
  /** Whether they are of the same commit as the part before. @default {false} */
  readonly joins?: boolean;
}

/** The events of a save by the commits that they are. */
export function membersOf(
  parts: readonly SavePart[],
  events: readonly PreparedEvent[],
  receipt?: Receipt,
): readonly Member[] {
  if (parts.length === 1) return [{ events, command: parts[0]!.command, receipt }];
  const members: Member[] = [];
  let [start, end] = [0, 0];
  for (const [at, { events: count, command }] of parts.entries()) {
    end += count;
    if (parts[at + 1]?.joins === true) continue;
    members.push({ events: events.slice(start, end), command });
    start = end;
  }
  return members;
}

/** A save, as far as it is in one run. */
export interface RunSave {
  /** Its events in the run. */
  readonly events: number;
  /** Its events in all runs. */
  readonly count: number;
  readonly command: string | undefined;
}

/**
 * Events of one actor that one message holds: a part of one save, or several whole saves. A
 * message is stored as a whole, so each save in it is.
 */
export interface Run {
  readonly actorId: string;
  readonly events: readonly PreparedEvent[];
  /** The index in its save of the first event. */
  readonly index: number;
  readonly saves: readonly RunSave[];
  /** The content of a message without events. */
  readonly receipt?: Receipt;
}

/** The outcome of a command that led to no event. */
export interface Receipt {
  readonly actorId: string;
  /** The actor's version. */
  readonly version: number;
  /** The outcome, encoded. */
  readonly body: Uint8Array;
}

/** The version of an actor behind a run of it. */
export function versionBehind({ events, receipt }: Run): number {
  return receipt?.version ?? events.at(-1)!.version;
}

/** The size that the message of a run has at most. */
interface Size {
  readonly events: number;
  readonly headers: number;
  readonly bodies: number;
}

/** An event by the index of its run, and its own in there. */
export interface Place {
  readonly run: number;
  readonly index: number;
}

/** Saves that are divided into runs. */
export interface Division {
  readonly runs: readonly Run[];
  /** Where the first and the last event of each save are. */
  readonly places: readonly { readonly first: Place; readonly last: Place }[];
}

/** The first event of a save that goes alone. */
const START: Place = { run: 0, index: 0 };

/**
 * The positions of the `count` events from `place` on, in runs whose first message is at `first`.
 */
export function positionsFrom(
  place: Place,
  count: number,
  runs: readonly Run[],
  first: StreamSequence,
): readonly Position[] {
  const positions: Position[] = [];
  let { run, index } = place;
  while (positions.length < count) {
    for (; index === runs[run]!.events.length; index = 0) run++;
    positions.push(positionOf(asStreamSequence(first + run), index++));
  }
  return positions;
}

/** The positions of all events of runs, of which the last one is at `sequence`. */
export function positionsOf(runs: readonly Run[], sequence: number): readonly Position[] {
  const first = asStreamSequence(messageSequenceOf(sequence) - runs.length + 1);
  const count = runs.reduce((sum, { events }) => sum + events.length, 0);
  return positionsFrom(START, count, runs, first);
}

/** The position of the last event of each part from `place` on; of a receipt, its own. */
export function endsOf(
  parts: readonly SavePart[],
  runs: readonly Run[],
  first: StreamSequence,
  place: Place = START,
): readonly Position[] {
  let { run, index } = place;
  return parts.map(({ events }) => {
    for (index += events; index > runs[run]!.events.length; run++) {
      index -= runs[run]!.events.length;
    }
    return positionOf(asStreamSequence(first + run), Math.max(0, index - 1));
  });
}

/** How many messages runs take: guards ride on second messages of actors, else on markers. */
export function messagesFor(runs: number, actors: number, guards: number): number {
  return Math.max(runs, actors + guards);
}

/** The runs of one save; see {@linkcode divide}. */
export function runsOf(member: Member, maxBytes: number): readonly Run[] {
  return member.events.length === 1
    ? [lone(member)]
    : partsOf(member, maxBytes).map(({ run }) => run);
}

/**
 * Divides saves into runs, in order: as few as there can be with at most 256 events of one actor,
 * 48 KiB of headers, about 64 KiB of bodies, and no message over `maxBytes`.
 */
export function divide(members: readonly Member[], maxBytes: number): Division {
  const runs: GrowingRun[] = [];
  const places: { first: Place; last: Place }[] = [];
  /** How large the last run is, if another whole save may join it. */
  let size: Size | undefined;
  for (const member of members) {
    const parts = partsOf(member, maxBytes);
    const [part] = parts;
    const before = runs.at(-1);
    const both = parts.length === 1 && size !== undefined ? added(size, part!.size) : undefined;
    if (both !== undefined && before!.actorId === part!.run.actorId && fits(both, maxBytes)) {
      const run = runs.length - 1;
      const { length } = before!.events;
      before!.events.push(...part!.run.events);
      before!.saves.push(...part!.run.saves);
      places.push({
        first: { run, index: length },
        last: { run, index: before!.events.length - 1 },
      });
      size = both;
    } else {
      const first = { run: runs.length, index: 0 };
      for (const { run } of parts) runs.push(run);
      const { events } = runs.at(-1)!;
      places.push({ first, last: { run: runs.length - 1, index: Math.max(0, events.length - 1) } });
      // A part of a save shares its message with no other save.
      size = parts.length === 1 ? part!.size : undefined;
    }
  }
  return { runs, places };
}

/** A run that whole saves may still join. */
interface GrowingRun extends Run {
  readonly events: PreparedEvent[];
  readonly saves: RunSave[];
}

/** The one run of most saves. */
function lone({ events, command }: Member): Run {
  const { actorId } = events[0]!;
  return { actorId, events, index: 0, saves: [{ events: 1, count: 1, command }] };
}

/** The runs of one save. */
function partsOf(
  { events, command, receipt }: Member,
  maxBytes: number,
): { run: GrowingRun; size: Size }[] {
  if (receipt !== undefined) {
    const saves = [{ events: 0, count: 0, command }];
    const run = { actorId: receipt.actorId, events: [], index: 0, saves, receipt };
    return [{ run, size: { events: MAX_RUN, headers: 0, bodies: receipt.body.length } }];
  }
  const parts: { run: GrowingRun; size: Size }[] = [];
  const count = events.length;
  for (let start = 0; start < count;) {
    const { actorId } = events[start]!;
    let size = sizeOf(events[start]!, command);
    let end = start + 1;
    for (; end < count && events[end]!.actorId === actorId; end++) {
      const both = added(size, sizeOf(events[end]!, undefined));
      if (!fits(both, maxBytes)) break;
      size = both;
    }
    const saves = [{ events: end - start, count, command }];
    const run = { actorId, events: events.slice(start, end), index: start, saves };
    parts.push({ run, size });
    start = end;
  }
  return parts;
}

function added(one: Size, other: Size): Size {
  return {
    events: one.events + other.events,
    headers: one.headers + other.headers,
    bodies: one.bodies + other.bodies,
  };
}

function fits({ events, headers, bodies }: Size, maxBytes: number): boolean {
  return events <= MAX_RUN && bodies <= MAX_BODIES &&
    headers + HEADER_ROOM <= MAX_HEADERS && headers + HEADER_ROOM + bodies <= maxBytes;
}

/** Digits of the largest number in a list, with the space behind it. */
const NUMBER = 17;
/** Numbers of an event in lists: its version, size and schema, and those of a save it may begin. */
const NUMBERS = 5 * NUMBER;

/**
 * The most bytes that an event adds to a run; those that every message has are in the room for
 * headers.
 */
function sizeOf({ id, eventType, body }: PreparedEvent, command: string | undefined): Size {
  const name = command === undefined ? 0 : encodeToken(command).length;
  const tokens = encodeToken(id).length + encodeToken(eventType).length + name + 3;
  return { events: 1, headers: tokens + NUMBERS, bodies: body.length };
}
