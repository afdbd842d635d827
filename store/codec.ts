import { decodeJson } from "./base/json.ts";

const encoder = /* @__PURE__ */ new TextEncoder();

/**
 * Replaces content that nobody can read any more because its key was deleted on purpose. The
 * same symbol in every copy of the package.
 */
export const FORGOTTEN: unique symbol = /* @__PURE__ */ Symbol.for(
  "@flowmade-one/aether/forgotten",
);

/** The type of {@linkcode FORGOTTEN}. */
export type Forgotten = typeof FORGOTTEN;

/**
 * Turns a value into the bytes that are stored, and back. Stores use {@linkcode jsonCodec} unless
 * the caller gives a codec. The rules on `data` hold with a codec too: the store refuses what JSON
 * would change or drop, unless the codec is {@linkcode Codec.lenient}.
 *
 * @typeParam Value The value stored: `Event` for an event store, `Snapshot` for a snapshot store.
 */
export interface Codec<Value> {
  /**
   * Whether the codec lifts the rules on an event's `data`, or a snapshot's `state`. With `true` the
   * store checks only that it is not `undefined`; the codec has to carry all that its callers save,
   * or throw: `JSON.stringify` alone makes `null` of `NaN`, a string of a `Date`, and drops functions.
   *
   * @default {false}
   */
  readonly lenient?: boolean;
  /**
   * The bytes of `value`. The store calls it before the save returns its promise, with a copy of
   * plain data; an asynchronous codec copies instances of classes first. An error that it throws, or
   * no bytes before the save's deadline, fail the save; nothing is stored. It throws
   * `StoreUnavailableError` if something that it needs, such as a store of keys, is out of reach: the
   * save then rejects with that class of error, and not with `InvalidEventError`.
   */
  encode(value: Value): Uint8Array | Promise<Uint8Array>;
  /**
   * The value in `bytes`, or {@linkcode FORGOTTEN}, which is not a corruption: a forgotten event
   * replays with that symbol as its `data`, no metadata, and the time when it was stored as its
   * `timestamp`; a forgotten snapshot is passed over. If it throws `StoreUnavailableError`, or has
   * not answered within the store's `timeout` (in memory: 10 s), the read rejects with that class of
   * error. The store calls it for many events at once; a codec that decodes one by one has that time
   * for each, because each answer to an earlier call begins the time of the later ones anew. The store
   * reports any other error as a corruption, with the place. A snapshot that cannot be decoded counts
   * as lost.
   */
  decode(bytes: Uint8Array): Value | Forgotten | Promise<Value | Forgotten>;
}

/** The type of {@linkcode jsonCodec}: a codec for events and for snapshots. */
export interface JsonCodec {
  /** The value as one line of JSON in UTF-8. */
  encode(value: { readonly timestamp: Date }): Uint8Array;
  /**
   * The value in a line of JSON; nothing checks that it is one.
   *
   * @throws {SyntaxError} The bytes are not JSON.
   * @throws {TypeError} The bytes are not UTF-8.
   */
  decode<Value extends { readonly timestamp: Date }>(bytes: Uint8Array): Value;
}

/**
 * The codec of stores that are given none: one line of JSON for each event. A codec of one's own
 * wraps it, and keeps the rules on `data`, because it is not lenient.
 *
 * @example Keep a field in another form
 * ```ts
 * import { type Codec, createEvent, type Event, InMemoryEventStore, jsonCodec } from "@flowmade-one/aether";
 *
 * const reversed = (bytes: Uint8Array) => bytes.slice().reverse();
 * const codec: Codec<Event> = {
 *   encode: (event) => reversed(jsonCodec.encode(event)),
 *   decode: (bytes) => jsonCodec.decode<Event>(reversed(bytes)),
 * };
 * await using store = new InMemoryEventStore({ codec }); // Deno, or Node 24 and newer
 * const placed = { actorId: "order-1", eventType: "OrderPlaced", version: 1 };
 * await store.saveEvent(createEvent({ ...placed, data: { total: 5 } }));
 * console.log((await store.getEvents("order-1"))[0]?.data); // { total: 5 }
 * ```
 */
export const jsonCodec: JsonCodec = {
  encode: (value) => encoder.encode(JSON.stringify(value) + "\n"),
  decode<Value extends { readonly timestamp: Date }>(bytes: Uint8Array): Value {
    const value = decodeJson(bytes) as Value;
    const timestamp: unknown = (value as Partial<Value> | null)?.timestamp;
    return typeof timestamp === "string" ? { ...value, timestamp: new Date(timestamp) } : value;
  },
};
