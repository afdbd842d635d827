/**
 * The ids of the last events, as hashes of 53 bits: at least `size` of them, at most twice as many.
 * That two different ids share a hash is one chance in a billion for ten million events.
 */
export class IdWindow {
  readonly #size: number;
  #young = new Set<number>();
  #old = new Set<number>();

  /** Remembers at least `size` ids. */
  constructor(size: number) {
    this.#size = size;
  }

  /** Takes the id of an event; whether an event of the actor had it before. */
  add(actorId: string, id: string): boolean {
    const hash = hashOf(actorId, id);
    if (this.#young.has(hash) || this.#old.has(hash)) return true;
    this.#young.add(hash);
    if (this.#young.size >= this.#size) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    return false;
  }
}

/** Two multiplicative hashes of 32 bits side by side, of which 53 bits are kept. */
function hashOf(...texts: readonly string[]): number {
  let [one, two] = [0xdeadbeef, 0x41c6ce57];
  for (const text of texts) {
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      one = Math.imul(one ^ code, 2654435761);
      two = Math.imul(two ^ code, 1597334677);
    }
    one = Math.imul(one ^ text.length, 2654435761);
    two = Math.imul(two ^ text.length, 1597334677);
  }
  one = Math.imul(one ^ (one >>> 16), 2246822507) ^ Math.imul(two ^ (two >>> 13), 3266489909);
  two = Math.imul(two ^ (two >>> 16), 2246822507) ^ Math.imul(one ^ (one >>> 13), 3266489909);
  return 4294967296 * (2097151 & two) + (one >>> 0);
}
