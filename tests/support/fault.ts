/**
 * The tools that the fault tests share: saves with their outcomes, the stream as it really is, and
 * connections that take the store's guards off for the controls.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { headers, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import {
  createEvent,
  type Event,
  isAetherError,
  type JetStreamEventStore,
  type SaveOutcomeUnknownError,
  type SettledOutcome,
} from "../../store/mod.ts";
import { Layout } from "../../store/format/layout.ts";
import type { NatsServer } from "../../tools/nats_server.ts";
import { type LoggedMessage, messagesOf } from "./jetstream_api.ts";
import { assertVerified, namespaceOf } from "./verified.ts";

/** How a call of `saveEvents` ended. */
export interface Outcome {
  readonly events: readonly Event[];
  readonly kind: "saved" | "duplicate" | "conflict" | "unavailable" | "unknown";
  /** Position of the last event, where the save resolved. */
  readonly sequence?: number;
  readonly error?: unknown;
}

/** An event of the stream, read without the store's code. */
export interface Stored {
  /** Its position. */
  readonly sequence: number;
  /** The server's sequence of its message. */
  readonly message: number;
  readonly subject: string;
  readonly id: string;
  readonly version: number;
  readonly previous: number;
}

/** An event to save, the same facts each time. */
export function fact(actorId: string, version: number, data: unknown = { version }): Event {
  return createEvent({ eventType: "Happened", actorId, version, data });
}

/** Events of one actor, from version `first` on. */
export function facts(actorId: string, first: number, count: number): Event[] {
  return Array.from({ length: count }, (_, at) => fact(actorId, first + at));
}

/**
 * Stores events past the store, each in a message of its own as single saves would. Each follows
 * on the version one less.
 */
export async function storeApart(
  connection: NatsConnection,
  { namespace, shards }: JetStreamEventStore,
  events: readonly Event[],
): Promise<void> {
  const layout = new Layout(namespace);
  for (let start = 0; start < events.length; start += 1_000) {
    await Promise.all(
      events.slice(start, start + 1_000).map(async (event) => {
        const fields = headers();
        fields.set("Aether-Op", crypto.randomUUID());
        fields.set("Aether-Id", event.id);
        fields.set("Aether-Type", event.eventType);
        fields.set("Aether-Version", String(event.version));
        fields.set("Aether-Previous", String(event.version - 1));
        fields.set("Aether-Count", "1");
        const subject = layout.event(event.actorId, shards);
        const body = `${JSON.stringify(event)}\n`;
        const answer = await connection.request(subject, body, {
          headers: fields,
          timeout: 10_000,
        });
        assertEquals(answer.json<{ error?: unknown }>().error, undefined);
      }),
    );
  }
}

/**
 * Saves `events` and returns the outcome; an error that is none of the promised outcomes is thrown.
 */
export async function attempt(store: JetStreamEventStore, ...events: Event[]): Promise<Outcome> {
  try {
    const { sequence, duplicate } = await store.saveEvents(events);
    return { events, kind: duplicate ? "duplicate" : "saved", sequence };
  } catch (error) {
    if (isAetherError(error, "VersionConflictError")) return { events, kind: "conflict", error };
    if (
      isAetherError(error, "StoreUnavailableError") || isAetherError(error, "StoreRefusedError")
    ) {
      return { events, kind: "unavailable", error };
    }
    if (isAetherError(error, "SaveOutcomeUnknownError")) return { events, kind: "unknown", error };
    throw error;
  }
}

/** The error of a save whose outcome is unknown. */
export function unknownError({ kind, error }: Outcome): SaveOutcomeUnknownError {
  assertEquals(kind, "unknown");
  return error as SaveOutcomeUnknownError;
}

/** The outcome that `settle()` reports, asked again while a busy server does not answer in time. */
export async function settled(outcome: Outcome): Promise<SettledOutcome> {
  const error = unknownError(outcome);
  for (const deadline = performance.now() + 20_000;;) {
    try {
      return await error.settle();
    } catch (unanswered) {
      const again = isAetherError(unanswered, "StoreUnavailableError");
      if (!again || performance.now() > deadline) throw unanswered;
    }
  }
}

/**
 * Saves `saves` events over `actors` actors, each actor's in order and one at a time; gives how each
 * ended.
 */
export async function saveInTurn(
  store: JetStreamEventStore,
  saves: number,
  actors: number,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  await Promise.all(Array.from({ length: actors }, async (_, actor) => {
    for (let version = 1; version <= saves / actors; version++) {
      outcomes.push(await attempt(store, fact(`order-${actor}`, version)));
    }
  }));
  return outcomes;
}

/** Checks that what `settle()` says of unknown outcomes is what the same save finds when it is tried again. */
export async function assertSettled(
  store: JetStreamEventStore,
  outcomes: readonly Outcome[],
): Promise<void> {
  for (const outcome of outcomes.filter(({ kind }) => kind === "unknown")) {
    const end = await settled(outcome);
    const again = await attempt(store, ...outcome.events);
    if (end !== "unknown") assertEquals(again.kind === "duplicate", end === "saved", again.kind);
  }
}

/** Resolves when `server` has read all that `connection`, closed by now, had sent. */
export async function forgotten(server: NatsServer, cid: number | undefined): Promise<void> {
  for (;;) {
    const { connections } = await server.monitor<{ connections: { cid: number }[] }>(
      "/connz?limit=100000",
    );
    if (!connections.some((open) => open.cid === cid)) return;
  }
}

/**
 * All events of `stream` in its order, by the leader's word. A batch that the server is just
 * storing is waited for: a publish that must fail is answered behind it. What is stored has to keep
 * all rules of the format, except where a control has taken a guard off.
 */
export async function storedIn(
  connection: NatsConnection,
  stream: string,
  { guarded = true }: { readonly guarded?: boolean } = {},
): Promise<Stored[]> {
  const barrier = headers();
  barrier.set("Nats-Expected-Last-Subject-Sequence", String(Number.MAX_SAFE_INTEGER));
  const subject = `aether.${stream.slice("AETHER_".length)}.commit.0`;
  const ask = () => connection.request(subject, "", { headers: barrier, timeout: 10_000 });
  // A server of a cluster may not have heard of the stream's leader yet.
  for (let tries = 1; tries < 100; tries++) {
    const answer = await ask().catch((error: Error) => {
      if (!error.message.startsWith("no responders")) throw error;
    });
    if (answer !== undefined) break;
  }
  if (guarded) await assertVerified(connection, namespaceOf(stream));
  return (await messagesOf(connection, stream))
    .filter((message) => /^aether\.[^.]+\.event\./.test(message.subject))
    .flatMap((message) => eventsOf(message));
}

/** The events of one message, as docs/design/storage-format.md describes it. */
export function eventsOf({ sequence, subject, header }: LoggedMessage): Stored[] {
  const ids = header("Aether-Id").split(" ").filter(Boolean);
  const last = Number(header("Aether-Version"));
  const listed = header("Aether-Versions");
  const versions = listed === ""
    ? ids.map((_, at) => last - ids.length + 1 + at)
    : listed.split(" ").map(Number);
  return ids.map((id, at) => ({
    sequence: 256 * sequence + at,
    message: sequence,
    subject,
    id,
    version: versions[at]!,
    previous: at === 0 ? Number(header("Aether-Previous")) : versions[at - 1]!,
  }));
}

/** Checks that each event follows on the one before of its actor. */
export function assertUnbroken(stored: readonly Stored[]): void {
  const versions = new Map<string, number>();
  for (const { subject, version, previous, sequence } of stored) {
    const place = `at sequence ${sequence} of "${subject}"`;
    assertEquals(
      previous,
      versions.get(subject) ?? 0,
      `The event before version ${version} ${place}`,
    );
    assert(version > previous, `Version ${version} follows on ${previous} ${place}`);
    versions.set(subject, version);
  }
}

/**
 * Checks that what the callers were told is what the stream holds: saved means stored exactly
 * once at that place, a conflict or unavailable means absent, unknown means all or nothing.
 */
export function assertTruthful(outcomes: readonly Outcome[], stored: readonly Stored[]): void {
  assertUnbroken(stored);
  const places = new Map<string, number[]>();
  for (const { id, sequence } of stored) places.set(id, [...places.get(id) ?? [], sequence]);
  for (const { kind, events, sequence } of outcomes) {
    const found = events.map(({ id }) => places.get(id) ?? []);
    const counts = found.map(({ length }) => length);
    const { actorId, version } = events[0]!;
    const what = `${kind}: version ${version} of "${actorId}" is stored ${counts} times`;
    assert(counts.every((count) => count === counts[0] && count <= 1), what);
    if (kind === "saved" || kind === "duplicate") {
      assert(counts[0] === 1, what);
      assertEquals(found.at(-1)![0], sequence, what);
    } else if (kind !== "unknown") {
      assert(counts[0] === 0, what);
    }
  }
  const told = new Set(outcomes.flatMap(({ events }) => events.map(({ id }) => id)));
  for (const { id, sequence } of stored) {
    assert(told.has(id), `Nobody was told of the event at sequence ${sequence}`);
  }
}

/** How many outcomes are of each kind. */
export function tally(outcomes: readonly Outcome[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of outcomes) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** `connection`, with the headers of what is published changed on the way: a guard taken off. */
export function tampered(
  connection: NatsConnection,
  change: (fields: MsgHdrs) => void,
): NatsConnection {
  return new Proxy(connection, {
    get(target, name): unknown {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name !== "publish") return value.bind(target);
      return (...args: Parameters<NatsConnection["publish"]>) => {
        if (args[2]?.headers !== undefined) change(args[2].headers);
        target.publish(...args);
      };
    },
  });
}

/** Takes the compare-and-set off. */
export function withoutExpectation(fields: MsgHdrs): void {
  fields.delete("Nats-Expected-Last-Subject-Sequence");
}

/** Takes away the mark by which a save knows its own messages again. */
export function withoutOp(fields: MsgHdrs): void {
  if (fields.has("Aether-Op")) fields.set("Aether-Op", crypto.randomUUID());
}
