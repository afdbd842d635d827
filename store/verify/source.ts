import type { Event } from "../event.ts";
import type { Layout } from "../format/layout.ts";
import type { StreamSequence } from "../format/position.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { StoredRun } from "../read/stored_run.ts";

/** The stored messages of a store, in order. */
export interface VerifySource {
  /** Tells the store from any other. */
  readonly identity: string;
  /** Shards that actors are spread over. */
  readonly shards: number;
  /** The subjects of messages. */
  readonly layout: Layout;
  /** The last sequence that is taken. */
  end(): Promise<StreamSequence>;
  /** The messages behind `after` up to `end`, in order, as far as they are there. */
  pages(
    after: StreamSequence,
    end: StreamSequence,
    signal: AbortSignal,
  ): AsyncIterable<readonly StoredMessage[]>;
  /** Messages from `first` to `last` that {@linkcode pages} did not give and that are there. */
  missed(first: StreamSequence, last: StreamSequence): AsyncIterable<StoredMessage>;
  /** Whether the sequences from `first` to `last`, which have no message, never had one. */
  isUnused(first: StreamSequence, last: StreamSequence): boolean;
  /** The message at `sequence`. */
  at(sequence: StreamSequence): Promise<StoredMessage | undefined>;
  /** The last message on a subject before `sequence`. */
  lastBefore(subject: string, sequence: StreamSequence): Promise<StoredMessage | undefined>;
  /** Whether the store says before `sequence` that the actor may have no events. */
  isUnborn(actorId: string, sequence: StreamSequence): Promise<boolean>;
  /** The event of `actorId` with this index in its message. */
  eventAt(run: StoredRun, index: number, actorId: string): Event | Promise<Event>;
}
