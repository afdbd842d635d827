import type { StoredNotifier } from "../event_stored.ts";
import type { CheckedEvent } from "../format/encode.ts";
import type { Publisher } from "../nats/publisher.ts";
import type { StreamApi } from "../nats/stream_api.ts";
import type { SaveReceipt } from "../options.ts";
import type { EventReader } from "../read/event_reader.ts";
import type { HeadReader } from "../read/head_reader.ts";
import type { HeadCache } from "../read/heads.ts";
import type { StreamCheck } from "../read/stream_check.ts";
import type { Committer } from "./committer.ts";
import type { SavePlan } from "./plan.ts";

/** The way that saves of a store take. */
export interface SavePath {
  /** Stores what is checked already, all or none of it. */
  save(plan: SavePlan, checked: readonly CheckedEvent[]): Promise<SaveReceipt>;
  /** Resolves when no save is left. */
  idle(): Promise<void>;
}

/** The parts of a store on JetStream. */
export interface StoreInternals {
  readonly api: StreamApi;
  readonly heads: HeadCache;
  readonly headReader: HeadReader;
  readonly check: StreamCheck;
  readonly events: EventReader;
  readonly publisher: Publisher;
  readonly committer: Committer;
  readonly notifier: StoredNotifier;
  readonly shards: number;
  /** How long one request may take, in ms. */
  readonly requestTimeout: number;
  /** Deadline of one call, in ms. */
  readonly timeout: number;
  /** Whether the stream has followers. */
  readonly replicated: boolean;
}

/** Gives a store another way to save than its own, which is `plain`. */
export type SavePathFactory = (parts: StoreInternals, plain: SavePath) => SavePath;
