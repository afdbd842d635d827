import { shardOf } from "../actor.ts";
import type { StoredNotifier } from "../event_stored.ts";
import { type DecoderParts, EventDecoder } from "../format/decode.ts";
import type { OpenedStream } from "./event_stream.ts";
import type { JetStreamEventStoreOptions } from "./options.ts";
import { Publisher } from "../nats/publisher.ts";
import { requestTimeoutOf } from "../nats/request_timeout.ts";
import type { StreamApi } from "../nats/stream_api.ts";
import { EndReader } from "../read/end_reader.ts";
import { EventReader } from "../read/event_reader.ts";
import { HeadReader } from "../read/head_reader.ts";
import { HeadCache } from "../read/heads.ts";
import { ManyEnds } from "../read/many_ends.ts";
import { StreamCheck } from "../read/stream_check.ts";
import { Committer } from "../save/committer.ts";
import type { StoreInternals } from "../save/path.ts";
import { SaveQueue } from "../save/queue.ts";
import { SharedCommits } from "../save/shared_commit.ts";

/** The parts of a store, with those that no other way to save needs. */
export interface OwnParts extends StoreInternals {
  readonly ends: EndReader;
  readonly manyEnds: ManyEnds;
  /** The store's own way to save. */
  readonly queue: SaveQueue;
}

/** Puts the parts of a store on the opened stream together. */
export function partsOf(
  api: StreamApi,
  { genesis: { shards }, identity, config: { num_replicas } }: OpenedStream,
  options: JetStreamEventStoreOptions,
  reading: DecoderParts,
  notifier: StoredNotifier,
): OwnParts {
  const { timeout = 10_000, cacheSize = 100_000 } = options;
  const requestTimeout = requestTimeoutOf(timeout);
  const replicated = num_replicas > 1;
  const heads = new HeadCache(cacheSize);
  const check = new StreamCheck({ api, heads, identity, requestTimeout });
  const ends = new EndReader(api, heads, check, requestTimeout, replicated);
  const headReader = new HeadReader(api, heads, ends, check, shards, requestTimeout);
  const manyEnds = new ManyEnds({ api, heads, headReader, check, requestTimeout, replicated });
  const publisher = new Publisher(api, {
    subject: api.layout.commit(0),
    first: api.layout.genesis,
  });
  const markerOf = (actorId: string) => api.layout.commit(shardOf(actorId, shards));
  const committer = new Committer({
    ...{ api, heads, headReader, check, publisher, requestTimeout, markerOf },
  });
  const commits = options.groupCommit === true
    ? new SharedCommits(committer, publisher.limits)
    : committer;
  const queue = new SaveQueue(commits, notifier);
  const events = new EventReader(new EventDecoder({ ...reading, timeout }));
  return {
    ...{
      api,
      heads,
      headReader,
      check,
      ends,
      manyEnds,
      events,
      publisher,
      committer,
      queue,
      notifier,
    },
    ...{ shards, requestTimeout, timeout, replicated },
  };
}
