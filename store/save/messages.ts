import type { Context } from "@opentelemetry/api";
import { encodeToken } from "../base/token.ts";
import type { PreparedEvent } from "../format/encode.ts";
import {
  COMMAND,
  COUNT,
  EXPECT,
  EXPECT_SUBJECT,
  FENCE,
  ID,
  OP,
  PREVIOUS,
  SCHEMA,
  TYPE,
  VERSION,
} from "../format/headers.ts";
import { HeaderLines } from "../nats/header_lines.ts";
import type { Outgoing } from "../nats/publisher.ts";
import type { Head } from "../read/heads.ts";

/** One save on its way to the stream. */
export interface Save {
  /** Names the save in its messages; stable over its tries, so that it knows its own again. */
  readonly op: string;
  /** What is to be stored, in order. */
  readonly events: readonly PreparedEvent[];
  /** The actors that it writes, in the order of their first events. */
  readonly actors: readonly string[];
  /** Versions that actors must be at exactly, whether it writes them or not. */
  readonly expect: ReadonlyMap<string, number>;
  /** When to give up, by the monotonic clock, in ms. */
  readonly deadline: number;
  /** Makes it give up sooner. */
  readonly signal?: AbortSignal | undefined;
  /** The command that it is the outcome of. */
  readonly command?: string | undefined;
  /** The trace context of the call, for those that are told of it: it may end in another's. */
  readonly within?: Context | undefined;
  /** The sequence of the fence that an actor's events are saved under. */
  readonly fenceOf?: ((actorId: string) => number) | undefined;
}

/** The heads that one try of a save is based on, of all actors that it writes or expects. */
export type ExpectedHeads = Pick<ReadonlyMap<string, Head>, "get">;

/** What a subject of another actor, or a fence, must be at. */
export interface Guard {
  readonly subject: string;
  readonly sequence: number;
  /** The subject of a message that carries it where no event can. */
  readonly marker: string;
}

const EMPTY = new Uint8Array();

/**
 * The messages of `save`: the first of each actor carries the compare-and-set on its subject;
 * guards on actors that are not written ride on second messages, where nothing else is checked,
 * else on markers behind the events.
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
  if (save.events.length === 1 && save.expect.size === 0) {
    return [lone(save, expectedHeads, subjectOf)];
  }
  const guards = guardsOf(save, expectedHeads, subjectOf, markerOf);
  return assemble([save], expectedHeads, guards, subjectOf);
}

/** The one message of most saves. */
function lone(
  save: Save,
  expectedHeads: ExpectedHeads,
  subjectOf: (actorId: string) => string,
): Outgoing {
  const event = save.events[0]!;
  const { version, sequence } = expectedHeads.get(event.actorId)!;
  const headers = headersOf(save, event, version);
  expectSequence(headers, sequence);
  return { subject: subjectOf(event.actorId), headers, body: event.body };
}

/** The guards on the actors that `save` expects and does not write. */
export function guardsOf(
  save: Save,
  expectedHeads: ExpectedHeads,
  subjectOf: (actorId: string) => string,
  markerOf: (actorId: string) => string,
): Guard[] {
  if (save.expect.size === 0) return [];
  return [...save.expect.keys()]
    .filter((actorId) => !save.actors.includes(actorId))
    .map((actorId) => ({
      subject: subjectOf(actorId),
      sequence: expectedHeads.get(actorId)!.sequence,
      marker: markerOf(actorId),
    }));
}

/** The messages of several saves that go together, in order, with all of their guards. */
export function assemble(
  saves: readonly Save[],
  expectedHeads: ExpectedHeads,
  guards: readonly Guard[],
  subjectOf: (actorId: string) => string,
): Outgoing[] {
  const previous = new Map<string, number>();
  const messages: Outgoing[] = [];
  let carried = 0;
  for (const save of saves) {
    for (const event of save.events) {
      const { actorId, version, body } = event;
      const headers = headersOf(
        save,
        event,
        previous.get(actorId) ?? expectedHeads.get(actorId)!.version,
      );
      if (!previous.has(actorId)) {
        expectSequence(headers, expectedHeads.get(actorId)!.sequence);
      } else {
        const guard = guards[carried++];
        if (guard !== undefined) expectSequence(headers, guard.sequence, guard.subject);
      }
      previous.set(actorId, version);
      messages.push({ subject: subjectOf(actorId), headers, body });
    }
  }
  for (const { subject, sequence, marker } of guards.slice(carried)) {
    const headers = new HeaderLines();
    if (saves.length > 0) headers.add(OP, saves[0]!.op);
    expectSequence(headers, sequence, subject);
    messages.push({ subject: marker, headers, body: EMPTY });
  }
  return messages;
}

function headersOf(save: Save, event: PreparedEvent, previous: number): HeaderLines {
  const headers = new HeaderLines();
  headers.add(OP, save.op);
  headers.add(ID, encodeToken(event.id));
  headers.add(TYPE, encodeToken(event.eventType));
  headers.add(VERSION, event.version);
  headers.add(PREVIOUS, previous);
  headers.add(COUNT, save.events.length);
  if (event.schema > 1) headers.add(SCHEMA, event.schema);
  if (save.command !== undefined) headers.add(COMMAND, encodeToken(save.command));
  if (save.fenceOf !== undefined) headers.add(FENCE, save.fenceOf(event.actorId));
  return headers;
}

/** The server takes an odd value for no check at all, so none is ever sent. */
function expectSequence(headers: HeaderLines, sequence: number, subject?: string): void {
  if (!Number.isSafeInteger(sequence) || sequence < 0) {
    throw new TypeError(`Cannot expect sequence ${sequence}: it is not a safe integer`);
  }
  headers.add(EXPECT, sequence);
  if (subject !== undefined) headers.add(EXPECT_SUBJECT, subject);
}
