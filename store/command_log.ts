import type { SaveReceipt } from "./options.ts";

/** Where an actor's history ends: its last message, which may be a receipt. */
export interface ActorEnd {
  /** Version of its last event; 0 if it has none. */
  readonly version: number;
  /** The stream sequence of its last message; 0 if it has none. */
  readonly sequence: number;
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

/** What a store keeps of commands beside the events that they led to. */
export interface CommandLog {
  /**
   * Stores the outcome of a command that led to no event, if the actor still ends at `end`.
   *
   * @throws {VersionConflictError} Another message of the actor was stored since.
   * @throws {SaveOutcomeUnknownError} The server did not answer before the deadline.
   * @throws {StoreUnavailableError} The store could not be reached; nothing was stored.
   */
  record(receipt: CommandReceipt, signal?: AbortSignal): Promise<SaveReceipt>;
  /** Where the actor ends, as the server says now. */
  endOf(actorId: string): Promise<ActorEnd>;
}

const logs = new WeakMap<object, CommandLog>();

/** Says what `store` keeps of commands. */
export function keepCommandLog(store: object, log: CommandLog): void {
  logs.set(store, log);
}

/** What `store` keeps of commands; `undefined` for a store of the user's own. */
export function commandLogOf(store: object): CommandLog | undefined {
  return logs.get(store);
}
