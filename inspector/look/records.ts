import type { Leader } from "../../cluster/election/leader_key.ts";
import { LEADER_KEY, leaderIn } from "../../cluster/election/leader_key.ts";
import { decodeView } from "../../cluster/membership/view_json.ts";
import { type ClusterView, EMPTY_VIEW } from "../../cluster/membership/view.ts";
import { MAP_KEY } from "../../cluster/sharding/shard_coordinator.ts";
import type { ShardMap } from "../../cluster/sharding/shard_map.ts";
import { parseShardMap } from "../../cluster/sharding/shard_map_json.ts";
import { clusterBucket, VIEW_KEY } from "../../cluster/subjects.ts";
import { decodeToken } from "../../store/base/token.ts";
import { decodeUtf8 } from "../../store/base/utf8.ts";
import { bucketStream } from "../../store/kv/bucket_config.ts";
import { endIn } from "../../store/kv/bucket.ts";
import type { BucketEntry } from "../../store/kv/entry.ts";
import { readLastValues } from "../../store/kv/last_values.ts";
import { attempt } from "../../store/nats/retry.ts";
import { StreamApi } from "../../store/nats/stream_api.ts";
import { checkpointIn, projectionBucket } from "../../store/projection/kv_checkpoints.ts";
import type { ReaderParts } from "../../store/read/pages.ts";

/** The keys of a bucket that are wanted, read without opening it, which would make it. */
class BucketRecords {
  readonly #api: StreamApi<{ readonly stream: string }>;
  readonly #parts: ReaderParts;
  readonly #patterns: readonly string[];
  readonly #prefix: string;
  /** The bucket's last sequence when it was read, and what it held. */
  #sequence = -1;
  #entries: ReadonlyMap<string, BucketEntry> = new Map();

  constructor(parts: ReaderParts, bucket: string, patterns: readonly string[]) {
    const { requests, prefix } = parts.api;
    this.#api = new StreamApi(requests, { stream: bucketStream(bucket) }, prefix);
    this.#parts = parts;
    this.#patterns = patterns;
    this.#prefix = `$KV.${bucket}.`;
  }

  /** The entries by key; `undefined` if there is no such bucket. */
  read(): Promise<ReadonlyMap<string, BucketEntry> | undefined> {
    const { api: { requests }, timeout } = this.#parts;
    return attempt(requests, timeout, "read records", () => this.#read());
  }

  async #read(): Promise<ReadonlyMap<string, BucketEntry> | undefined> {
    const { requestTimeout } = this.#parts;
    const info = await this.#api.info(requestTimeout);
    if (info === undefined) return undefined;
    const { messages, last_seq: last } = info.state;
    if (last === this.#sequence) return this.#entries;
    const entries = new Map<string, BucketEntry>();
    for (const pattern of messages === 0 ? [] : this.#patterns) {
      const values = await readLastValues(this.#api, this.#prefix + pattern, requestTimeout);
      for (const message of values.messages) {
        if (endIn(message) !== undefined) continue;
        const key = message.subject.slice(this.#prefix.length);
        entries.set(key, { key, revision: message.sequence, value: message.data });
      }
    }
    this.#sequence = last;
    return this.#entries = entries;
  }
}

/** The records of projections, reactors and processes in a namespace's bucket. */
export class ProjectionRecords {
  readonly #bucket: BucketRecords;

  /** Reads over the connection of a store on JetStream. */
  constructor(parts: ReaderParts, namespace: string) {
    this.#bucket = new BucketRecords(parts, projectionBucket(namespace), [
      "checkpoint.*.control",
      "checkpoint.*.*.*",
      "checkpoint.*",
      "lease.>",
    ]);
  }

  /** The records by now. */
  async read(): Promise<SavedProjections> {
    return new SavedProjections(await this.#bucket.read() ?? new Map());
  }
}

/** The names of projections whose controls are among keys of the bucket; passes over keys of others. */
export function projectionsIn(keys: Iterable<string>): string[] {
  return [...keys].flatMap((key) => {
    const [, token] = /^checkpoint\.([^.]+)\.control$/.exec(key) ?? [];
    try {
      return token === undefined ? [] : decodeToken(token);
    } catch {
      return []; // Whoever may write to the bucket has made it.
    }
  }).sort();
}

/** The content of a namespace's bucket of projections at a moment. */
export class SavedProjections {
  readonly #entries: ReadonlyMap<string, BucketEntry>;

  /** Takes the entries by key. */
  constructor(entries: ReadonlyMap<string, BucketEntry>) {
    this.#entries = entries;
  }

  /** The names of projections that have a control. */
  get names(): string[] {
    return projectionsIn(this.#entries.keys());
  }

  /** The text that a checkpoint store has under `key`. */
  body(key: string): string | undefined {
    const value = this.#entries.get(`checkpoint.${key}`)?.value;
    return value && checkpointIn(value).body;
  }

  /** The process that has a partition by a lease that has not ended; `undefined` if none has. */
  ownerOf(token: string, version: number, partition: number): string | undefined {
    const value = this.#entries.get(`lease.${token}.${version}.${partition}`)?.value;
    const worker = value && decodeUtf8(value);
    if (!worker || !this.#entries.has(`lease.${token}.worker.${worker}`)) return undefined;
    return worker.slice(0, worker.indexOf("_"));
  }
}

/** The records of a cluster at a moment. */
export interface SavedCluster {
  readonly view: ClusterView;
  readonly leader: Leader | undefined;
  readonly map: ShardMap | undefined;
}

/** The records of a cluster in its namespace's bucket. */
export class ClusterRecords {
  readonly #bucket: BucketRecords;

  /** Reads over the connection of a store on JetStream. */
  constructor(parts: ReaderParts, namespace: string) {
    const keys = [VIEW_KEY, LEADER_KEY, MAP_KEY];
    this.#bucket = new BucketRecords(parts, clusterBucket(namespace), keys);
  }

  /** The records by now; `undefined` if there never was a cluster. */
  async read(): Promise<SavedCluster | undefined> {
    const entries = await this.#bucket.read();
    if (entries === undefined) return undefined;
    const [view, leader, map] = [VIEW_KEY, LEADER_KEY, MAP_KEY].map((key) => entries.get(key));
    return {
      view: view === undefined ? EMPTY_VIEW : decodeView(view.value!),
      leader: leader && leaderIn(leader),
      map: map && parseShardMap(decodeUtf8(map.value!)),
    };
  }
}
