/**
 * Replaces content that nobody can read any more because its key was deleted on purpose. The
 * same symbol in every copy of the package.
 */
export const FORGOTTEN: unique symbol = Symbol.for("@flowmade-one/aether/forgotten");

/** The type of {@linkcode FORGOTTEN}. */
export type Forgotten = typeof FORGOTTEN;

/**
 * Turns a value into the bytes that are stored, and back. Stores use JSON unless the caller gives
 * a codec; a codec lifts the rules on `data`, because only the codec knows what it can carry.
 *
 * @typeParam Value The value stored: `Event` for an event store, `Snapshot` for a snapshot store.
 */
export interface Codec<Value> {
  /**
   * The bytes of `value`. The store calls it before the save returns its promise, with a copy of
   * plain data; an asynchronous codec copies instances of classes first. An error that it throws, or
   * no bytes before the save's deadline, fail the save; nothing is stored.
   */
  encode(value: Value): Uint8Array | Promise<Uint8Array>;
  /**
   * The value in `bytes`, or {@linkcode FORGOTTEN}, which is not a corruption: a forgotten event
   * replays with that symbol as its `data`, no metadata, and the time when it was stored as its
   * `timestamp`; a forgotten snapshot is passed over. The store reports any error that it throws
   * as a corruption, with the place.
   */
  decode(bytes: Uint8Array): Value | Forgotten | Promise<Value | Forgotten>;
}
