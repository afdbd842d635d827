import { asGiven, needOpened } from "../base/given.ts";
import type { Connection } from "../connection.ts";
import type { JetStreamApiOptions } from "../nats/api_prefix.ts";
import { Bucket } from "../kv/bucket.ts";
import { projectionBucket } from "./kv_checkpoints.ts";

/** Options for {@linkcode ProjectionLeases.open}. */
export interface ProjectionLeasesOptions extends JetStreamApiOptions {
  /** Keeps projections apart: usually the event store's namespace. @default {"default"} */
  readonly namespace?: string;
  /** Copies of the bucket, counted when it is made. Use 3 in production. @default {1} */
  readonly replicas?: number;
  /** Deadline of one call in ms; each try waits at most a fifth of it. @default {10_000} */
  readonly timeout?: number;
  /**
   * How long a process counts as alive after its last sign of life, in ms, whole seconds from
   * 2,000: after that, others take over its partitions. @default {5_000}
   */
  readonly lease?: number;
}

/** The parts of {@linkcode ProjectionLeases} that projections use. */
export interface LeaseStore {
  readonly bucket: Bucket;
  /** In ms. */
  readonly lease: number;
  /** Names the process: the same for all projections on one connection. */
  readonly process: string;
}

const leaseStores = new WeakMap<ProjectionLeases, LeaseStore>();

/**
 * Shares the partitions of projections among the processes that run them, by keys in a NATS
 * key-value bucket: as evenly as possible, those of all projections together, none in two processes
 * at a time. Open all of a process's leases on one connection. When a process joins
 * or leaves, partitions move within milliseconds, after the event at hand. When a process is
 * killed, the others take over its partitions once its lease expires.
 *
 * Leases divide the work, they do not guard it: the checkpoints keep a process that lost its lease
 * without noticing from saving, because a process that takes a partition over claims them first.
 *
 * @example One of several processes that share the work
 * ```ts ignore
 * import { connect } from "@nats-io/transport-node";
 * import {
 *   JetStreamEventStore,
 *   KvCheckpointStore,
 *   Projection,
 *   ProjectionLeases,
 * } from "@flowmade-one/aether";
 *
 * const namespace = "shop";
 * const connection = await connect({ servers: "127.0.0.1:4222", maxReconnectAttempts: -1 });
 * await using store = await JetStreamEventStore.open(connection, { namespace }); // Deno, or Node 24 and newer
 * await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
 * await using leases = await ProjectionLeases.open(connection, { namespace });
 * await using projection = new Projection({
 *   name: "mail",
 *   store,
 *   checkpoints,
 *   leases,
 *   partitions: 16,
 *   handler: (event) => console.log(event.sequence, event.eventType),
 * });
 * await projection.run();
 * ```
 */
export class ProjectionLeases implements AsyncDisposable {
  /** Keeps projections apart. */
  readonly namespace: string;
  /** The bucket, as NATS tools name it: the one of {@linkcode KvCheckpointStore}. */
  readonly bucket: string;
  readonly #parts: LeaseStore;

  private constructor(namespace: string, parts: LeaseStore) {
    const isOwn = parts?.bucket instanceof Bucket;
    needOpened(isOwn, "ProjectionLeases", "open(connection, options)");
    this.namespace = namespace;
    this.bucket = parts.bucket.name;
    this.#parts = parts;
    leaseStores.set(this, parts);
  }

  /**
   * Opens the bucket of a namespace, or makes it if there is none. The caller closes the
   * connection.
   *
   * @throws {UnsupportedServerError} The server is older than 2.12; nothing was written.
   * @throws {StreamConfigError} The bucket would keep leases that have ended.
   * @throws {StoreUnavailableError} JetStream does not answer.
   * @throws {StoreRefusedError} There is no JetStream, or the user may not use it.
   * @throws {RangeError} An option is out of its range.
   */
  static async open(
    connection: Connection,
    options: ProjectionLeasesOptions = {},
  ): Promise<ProjectionLeases> {
    const { namespace = "default", lease = 5_000, ...own } = asGiven(options);
    if (!Number.isSafeInteger(lease / 1000) || lease < 2_000) {
      throw new RangeError(
        `Cannot open the leases: lease is ${lease}, not whole seconds in ms from 2000`,
      );
    }
    const name = projectionBucket(namespace);
    const bucket = await Bucket.open(connection, { ...own, bucket: name });
    return new ProjectionLeases(namespace, { bucket, lease, process: processOf(connection) });
  }

  /** Ends requests under way; the connection stays open. Dispose the projections first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.bucket.close();
  }
}

const processes = new WeakMap<Connection, string>();

/** Processes are told apart by their connections, so that tests can have several in one. */
function processOf(connection: Connection): string {
  const name = processes.get(connection) ?? crypto.randomUUID().replaceAll("-", "");
  processes.set(connection, name);
  return name;
}

/** The parts that a projection uses. */
export function leaseParts(leases: ProjectionLeases): LeaseStore {
  return leaseStores.get(leases)!;
}
