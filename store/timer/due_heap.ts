/** Entries by the time when they are due, the earliest first. */
export class DueHeap<Entry extends { readonly at: number }> {
  readonly #entries: Entry[] = [];

  /** The entry that is due first. */
  get first(): Entry | undefined {
    return this.#entries[0];
  }

  /** How many entries there are. */
  get size(): number {
    return this.#entries.length;
  }

  /** Adds an entry. */
  add(entry: Entry): void {
    const entries = this.#entries;
    let at = entries.push(entry) - 1;
    for (; at > 0;) {
      const above = (at - 1) >>> 1;
      if (entries[above]!.at <= entry.at) break;
      entries[at] = entries[above]!;
      at = above;
    }
    entries[at] = entry;
  }

  /** Takes the entry that is due first. */
  take(): Entry | undefined {
    const entries = this.#entries;
    const first = entries[0];
    const last = entries.pop();
    if (entries.length === 0 || last === undefined) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= entries.length) break;
      if (below + 1 < entries.length && entries[below + 1]!.at < entries[below]!.at) below++;
      if (entries[below]!.at >= last.at) break;
      entries[at] = entries[below]!;
      at = below;
    }
    entries[at] = last;
    return first;
  }

  /** Keeps only the entries that `isWanted` says. */
  keep(isWanted: (entry: Entry) => boolean): void {
    const kept = this.#entries.filter(isWanted).sort((one, other) => one.at - other.at);
    this.#entries.length = 0;
    for (const entry of kept) this.#entries.push(entry); // In order, they are a heap.
  }

  /** Takes all out. */
  clear(): void {
    this.#entries.length = 0;
  }
}
