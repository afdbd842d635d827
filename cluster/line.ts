import type { Entry } from "./entry.ts";

/**
 * Entries in the order they came, each until its caller is told: that is when its deadline has
 * passed or its signal is aborted, at the latest.
 */
export class Line {
  readonly #entries = new Set<Entry>();
  readonly #aborts = new Map<Entry, () => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #over: AbortController | undefined;

  /** Puts an entry at the end; its deadline is not before those of others. */
  add(entry: Entry): void {
    this.#entries.add(entry);
    const { signal } = entry.plan;
    if (signal !== undefined) {
      const abort = () => this.#giveUp(entry, signal.reason);
      this.#aborts.set(entry, abort);
      signal.addEventListener("abort", abort, { once: true });
    }
    this.#arm();
  }

  /** Takes an entry out, and tells its caller by `tell`, unless that was done before. */
  end(entry: Entry, tell: () => void): void {
    if (!this.#entries.delete(entry)) return;
    entry.isEnded = true;
    const abort = this.#aborts.get(entry);
    if (abort !== undefined) {
      this.#aborts.delete(entry);
      entry.plan.signal?.removeEventListener("abort", abort);
    }
    tell();
    if (this.#entries.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#over?.abort();
    this.#over = undefined;
  }

  /** Is aborted when none is left: whatever is waited for then is waited for in vain. */
  get over(): AbortSignal {
    return (this.#over ??= new AbortController()).signal;
  }

  /** The entries in order. */
  [Symbol.iterator](): Iterator<Entry> {
    return this.#entries.values();
  }

  /** Resolves when none is left. */
  async empty(): Promise<void> {
    while (this.#entries.size > 0) {
      await new Promise((resolve) => this.over.addEventListener("abort", resolve, { once: true }));
    }
  }

  /** One timer serves all, for deadlines come in the order of the entries. */
  #arm(): void {
    if (this.#timer !== undefined) return;
    const [first] = this.#entries;
    if (first === undefined) return;
    const ms = Math.max(0, Math.ceil(first.plan.deadline - performance.now()));
    this.#timer = setTimeout(() => this.#expire(), ms);
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const entry of this.#entries) {
      if (entry.plan.deadline > now) break;
      this.#giveUp(entry, entry.cause);
    }
    this.#arm();
  }

  /** Not one that is stored, and whose notifications are just sent. */
  #giveUp(entry: Entry, cause: unknown): void {
    if (!entry.isEnded) this.end(entry, () => entry.giveUp(cause));
  }
}
