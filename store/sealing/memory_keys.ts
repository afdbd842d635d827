import { FORGOTTEN, type Forgotten } from "../codec.ts";
import { type KeyStore, newKey } from "./key_store.ts";

/** A {@linkcode KeyStore} in memory, for tests: its keys, and all that they seal, end with it. */
export class InMemoryKeyStore implements KeyStore {
  readonly #keys = new Map<string, Uint8Array | Forgotten>();

  /** See {@linkcode KeyStore.get}. */
  get(subject: string): Promise<Uint8Array | Forgotten | undefined> {
    return Promise.resolve(copyOf(this.#keys.get(subject)));
  }

  /** See {@linkcode KeyStore.getOrCreate}. */
  getOrCreate(subject: string): Promise<Uint8Array | Forgotten> {
    const key = this.#keys.get(subject) ?? newKey();
    this.#keys.set(subject, key);
    return Promise.resolve(copyOf(key));
  }

  /** See {@linkcode KeyStore.forget}. */
  forget(subject: string): Promise<boolean> {
    const key = this.#keys.get(subject);
    this.#keys.set(subject, FORGOTTEN);
    return Promise.resolve(key !== undefined && key !== FORGOTTEN);
  }
}

function copyOf<Key extends Uint8Array | Forgotten | undefined>(key: Key): Key {
  return (key instanceof Uint8Array ? key.slice() : key) as Key;
}
