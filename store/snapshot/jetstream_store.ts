import { asGiven, needObject, needOpened } from "../base/given.ts";
import type { StreamConfig } from "@nats-io/jetstream";
import { KeyedQueue } from "../base/keyed_queue.ts";
import { MAX_BYTES, roomProblem, roomProblems } from "../check/events.ts";
import { checkRange } from "../check/query.ts";
import { checkCodec } from "../check/store_options.ts";
import type { Codec } from "../codec.ts";
import type { Connection } from "../connection.ts";
import { InvalidSnapshotError, StoreUnavailableError, StreamConfigError } from "../errors.ts";
import { SnapshotLayout } from "../format/layout.ts";
import { TimelyCodec } from "../format/timely_codec.ts";
import { apiPrefixOf, type JetStreamApiOptions } from "../nats/api_prefix.ts";
import { ensureStream, needConnection, opening, openRequests } from "../nats/open.ts";
import { requestTimeoutOf } from "../nats/request_timeout.ts";
import type { RequestMux } from "../nats/requests.ts";
import { attempt } from "../nats/retry.ts";
import { StreamApi } from "../nats/stream_api.ts";
import { FORBIDDEN, problemsOf } from "../nats/stream_config.ts";
import { checkQuery, encodeSnapshot } from "./body.ts";
import { SnapshotLog } from "./log.ts";
import type { Snapshot, SnapshotQuery, SnapshotStore } from "./snapshot.ts";

/** Options for {@linkcode JetStreamSnapshotStore.open}. */
export interface JetStreamSnapshotStoreOptions extends JetStreamApiOptions {
  /** Keeps stores apart: usually the event store's namespace. @default {"default"} */
  readonly namespace?: string;
  /** Copies of the stream, counted when it is made. Use 3 in production. @default {1} */
  readonly replicas?: number;
  /**
   * How many snapshots the stream keeps of an actor by one name and schema, from 1 to 64, fixed when it is
   * made. The store reads the ones before the last only if the last cannot be read. @default {2}
   */
  readonly keep?: number;
  /** Deadline of one call in ms; each try waits at most a fifth of it. @default {10_000} */
  readonly timeout?: number;
  /**
   * Turns snapshots into the bytes that are kept, and back; lifts the rules on `state`.
   *
   * @default {JSON}
   */
  readonly codec?: Codec<Snapshot>;
}

/** The most snapshots of an actor, as a read may have to look through all of them. */
const MAX_KEEP = 64;

/** The settings that a stream needs to keep snapshots. */
const REQUIRED = {
  retention: "limits",
  storage: "file",
  discard: "old",
  max_age: 0,
  max_msgs: -1,
  allow_direct: true,
} as const;

/**
 * A {@linkcode SnapshotStore} on one JetStream stream, beside that of the events. The server
 * decides every save by compare-and-set on the subject of the actor, name and schema, so that an
 * older snapshot never replaces a newer one, whichever process writes; a read is one request.
 *
 * Snapshots of other names and schemas have other subjects: while old and new code run side by
 * side, each has its own. Snapshots that no code reads any more stay until an operator purges
 * them: `nats stream purge AETHER-SNAPSHOT_shop --subject "aether-snapshot.shop.order.1.*"`.
 *
 * @example Keep a state, and find it again
 * ```ts ignore
 * import { connect } from "@nats-io/transport-node";
 * import { JetStreamSnapshotStore } from "@flowmade-one/aether";
 *
 * const connection = await connect({ servers: "127.0.0.1:4222", maxReconnectAttempts: -1 });
 * await using store = await JetStreamSnapshotStore.open(connection, { namespace: "shop" }); // Deno, or Node 24 and newer
 * await store.saveSnapshot({
 *   actorId: "order-123",
 *   name: "order",
 *   version: 100,
 *   schemaVersion: 1,
 *   state: { total: 99.99 },
 *   timestamp: new Date(),
 * });
 * const query = { name: "order", schemaVersion: 1 };
 * const snapshot = await store.getLatestSnapshot("order-123", query);
 * ```
 */
export class JetStreamSnapshotStore implements SnapshotStore {
  /** Keeps stores apart. */
  readonly namespace: string;
  /** The JetStream stream that holds the snapshots. */
  readonly stream: string;
  readonly #connection: Connection;
  readonly #layout: SnapshotLayout;
  readonly #requests: RequestMux;
  readonly #codec: TimelyCodec<Snapshot> | undefined;
  readonly #log: SnapshotLog;
  readonly #timeout: number;
  readonly #maxMessage: number;
  readonly #lanes = new KeyedQueue();
  #disposed = false;

  private constructor(
    connection: Connection,
    api: StreamApi<SnapshotLayout>,
    config: StreamConfig,
    options: JetStreamSnapshotStoreOptions,
  ) {
    needOpened(api instanceof StreamApi, "JetStreamSnapshotStore", "open(connection, options)");
    const { namespace = "default", timeout = 10_000, codec } = options;
    this.namespace = namespace;
    this.stream = api.layout.stream;
    this.#connection = connection;
    this.#layout = api.layout;
    this.#requests = api.requests;
    this.#codec = TimelyCodec.of(codec, timeout);
    this.#log = new SnapshotLog(api, this.#codec, requestTimeoutOf(timeout));
    this.#timeout = timeout;
    const { max_msg_size: limit = -1 } = config;
    this.#maxMessage = limit > 0 ? limit : Infinity;
  }

  /**
   * Opens the store of a namespace, and makes its stream if there is none. It verifies an existing
   * stream and never changes it. The caller closes the connection.
   *
   * @throws {UnsupportedServerError} The server is older than 2.12; nothing was written.
   * @throws {StreamConfigError} The stream cannot keep snapshots, or not as many as asked for.
   * @throws {StoreUnavailableError} JetStream does not answer.
   * @throws {StoreRefusedError} There is no JetStream, or the user may not use it.
   * @throws {TypeError} An option is of another kind; nothing was written.
   * @throws {RangeError} An option is out of its range; likewise.
   */
  static async open(
    connection: Connection,
    options: JetStreamSnapshotStoreOptions = {},
  ): Promise<JetStreamSnapshotStore> {
    needConnection(connection, "open the store");
    needObject(options, "open the store", "options");
    const own = asGiven(options);
    const { namespace = "default", replicas = 1, keep, timeout = 10_000 } = own;
    const layout = new SnapshotLayout(namespace);
    checkCodec(own);
    checkRange("replicas", replicas, 1, 5);
    if (keep !== undefined) checkRange("keep", keep, 1, MAX_KEEP);
    checkRange("timeout", timeout, 1, 2 ** 31 - 1);
    const prefix = apiPrefixOf(own);
    const requests = openRequests(connection);
    try {
      const api = new StreamApi(requests, layout, prefix);
      const config = await opening(api, timeout, async () => {
        const wanted = configOf(layout, replicas, keep ?? 2);
        const found = await ensureStream(
          api,
          wanted,
          timeout,
          layout.snapshot("probe", "probe", 0),
        );
        const rules = { subjects: layout.subjects, required: REQUIRED, forbidden: FORBIDDEN };
        const problems = [
          ...problemsOf(found, rules),
          ...keepProblems(found, keep),
          ...roomProblems(requests.maxPayload, found),
        ];
        if (problems.length > 0) throw new StreamConfigError(layout.stream, problems);
        return found;
      });
      return new JetStreamSnapshotStore(connection, api, config, own);
    } catch (error) {
      requests.close();
      throw error;
    }
  }

  /**
   * See {@linkcode SnapshotStore.saveSnapshot}. After a {@linkcode StoreUnavailableError} the
   * snapshot may be kept or not; saving it again is safe.
   */
  async saveSnapshot(snapshot: Snapshot): Promise<boolean> {
    this.#checkOpen("save snapshot");
    const { max_payload = MAX_BYTES } = this.#connection.info ?? {};
    const problem = roomProblem("max_payload of the server", max_payload);
    if (problem !== undefined) throw new InvalidSnapshotError(problem);
    const maxBytes = Math.min(max_payload, this.#maxMessage);
    const body = encodeSnapshot(snapshot, { maxBytes, codec: this.#codec });
    const { actorId, name, version, schemaVersion } = snapshot;
    const subject = this.#layout.snapshot(actorId, name, schemaVersion);
    const deadline = performance.now() + this.#timeout;
    return await this.#lanes.run(
      [subject],
      async () => {
        const save = { subject, actorId, name, version, schemaVersion, body: await body };
        return await this.#log.save(save, deadline);
      },
    );
  }

  /** See {@linkcode SnapshotStore.getLatestSnapshot}. */
  async getLatestSnapshot<State = unknown>(
    actorId: string,
    query: SnapshotQuery,
  ): Promise<Snapshot<State> | undefined> {
    checkQuery(actorId, query);
    const what = `read the snapshot of "${actorId}"`;
    this.#checkOpen(what);
    const { name, schemaVersion } = query;
    const subject = this.#layout.snapshot(actorId, name, schemaVersion);
    const { snapshot } = await attempt(
      this.#requests,
      this.#timeout,
      what,
      () => this.#log.read({ subject, actorId, name, schemaVersion }),
    );
    return snapshot as Snapshot<State> | undefined;
  }

  /** Waits for saves under way; the connection stays open. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#lanes.idle();
    this.#requests.close();
    this.#codec?.end();
  }

  #checkOpen(what: string): void {
    if (this.#disposed) throw new StoreUnavailableError(`Cannot ${what}: the store is disposed`);
  }
}

function configOf(layout: SnapshotLayout, replicas: number, keep: number): Partial<StreamConfig> {
  return {
    name: layout.stream,
    subjects: [...layout.subjects],
    ...REQUIRED,
    max_msgs_per_subject: keep,
    num_replicas: replicas,
    metadata: { "aether-snapshot-format": "1" },
  } as Partial<StreamConfig>;
}

/** The problem with the number of snapshots that a stream keeps, if there is one. */
function keepProblems(config: StreamConfig, keep: number | undefined): string[] {
  const { max_msgs_per_subject: actual } = config;
  if (keep !== undefined && actual !== keep) {
    return [`max_msgs_per_subject is ${actual} and must be ${keep}, the value of keep`];
  }
  return actual >= 1 && actual <= MAX_KEEP
    ? []
    : [`max_msgs_per_subject is ${actual} and must be from 1 to ${MAX_KEEP}`];
}
