import type { CommandMessage } from "./messages.ts";
import type { HandledReceipts } from "../../store/fencing/handled_commands.ts";
import type { LogPosition } from "../../store/fencing/log_position.ts";
import type { SaveReceipt } from "../../store/options.ts";

/** How many handled commands of one actor are remembered. */
const KEPT = 1000;

/** What known commands are read with. */
export interface KnownCommandsParts {
  /** The commands of an actor that have events after a sequence, and where those are. */
  readonly receiptsOf: (actorId: string, after: number) => Promise<HandledReceipts>;
  /** Whether the stream holds the event of a landmark. */
  readonly holds: (landmark: LogPosition) => Promise<boolean>;
}

/**
 * The commands of one active actor that are known to be handled. The rest is read on demand. A
 * command's events all lie behind its landmark, so if the actor has stored nothing since, there is
 * nothing to read.
 *
 * The landmark is trusted as long as none of the command's events can be stored. If one may be, the
 * landmark is checked: if the stream was truncated or replaced, the command's events may lie before
 * the place that the landmark names.
 */
export class KnownCommands {
  readonly #parts: KnownCommandsParts;
  #receipts = new Map<string, SaveReceipt>();
  /** All commands are known that have an event behind this sequence. */
  #since = Infinity;

  /** None is known to begin with. */
  constructor(parts: KnownCommandsParts) {
    this.#parts = parts;
  }

  /**
   * All commands are known that have an event behind this sequence; `Infinity` before the first
   * read.
   */
  get since(): number {
    return this.#since;
  }

  /** Where the last event of the command is; `undefined` if it was not handled. */
  async find(message: CommandMessage): Promise<SaveReceipt | undefined> {
    const { actorId, id } = message;
    const after = await this.#startOf(message);
    if (after < this.#since) {
      const { receipts, since } = await this.#parts.receiptsOf(actorId, after);
      // Commands handled here meanwhile are newer.
      for (const [id, receipt] of this.#receipts) receipts.set(id, receipt);
      this.#receipts = receipts;
      this.#since = since;
      this.#trim();
    }
    return this.#receipts.get(id);
  }

  /** Adds a command that was handled here. */
  add(commandId: string, receipt: SaveReceipt): void {
    this.#receipts.set(commandId, receipt);
    this.#trim();
  }

  /** Forgets everything: events may be stored that this node has not seen. */
  forget(): void {
    this.#receipts.clear();
    this.#since = Infinity;
  }

  /** The sequence that all events of the command lie behind. */
  async #startOf({ landmark, isDoubtful }: CommandMessage): Promise<number> {
    if (landmark === undefined || this.#since === 0) return 0;
    const isSure = isDoubtful !== true || await this.#parts.holds(landmark);
    return isSure ? landmark.sequence : 0;
  }

  /** Drops those that are known for longest if there are too many. */
  #trim(): void {
    for (const id of this.#receipts.keys()) {
      if (this.#receipts.size <= KEPT) return;
      this.#receipts.delete(id);
    }
  }
}
