/**
 * Stands for content that nobody can read any more, for its key was deleted on purpose. The
 * same symbol in every copy of the package.
 */
export const FORGOTTEN: unique symbol = Symbol.for("@flowmade-one/aether/forgotten");

/** The type of {@linkcode FORGOTTEN}. */
export type Forgotten = typeof FORGOTTEN;

/**
 * Turns a value into the bytes that are stored, and back. JSON unless one is given; one that is
 * given lifts the rules on `data`, for it alone knows what it can carry.
 *
 * @typeParam Value What is stored: `Event` for an event store, `Snapshot` for a snapshot store.
 */
export interface Codec<Value> {
  /**
   * The bytes of `value`. Called before the save returns its promise; a codec that takes its
   * time takes its copy first. What it throws fails the save; nothing is stored.
   */
  encode(value: Value): Uint8Array | Promise<Uint8Array>;
  /**
   * The value in `bytes`, or {@linkcode FORGOTTEN}, which is no corruption: a forgotten event
   * replays with that as its `data`, no metadata, and the time when it was stored as its
   * `timestamp`; a forgotten snapshot is passed over. Anything that it throws is told as a
   * corruption, with the place.
   */
  decode(bytes: Uint8Array): Value | Forgotten | Promise<Value | Forgotten>;
}
