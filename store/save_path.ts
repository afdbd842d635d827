import type { Committer } from "./committer.ts";
import type { EventReader } from "./event_reader.ts";
import type { HeadReader } from "./head_reader.ts";
import type { Heads } from "./heads.ts";
import type { CheckedEvent } from "./prepare.ts";
import type { Publisher } from "./publisher.ts";
import type { Plan } from "./save_queue.ts";
import type { SaveOptions, SaveReceipt } from "./store.ts";
import type { StoredNotifier } from "./stored.ts";
import type { StreamApi } from "./stream.ts";

/** What brings the saves of a store to their ends. */
export interface SavePath {
  /** Stores what is checked already, all or none of it. */
  save(plan: Plan, checked: readonly CheckedEvent[]): Promise<SaveReceipt>;
  /** Resolves when no save is left. */
  idle(): Promise<void>;
}

/** What a store on JetStream is made of. */
export interface StoreParts {
  readonly api: StreamApi;
  readonly heads: Heads;
  readonly reader: HeadReader;
  readonly events: EventReader;
  readonly publisher: Publisher;
  readonly committer: Committer;
  readonly notifier: StoredNotifier;
  readonly shards: number;
  /** How long one request may take, in ms. */
  readonly pause: number;
  /** Deadline of one call, in ms. */
  readonly timeout: number;
}

/** Gives a store another way to save than its own, which is `plain`. */
export type Detour = (parts: StoreParts, plain: SavePath) => SavePath;

/** Options of a save that are no business of the store's users. */
export interface InnerSaveOptions extends SaveOptions {
  /** The command that the save is the outcome of. */
  readonly command?: string | undefined;
}
