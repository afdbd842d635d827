import type { TurnResult } from "./command_turn.ts";
import { encodeMessage } from "./messages.ts";

/** How many bytes the answers of a node take at most. */
const MOST_BYTES = 32 * 1024 * 1024;
/** What an answer takes besides its text, about, in bytes. */
const ENTRY_BYTES = 200;

/**
 * The recent answers of all actors of a node, for commands that come again soon. The oldest ones go
 * when they take too much room together.
 */
export class RecentAnswers {
  readonly #mostBytes: number;
  /** The oldest first. */
  readonly #entries = new Map<string, { readonly result: TurnResult; readonly bytes: number }>();
  #bytes = 0;

  /** Keeps answers of `mostBytes` bytes, and the last one in any case. */
  constructor(mostBytes: number = MOST_BYTES) {
    this.#mostBytes = mostBytes;
  }

  /** The answer to a command in these turns of its actor; `undefined` if it is not known any more. */
  get(turnKey: string, commandId: string): TurnResult | undefined {
    return this.#entries.get(keyOf(turnKey, commandId))?.result;
  }

  /** Keeps an answer. */
  add(turnKey: string, commandId: string, result: TurnResult): void {
    const key = keyOf(turnKey, commandId);
    const bytes = ENTRY_BYTES + key.length + encodeMessage(result.answer).length;
    this.#bytes += bytes - (this.#entries.get(key)?.bytes ?? 0);
    this.#entries.delete(key);
    this.#entries.set(key, { result, bytes });
    if (this.#bytes > this.#mostBytes) this.#dropOldest();
  }

  /** Forgets them all. */
  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  /** Drops a tenth at once: the first entry of a map takes long to find after many were deleted. */
  #dropOldest(): void {
    for (const [key, { bytes }] of this.#entries) {
      if (this.#bytes <= 0.9 * this.#mostBytes || this.#entries.size === 1) return;
      this.#entries.delete(key);
      this.#bytes -= bytes;
    }
  }
}

function keyOf(turnKey: string, commandId: string): string {
  return `${turnKey} ${commandId}`;
}
