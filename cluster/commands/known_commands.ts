import type { CommandMessage } from "./messages.ts";
import type { HandledReceipts } from "../../store/fencing/handled_commands.ts";
import type { LogPosition } from "../../store/fencing/log_position.ts";
import type { SaveReceipt } from "../../store/options.ts";

/** Commands of one actor that are remembered to be handled. */
const KEPT = 1000;

/** What known commands are read with. */
export interface KnownCommandsParts {
  /** Where the events of the actor's commands are, of those behind a sequence. */
  readonly receiptsOf: (actorId: string, after: number) => Promise<HandledReceipts>;
  /** Whether the stream has the event of a landmark. */
  readonly holds: (landmark: LogPosition) => Promise<boolean>;
}

/**
 * The commands of one active actor that are known to be handled. What is not known is read when a
 * command comes that might be among it: none of its events is before the landmark that it names,
 * so where nothing was stored of the actor since, there is nothing to read but that.
 *
 * The landmark itself is believed of a command of which nothing can be stored so far. In doubt it
 * is looked at: where the stream has lost its end, or is another one, what was stored of the
 * command may stand before the place that the landmark names.
 */
export class KnownCommands {
  readonly #parts: KnownCommandsParts;
  #receipts = new Map<string, SaveReceipt>();
  /** All are known that have an event behind this sequence. */
  #since = Infinity;

  /** None is known to begin with. */
  constructor(parts: KnownCommandsParts) {
    this.#parts = parts;
  }

  /** All are known that have an event behind this sequence; `Infinity` where nothing was read. */
  get since(): number {
    return this.#since;
  }

  /** Where the last event of the command is; `undefined` where it was not handled. */
  async find(message: CommandMessage): Promise<SaveReceipt | undefined> {
    const { actorId, id } = message;
    const after = await this.#startOf(message);
    if (after < this.#since) {
      const { receipts, since } = await this.#parts.receiptsOf(actorId, after);
      // What was handled here meanwhile is the latest.
      for (const [id, receipt] of this.#receipts) receipts.set(id, receipt);
      this.#receipts = receipts;
      this.#since = since;
      this.#trim();
    }
    return this.#receipts.get(id);
  }

  /** A command was handled here. */
  add(commandId: string, receipt: SaveReceipt): void {
    this.#receipts.set(commandId, receipt);
    this.#trim();
  }

  /** Nothing is known any more: events may be stored that were not heard of here. */
  forget(): void {
    this.#receipts.clear();
    this.#since = Infinity;
  }

  /** The sequence that all events of the command are behind. */
  async #startOf({ landmark, isDoubtful }: CommandMessage): Promise<number> {
    if (landmark === undefined || this.#since === 0) return 0;
    const isSure = isDoubtful !== true || await this.#parts.holds(landmark);
    return isSure ? landmark.sequence : 0;
  }

  /** Drops those that are known for longest where there are too many. */
  #trim(): void {
    for (const id of this.#receipts.keys()) {
      if (this.#receipts.size <= KEPT) return;
      this.#receipts.delete(id);
    }
  }
}
