import { commandLogOf, keepCommandLog } from "../../store/command_log.ts";
import { isAetherError, type SaveOutcomeUnknownError } from "../../store/errors.ts";
import type { Event } from "../../store/event.ts";
import { later, type LogPosition } from "../../store/fencing/log_position.ts";
import { ForwardingEventStore } from "../../store/forwarding_store.ts";
import type { SaveOptions, SaveReceipt } from "../../store/options.ts";
import type { EventStore } from "../../store/store.ts";

/** The functions that the store of a command calls. */
export interface CommandStoreHooks {
  /** Throws once no save may begin any more. */
  readonly check: () => void;
  /** Takes note of events of an actor that are stored. */
  readonly saved: (actorId: string, receipt: SaveReceipt) => void;
  /** Takes note of the error of a save that failed. */
  readonly failed: (error: unknown) => void;
}

/**
 * The store that a handler gets for one command. Passes every call on, and remembers the saves and
 * those whose outcome is unknown.
 */
export class CommandStore extends ForwardingEventStore {
  readonly #hooks: CommandStoreHooks;
  readonly #open = new Set<Promise<SaveReceipt>>();
  // A handler has this object: nothing of it may be its to change.
  readonly #unknownSaves: SaveOutcomeUnknownError[] = [];
  readonly #unknownActors = new Set<string>();
  readonly #saved = new Set<string>();
  #hasStored = false;
  #landmark: LogPosition | undefined;
  #isOver = false;

  /** Passes every call on to `store`, whose saves carry the command's id. */
  constructor(store: EventStore, hooks: CommandStoreHooks) {
    super(store);
    this.#hooks = hooks;
    const log = commandLogOf(store);
    keepCommandLog(
      this,
      log && {
        search: (actorId, after) => log.search(actorId, after),
        holds: (sequence, id) => log.holds(sequence, id),
        outcome: (actorId, commandId, place) => log.outcome(actorId, commandId, place),
        record: (receipt, signal) =>
          this.#while([receipt.actorId], () => log.record(receipt, signal)),
      },
    );
  }

  /** Saves whose outcome is unknown. */
  get unknownSaves(): readonly SaveOutcomeUnknownError[] {
    return this.#unknownSaves;
  }

  /** The actors of these saves. */
  get unknownActors(): ReadonlySet<string> {
    return this.#unknownActors;
  }

  /** The actors that have events of the command. */
  get saved(): ReadonlySet<string> {
    return this.#saved;
  }

  /** The last saved event. */
  get landmark(): LogPosition | undefined {
    return this.#landmark;
  }

  /** Whether the stream has taken events of the command while it ran. */
  get hasStored(): boolean {
    return this.#hasStored;
  }

  /**
   * See {@linkcode EventStore.saveEvents}; refused after the command's end, when its reply is
   * given.
   */
  override async saveEvents(events: readonly Event[], options?: SaveOptions): Promise<SaveReceipt> {
    const { actors, lastId } = factsOf(events);
    return await this.#while(actors, async () => {
      const receipt = await super.saveEvents(events, options);
      for (const actorId of actors) {
        this.#saved.add(actorId);
        this.#hooks.saved(actorId, receipt);
      }
      const { sequence, duplicate } = receipt;
      if (!duplicate) {
        this.#hasStored = true;
        this.#landmark = later({ sequence, id: lastId }, this.#landmark);
      }
      return receipt;
    });
  }

  /** Stores something of actors, as long as the command runs; its end waits for that. */
  async #while(
    actors: readonly string[],
    store: () => Promise<SaveReceipt>,
  ): Promise<SaveReceipt> {
    if (this.#isOver) throw new TypeError("Cannot save events: the command has been answered");
    this.#hooks.check();
    const saving = store();
    this.#open.add(saving);
    try {
      return await saving;
    } catch (error) {
      this.#hooks.failed(error);
      if (isAetherError(error, "SaveOutcomeUnknownError")) {
        this.#unknownSaves.push(error);
        for (const actorId of actors) this.#unknownActors.add(actorId);
      }
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

/**
 * The actors of events and the last id, read when a save begins: its caller may change the events
 * while it is under way. None of events that cannot be read, which no store takes.
 */
function factsOf(
  events: readonly Event[],
): { readonly actors: readonly string[]; readonly lastId: string } {
  try {
    const actors = [...new Set(events.map(({ actorId }) => actorId))];
    return { actors, lastId: events.at(-1)!.id };
  } catch {
    return { actors: [], lastId: "" };
  }
}
