import type { Event } from "./event.ts";
import type { ReadOptions, SaveReceipt } from "./options.ts";

/** Events whose messages are searched if nothing says how old a command may be: the last ones. */
export const SEARCHED_EVENTS = 1000;

/** Where an actor's history ends: its last message, which may be a receipt. */
export interface ActorEnd {
  /** Version of its last event; 0 if it has none. */
  readonly version: number;
  /** The stream sequence of its last message; 0 if it has none. */
  readonly sequence: number;
}

/** Where the outcome of a command is stored. */
export interface CommandPlace {
  /** The stream sequences of the messages that hold its events, or of its receipt. */
  readonly messages: readonly number[];
  /** The version of its last event; of a receipt, the actor's. */
  readonly version: number;
  /** How many events it has; 0 for a receipt. */
  readonly events: number;
}

/** The commands that an actor's messages are the outcome of. */
export interface CommandSearch {
  /** Where the actor ended when the search began. */
  readonly end: ActorEnd;
  /** The commands by their ids, in the order they were handled. */
  readonly found: ReadonlyMap<string, CommandPlace>;
  /** Every command is found that has a message behind this stream sequence. */
  readonly since: number;
  /** The actor's last message as the search has read it, for {@linkcode InnerReadOptions.last}. */
  readonly last?: object | undefined;
}

/** Options of a read that are no business of the store's users. */
export interface InnerReadOptions extends ReadOptions {
  /** The actor's last message, of a {@linkcode CommandSearch} just now: it is not asked for again. */
  readonly last?: object | undefined;
}

/** The outcome of a command that led to no event. */
export interface CommandReceipt {
  readonly actorId: string;
  readonly commandId: string;
  /** The end of the actor that the outcome rests on. */
  readonly end: ActorEnd;
  /** Plain data that JSON can carry. */
  readonly outcome: unknown;
}

/** The stored outcome of a command. */
export interface StoredOutcome {
  /** Its events of the actor, in order. */
  readonly events: readonly Event[];
  /** The position of the last one, or of the receipt. */
  readonly sequence: number;
  /** The outcome in the receipt, if there are no events. */
  readonly outcome?: unknown;
}

/** The outcomes of commands that a store keeps beside events. */
export interface CommandLog {
  /**
   * Looks through the actor's messages behind stream sequence `after`, or stored at a time or later,
   * up to its end as the server says now. Without `after`, those that hold its last 1,000 events.
   *
   * @throws {StoreUnavailableError} The store could not be reached.
   */
  search(actorId: string, after?: number | Date): Promise<CommandSearch>;
  /** Whether the event with this id is at this position. */
  holds(sequence: number, id: string): Promise<boolean>;
  /**
   * The outcome of a command that is stored at `place`.
   *
   * @throws {CorruptEventError} It cannot be read.
   */
  outcome(actorId: string, commandId: string, place: CommandPlace): Promise<StoredOutcome>;
  /**
   * Stores the outcome of a command that led to no event, if the actor still ends at `end`.
   *
   * @throws {VersionConflictError} Another message of the actor was stored since.
   * @throws {SaveOutcomeUnknownError} The server did not answer before the deadline.
   * @throws {StoreUnavailableError} The store could not be reached; nothing was stored.
   */
  record(receipt: CommandReceipt, signal?: AbortSignal): Promise<SaveReceipt>;
}

const logs = new WeakMap<object, CommandLog>();

/** Keeps the command log of `store`, for {@linkcode commandLogOf}. */
export function keepCommandLog(store: object, log: CommandLog | undefined): void {
  if (log !== undefined) logs.set(store, log);
}

/** The command log of `store`; `undefined` for a store of the user's own. */
export function commandLogOf(store: object): CommandLog | undefined {
  return logs.get(store);
}

/**
 * Refuses a store of the user's own, to which no command can be given under an id.
 *
 * @throws {TypeError} It is one.
 */
export function needCommandLog(store: object, doing: string): void {
  if (commandLogOf(store) !== undefined) return;
  throw new TypeError(
    `Cannot ${doing}: store is none of this library, and only those keep the ids of commands`,
  );
}
