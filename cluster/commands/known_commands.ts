import type { CommandMessage } from "./messages.ts";
import type { CommandLog, CommandPlace, StoredOutcome } from "../../store/command_log.ts";
import { MAX_BATCH } from "../../store/format/layout.ts";
import { messageSequenceOf } from "../../store/format/position.ts";
import type { SaveReceipt } from "../../store/options.ts";

/** How many handled commands of one actor are remembered, unless a search has found more. */
const KEPT = 1000;

/** A command that was handled. */
interface HandledCommand {
  /** The place of its messages; `undefined` if it was handled here and nobody has asked yet. */
  readonly place: CommandPlace | undefined;
  /** All its messages are behind this stream sequence. */
  readonly after: number;
  /** None of its messages is behind this one. */
  readonly last: number;
}

/**
 * The commands of one active actor that are known to be handled. The rest is read on demand, from
 * headers: back to the command's landmark, however much the actor has stored since, and from there
 * on it is remembered.
 *
 * A landmark bounds the search of a command whose id its sender has just made, or whose cause it
 * knows. It is trusted as long as none of the command's events can be stored. If one may be, the
 * stream is asked for the landmark's event: if it was truncated or replaced, the command's events
 * may lie before the place that the landmark names, and all of the actor is read.
 */
export class KnownCommands {
  readonly #log: CommandLog;
  readonly #actorId: string;
  #handled = new Map<string, HandledCommand>();
  /** All commands are known that have a message behind this stream sequence. */
  #since = Infinity;
  /** Whether it was looked for commands of which nothing says how old they are. */
  #isDeep = false;
  #capacity = KEPT;
  /** How often everything was forgotten: what was read before that may lack events. */
  #forgotten = 0;

  /** Nothing is known to begin with. */
  constructor(log: CommandLog, actorId: string) {
    this.#log = log;
    this.#actorId = actorId;
  }

  /** Whether the command was handled. */
  async has(message: CommandMessage): Promise<boolean> {
    const { id, landmark, since, isDoubtful, isGiven } = message;
    if (this.#handled.has(id)) return true;
    if (since !== undefined) await this.#reach(new Date(since));
    else if (landmark !== undefined) {
      const isSure = isDoubtful !== true || this.#since === 0 ||
        await this.#log.holds(landmark.sequence, landmark.id);
      await this.#reach(isSure ? messageSequenceOf(landmark.sequence) : 0);
    } else if (isDoubtful === true) await this.#reach(0);
    if (isGiven === true || (since ?? landmark) === undefined) await this.#reach(undefined);
    return this.#handled.has(id);
  }

  /** The stored outcome of a handled command; `undefined` if none of its messages is there. */
  async outcome(id: string): Promise<StoredOutcome | undefined> {
    const { place, after = 0 } = this.#handled.get(id) ?? {};
    const found = place ?? (await this.#log.search(this.#actorId, after)).found.get(id);
    if (found === undefined) return undefined;
    // In its place: those that were handled later are dropped later.
    this.#handled.set(id, handledAt(found));
    return await this.#log.outcome(this.#actorId, id, found);
  }

  /** Adds a command whose events were saved here, perhaps together with events of other actors. */
  add(id: string, { sequence }: SaveReceipt): void {
    const last = messageSequenceOf(sequence);
    const after = Math.max(0, last - MAX_BATCH);
    const before = this.#handled.get(id)?.after ?? after;
    this.#add(id, { place: undefined, after: Math.min(before, after), last });
    this.#trim();
  }

  /** Forgets everything: events may be stored that this node has not seen. */
  forget(): void {
    this.#forgotten++;
    this.#handled.clear();
    this.#since = Infinity;
    this.#isDeep = false;
    this.#capacity = KEPT;
  }

  /** Makes sure that all commands behind `after` are known. */
  async #reach(after: number | Date | undefined): Promise<void> {
    const isKnown = after === undefined ? this.#isDeep : after === this.#since ||
      (typeof after === "number" && after > this.#since);
    if (isKnown || this.#since === 0) return;
    const forgotten = this.#forgotten;
    const { found, since } = await this.#log.search(this.#actorId, after);
    if (forgotten !== this.#forgotten) return await this.#reach(after);
    if (after === undefined) this.#isDeep = true;
    if (since >= this.#since) return;
    const handled = new Map<string, HandledCommand>();
    for (const [id, place] of found) handled.set(id, handledAt(place));
    // Commands handled here meanwhile are newer.
    for (const [id, each] of this.#handled) handled.set(id, each);
    this.#handled = handled;
    this.#since = since;
    // Twice as many, so that a queue of old commands is not searched for one by one.
    this.#capacity = Math.max(KEPT, 2 * handled.size);
  }

  #add(id: string, command: HandledCommand): void {
    this.#handled.delete(id);
    this.#handled.set(id, command);
  }

  /** Drops the oldest ones if there are too many: those are read again if they are asked for. */
  #trim(): void {
    for (const [id, { last }] of this.#handled) {
      if (this.#handled.size <= this.#capacity) return;
      this.#handled.delete(id);
      this.#since = Math.max(this.#since, last);
      this.#isDeep = false;
    }
  }
}

function handledAt(place: CommandPlace): HandledCommand {
  const after = Math.min(...place.messages) - 1;
  return { place, after, last: place.messages.at(-1)! };
}
