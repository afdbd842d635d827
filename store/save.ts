import { type MsgHdrs, MsgHdrsImpl } from "@nats-io/nats-core";
import type { Head } from "./heads.ts";
import type { PreparedEvent } from "./prepare.ts";
import {
  COUNT,
  EXPECT,
  EXPECT_SUBJECT,
  ID,
  OP,
  PREVIOUS,
  SCHEMA,
  TYPE,
  VERSION,
} from "./stored_message.ts";
import { encodeToken } from "./token.ts";

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
}

/** The heads that one try of a save is based on, of all actors that it writes or expects. */
export type Basis = ReadonlyMap<string, Head>;

/** One message to publish. */
export interface Outgoing {
  readonly subject: string;
  readonly headers: MsgHdrs;
  readonly body: Uint8Array;
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
  basis: Basis,
  subjectOf: (actorId: string) => string,
  markerOf: (actorId: string) => string,
): Outgoing[] {
  const guards = [...save.expect.keys()].filter((actorId) => !save.actors.includes(actorId));
  const previous = new Map<string, number>();
  const messages: Outgoing[] = [];
  for (const event of save.events) {
    const { actorId, version } = event;
    const fields = fieldsOf(save, event, previous.get(actorId) ?? basis.get(actorId)!.version);
    if (!previous.has(actorId)) {
      expectSequence(fields, basis.get(actorId)!.sequence);
    } else {
      const guard = guards.shift();
      if (guard !== undefined) expectSequence(fields, basis.get(guard)!.sequence, subjectOf(guard));
    }
    previous.set(actorId, version);
    messages.push({ subject: subjectOf(actorId), headers: fromFields(fields), body: event.body });
  }
  for (const guard of guards) {
    const fields: Fields = { [OP]: [save.op] };
    expectSequence(fields, basis.get(guard)!.sequence, subjectOf(guard));
    messages.push({ subject: markerOf(guard), headers: fromFields(fields), body: EMPTY });
  }
  return messages;
}

/** Values by header. None can break out of its line: they are tokens, numbers and subjects. */
type Fields = Record<string, string[]>;

/** Quicker than `set()` and `append()`, which look for a value to replace and check what is safe here. */
function fromFields(fields: Fields): MsgHdrs {
  return MsgHdrsImpl.fromRecord(fields);
}

function fieldsOf(save: Save, event: PreparedEvent, previous: number): Fields {
  const fields: Fields = {
    [OP]: [save.op],
    [ID]: [encodeToken(event.id)],
    [TYPE]: [encodeToken(event.eventType)],
    [VERSION]: [String(event.version)],
    [PREVIOUS]: [String(previous)],
    [COUNT]: [String(save.events.length)],
  };
  if (event.schema > 1) fields[SCHEMA] = [String(event.schema)];
  return fields;
}

/** The server takes an odd value for no check at all, so none is ever sent. */
function expectSequence(fields: Fields, sequence: number, subject?: string): void {
  if (!Number.isSafeInteger(sequence) || sequence < 0) {
    throw new TypeError(`Cannot expect sequence ${sequence}: it is not a safe integer`);
  }
  fields[EXPECT] = [String(sequence)];
  if (subject !== undefined) fields[EXPECT_SUBJECT] = [subject];
}
