import type { Forgotten } from "../codec.ts";

/**
 * Keeps one key for each data subject: a person, or whoever else may ask to be forgotten. Implement
 * it on a key management service, or take one of the two here.
 *
 * 1. A subject has one key for ever: of any number of callers, in any number of processes, all get
 *    the same one.
 * 2. A key that was forgotten never comes back, and the subject never gets another: both reads give
 *    `FORGOTTEN` from then on. A mark has to stay where the key was.
 * 3. `FORGOTTEN` says that the key was dropped on purpose. A store that cannot be reached, or does
 *    not know, rejects; it never gives `FORGOTTEN` for that.
 *
 * The names of subjects stay in the store and in the events when the keys are gone: use ids that say
 * nothing about a person, not e-mail addresses. Keep the keys apart from the events and their
 * backups: a backup that holds both brings back what was forgotten.
 */
export interface KeyStore {
  /**
   * The key of `subject`, 32 random bytes; `FORGOTTEN` if it was dropped; `undefined` if it was never
   * made.
   */
  get(subject: string): Promise<Uint8Array | Forgotten | undefined>;
  /** The same, but makes the key if there is none. */
  getOrCreate(subject: string): Promise<Uint8Array | Forgotten>;
  /**
   * Drops the key for ever, and leaves a mark, also for a subject without a key. Calling it again is
   * safe. Gives whether this call has dropped a key.
   */
  forget(subject: string): Promise<boolean>;
}

/** Bytes of a key: AES-256. */
export const KEY_BYTES = 32;

/** A new key. */
export function newKey(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(KEY_BYTES));
}
