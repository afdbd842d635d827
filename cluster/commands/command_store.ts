import { isAetherError, type SaveOutcomeUnknownError } from "../../store/errors.ts";
import type { Event } from "../../store/event.ts";
import type { HandledCommand } from "../../store/fencing/handled_commands.ts";
import { later, type LogPosition } from "../../store/fencing/log_position.ts";
import { ForwardingEventStore } from "../../store/forwarding_store.ts";
import type { SaveOptions, SaveReceipt } from "../../store/options.ts";
import type { EventStore } from "../../store/store.ts";

/**
 * The store that a handler gets for one command. Passes every call on, and remembers the saves and
 * those whose outcome is unknown.
 */
export class CommandStore extends ForwardingEventStore {
  readonly #check: () => void;
  readonly #open = new Set<Promise<SaveReceipt>>();
  /** Saves whose outcome is unknown. */
  readonly unknownSaves: SaveOutcomeUnknownError[] = [];
  /** The saves of each actor. */
  readonly saved: Map<string, HandledCommand> = new Map();
  #landmark: LogPosition | undefined;
  #isOver = false;

  /**
   * Passes every call on to `store`, whose saves carry the command's id; `check` throws once no
   * save may begin any more.
   */
  constructor(store: EventStore, check: () => void) {
    super(store);
    this.#check = check;
  }

  /** The last saved event. */
  get landmark(): LogPosition | undefined {
    return this.#landmark;
  }

  /**
   * See {@linkcode EventStore.saveEvents}; refused after the command's end, when its reply is
   * given.
   */
  override async saveEvents(events: readonly Event[], options?: SaveOptions): Promise<SaveReceipt> {
    if (this.#isOver) throw new TypeError("Cannot save events: the command has been answered");
    this.#check();
    const saving = super.saveEvents(events, options);
    this.#open.add(saving);
    try {
      const receipt = await saving;
      for (const actorId of new Set(events.map((event) => event.actorId))) {
        const before = this.saved.get(actorId)?.events ?? [];
        const own = events.filter((event) => event.actorId === actorId);
        this.saved.set(actorId, { events: [...before, ...own], receipt });
      }
      const { sequence, duplicate } = receipt;
      if (!duplicate) this.#landmark = later({ sequence, id: events.at(-1)!.id }, this.#landmark);
      return receipt;
    } catch (error) {
      if (isAetherError(error, "SaveOutcomeUnknownError")) this.unknownSaves.push(error);
      throw error;
    } finally {
      this.#open.delete(saving);
    }
  }

  /** Refuses saves from now on, and resolves when those under way have ended. */
  async end(): Promise<void> {
    this.#isOver = true;
    while (this.#open.size > 0) await Promise.allSettled(this.#open);
  }
}
