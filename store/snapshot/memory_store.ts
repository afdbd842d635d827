import { needObject } from "../base/given.ts";
import { KeyedQueue } from "../base/keyed_queue.ts";
import { LEAST_MESSAGE, MAX_BYTES } from "../check/events.ts";
import { checkRange } from "../check/query.ts";
import { checkCodec } from "../check/store_options.ts";
import type { Codec } from "../codec.ts";
import { StoreUnavailableError } from "../errors.ts";
import { CODEC_TIMEOUT, TimelyCodec } from "../format/timely_codec.ts";
import { checkQuery, decodeSnapshot, encodeSnapshot, type SnapshotEncoding } from "./body.ts";
import type { Snapshot, SnapshotQuery, SnapshotStore } from "./snapshot.ts";

/** Options for {@linkcode InMemorySnapshotStore}. */
export interface InMemorySnapshotStoreOptions {
  /** Bytes that one snapshot with its headers may take, like a server's `max_payload`. @default {1048576} */
  readonly maxBytes?: number;
  /**
   * Turns snapshots into the bytes that are kept, and back; lifts the rules on `state`.
   *
   * @default {JSON}
   */
  readonly codec?: Codec<Snapshot>;
}

/** A snapshot as it is kept: encoded, so that it shares nothing with the caller's objects. */
interface Kept {
  readonly version: number;
  readonly body: Uint8Array;
}

/** The place of an actor's snapshots of one name and schema. */
type Place = Pick<Snapshot, "actorId" | "name" | "schemaVersion">;

/**
 * A {@linkcode SnapshotStore} in memory: the newest snapshot of each actor, name and schema, gone
 * with the process. It accepts and refuses the same snapshots as the JetStream one.
 *
 * @example An older snapshot never replaces a newer one
 * ```ts
 * import { InMemorySnapshotStore } from "@flowmade-one/aether";
 *
 * await using store = new InMemorySnapshotStore(); // Deno, or Node 24 and newer
 * const order = { actorId: "order-123", name: "order", schemaVersion: 1, timestamp: new Date() };
 * console.log(await store.saveSnapshot({ ...order, version: 200, state: "shipped" })); // true
 * console.log(await store.saveSnapshot({ ...order, version: 100, state: "placed" })); // false
 * const snapshot = await store.getLatestSnapshot("order-123", { name: "order", schemaVersion: 1 });
 * console.log(snapshot?.version, snapshot?.state); // 200 shipped
 * ```
 */
export class InMemorySnapshotStore implements SnapshotStore {
  /** By name, schema and actor. */
  readonly #kept = new Map<string, Kept>();
  readonly #codec: TimelyCodec<Snapshot> | undefined;
  readonly #encoding: SnapshotEncoding;
  readonly #lanes = new KeyedQueue();
  #disposed = false;

  /** Begins empty. */
  constructor(options: InMemorySnapshotStoreOptions = {}) {
    needObject(options, "open the store", "options");
    const { maxBytes = MAX_BYTES, codec } = options;
    checkCodec(options);
    checkRange("maxBytes", maxBytes, LEAST_MESSAGE, Number.MAX_SAFE_INTEGER);
    this.#codec = TimelyCodec.of(codec, CODEC_TIMEOUT);
    this.#encoding = { maxBytes, codec: this.#codec };
  }

  /** See {@linkcode SnapshotStore.saveSnapshot}. */
  async saveSnapshot(snapshot: Snapshot): Promise<boolean> {
    this.#checkOpen("save snapshot");
    const encoding = encodeSnapshot(snapshot, this.#encoding);
    const { actorId, name, version, schemaVersion } = snapshot;
    const place = { actorId, name, schemaVersion };
    const key = snapshotKey(place);
    return await this.#lanes.run([key], async () => {
      const body = await encoding;
      const isOld = version <= (this.#kept.get(key)?.version ?? 0);
      // One that cannot be read counts as lost, and is in nobody's way.
      if (isOld && await this.#read(place) !== undefined) return false;
      this.#kept.set(key, { version, body });
      return true;
    });
  }

  /** See {@linkcode SnapshotStore.getLatestSnapshot}. */
  async getLatestSnapshot<State = unknown>(
    actorId: string,
    query: SnapshotQuery,
  ): Promise<Snapshot<State> | undefined> {
    checkQuery(actorId, query);
    this.#checkOpen(`read the snapshot of "${actorId}"`);
    const { name, schemaVersion } = query;
    return await this.#read({ actorId, name, schemaVersion }) as Snapshot<State> | undefined;
  }

  /** Waits for saves under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#lanes.idle();
    this.#codec?.end();
  }

  async #read(place: Place): Promise<Snapshot | undefined> {
    const kept = this.#kept.get(snapshotKey(place));
    return kept && await decodeSnapshot(kept.body, place, this.#encoding.codec);
  }

  #checkOpen(what: string): void {
    if (this.#disposed) throw new StoreUnavailableError(`Cannot ${what}: the store is disposed`);
  }
}

function snapshotKey({ actorId, name, schemaVersion }: Place): string {
  return JSON.stringify([name, schemaVersion, actorId]);
}
