import { either } from "../../store/base/abort.ts";
import { asGiven, needObject, needOpened } from "../../store/base/given.ts";
import { needConnection } from "../../store/nats/open.ts";
import { readLeaderKey, sweepLease, takeLease, type UnknownClaims } from "./campaign.ts";
import { checkClock, type Clock, MACHINE_CLOCK } from "./clock.ts";
import type { HeldLease, LeaseParts } from "./held_lease.ts";
import { type Leader, LEADER_KEY, leaderIn, Nonces } from "./leader_key.ts";
import type { Lease } from "./lease.ts";
import { type LeaseTimings, leaseTimings } from "./lease_timings.ts";
import { clusterBucket } from "../subjects.ts";
import { describe, tokenProblem } from "../../store/base/token.ts";
import type { Connection } from "../../store/connection.ts";
import { StoreUnavailableError } from "../../store/errors.ts";
import { Bucket } from "../../store/kv/bucket.ts";
import type { JetStreamApiOptions } from "../../store/nats/api_prefix.ts";
import type { BucketEntry } from "../../store/kv/entry.ts";

/** Options for {@linkcode Election.open}. */
export interface ElectionOptions extends JetStreamApiOptions {
  /** The namespace: each one has one leader. @default {"default"} */
  readonly namespace?: string;
  /** The candidate's name, unique in the namespace: any string of up to 200 bytes. */
  readonly nodeId: string;
  /** The node's incarnation, for observers. @default {none} */
  readonly incarnation?: string;
  /**
   * How long a lease that is not renewed keeps others out, in ms: whole seconds. 15 s ride through
   * the loss of a NATS server, which stops writes for up to 9 s; the price is as long a time
   * without a leader after the leader's own crash. Give all candidates the same value.
   *
   * @default {15_000}
   */
  readonly lease?: number;
  /** From one renewal to the next, in ms. @default {a fifth of the lease, at most 3_000} */
  readonly renew?: number;
  /**
   * How much earlier the lease ends for its holder than for the server, in ms. This has to cover
   * how far apart the clocks of the NATS servers are, as a new leader of the bucket counts by its
   * own clock, and how far they drift from the holder's during a lease. Let NTP keep them.
   *
   * @default {a fifteenth of the lease}
   */
  readonly margin?: number;
  /**
   * How long one attempt waits for the server's answer, in ms. @default {`renew`, at most 1_000}
   */
  readonly attempt?: number;
  /** Copies of the bucket, set when it is made: 3 for a cluster. @default {1} */
  readonly replicas?: number;
  /**
   * How long the marker of an ended lease remains, in ms; set when the bucket is made. @default
   * {600_000}
   */
  readonly markerTtl?: number;
  /** Deadline of `open()` and `leader()`, in ms. @default {10_000} */
  readonly timeout?: number;
  /** The clocks that measure validity. @default {the machine's} */
  readonly clock?: Clock;
}

/** Options for {@linkcode Election.campaign} and {@linkcode Election.changes}. */
export interface CampaignOptions {
  /** Ends the wait. */
  readonly signal?: AbortSignal;
}

/**
 * Election of one leader among the nodes of a namespace, by a key in a NATS bucket that expires
 * unless its holder renews it. At most one lease is valid at any time, and terms only grow, as long
 * as the bucket exists: if it is deleted and made again, terms start over.
 *
 * Open the connection with `maxReconnectAttempts: -1`, and with a `pingInterval` of 2 s or so if
 * a lease shall outlive a NATS server that hangs: the connection notices only by its pings.
 *
 * @example Lead while the lease is valid, then stand for election again
 * ```ts
 * import { connect } from "@nats-io/transport-node";
 * import { Election } from "@flowmade-one/aether/cluster";
 *
 * const connection = await connect({ servers: "localhost:4222" });
 * const election = await Election.open(connection, { namespace: "shop", nodeId: "node-1" });
 * const lease = await election.campaign();
 * for (let round = 0; round < 3 && !lease.signal.aborted; round++) {
 *   lease.assertValid(); // before what matters: throws if the lease is over
 *   console.log(`leading in term ${lease.term}`);
 * }
 * await election[Symbol.asyncDispose](); // resigns: another node leads within milliseconds
 * await connection.close();
 * ```
 */
export class Election implements AsyncDisposable {
  /** This candidate. */
  readonly nodeId: string;
  /** The timings of the lease. */
  readonly timings: LeaseTimings;
  readonly #bucket: Bucket;
  readonly #timeout: number;
  readonly #parts: LeaseParts;
  readonly #ends = new AbortController();
  /** Work that a disposal waits for. */
  readonly #work = new Set<Promise<unknown>>();
  #campaigning = false;
  #lease: HeldLease | undefined;
  #disposal: Promise<void> | undefined;

  private constructor(bucket: Bucket, timings: LeaseTimings, options: ElectionOptions) {
    needOpened(bucket instanceof Bucket, "Election", "open(connection, options)");
    const { nodeId, incarnation, timeout = 10_000, clock = MACHINE_CLOCK } = options;
    this.nodeId = nodeId;
    this.timings = timings;
    this.#bucket = bucket;
    this.#timeout = timeout;
    this.#parts = { bucket, timings, clock, nodeId, incarnation, nonces: new Nonces() };
  }

  /**
   * Opens the namespace's election, and makes its bucket if there is none. A process that only
   * observes opens it as well.
   *
   * @throws {TypeError} An option is of another kind.
   * @throws {RangeError} The timings break the rule of {@linkcode LeaseTimings}, or a name or
   * another option is out of its range.
   * @throws {UnsupportedServerError} The server is older than 2.12; nothing was written.
   * @throws {StreamConfigError} The bucket would lose keys, or keep those that have expired.
   * @throws {StoreUnavailableError} JetStream does not answer.
   * @throws {StoreRefusedError} There is no JetStream, or the user may not use it.
   */
  static async open(connection: Connection, options: ElectionOptions): Promise<Election> {
    needConnection(connection, "open the election");
    needObject(options, "open the election", "options");
    const own = asGiven(options);
    checkClock(own, "open the election");
    const { namespace = "default", nodeId, incarnation = "default" } = own;
    const timings = leaseTimings(own);
    for (const [name, id] of Object.entries({ nodeId, incarnation })) {
      const problem = tokenProblem(id);
      if (problem === undefined) continue;
      throw new RangeError(`Cannot open the election: ${name} ${describe(id)} ${problem}`);
    }
    const bucket = await Bucket.open(connection, { ...own, bucket: clusterBucket(namespace) });
    return new Election(bucket, timings, own);
  }

  /** This candidate's lease, while it is valid. */
  get lease(): Lease | undefined {
    return this.#lease !== undefined && this.#lease.validFor > 0 ? this.#lease : undefined;
  }

  /**
   * Waits until the lease is free and takes it: within milliseconds after it was resigned, or once
   * the server lets it expire if its holder is gone. Waits through outages of NATS, too. One
   * campaign at a time, and none while this candidate leads.
   *
   * @throws {TypeError} A campaign is under way, or the lease is held here.
   * @throws {StoreUnavailableError} The election or the connection is closed.
   * @throws {StoreRefusedError} The server refuses what is needed, and would again.
   */
  async campaign({ signal }: CampaignOptions = {}): Promise<Lease> {
    if (this.#campaigning || this.lease !== undefined) {
      const reason = this.#campaigning ? "a campaign is under way" : "the lease is held here";
      throw new TypeError(`Cannot campaign as "${this.nodeId}": ${reason}; open another election`);
    }
    const ends = either(this.#ends.signal, signal, `campaign as "${this.nodeId}"`);
    ends.throwIfAborted();
    this.#campaigning = true;
    const work = this.#campaign(ends).finally(() => this.#campaigning = false);
    return await this.#tracked(work);
  }

  /**
   * Reads the present leader from the server; `undefined` while there is none. The holder may know
   * already that its lease is over.
   *
   * @throws {StoreUnavailableError} No answer within the timeout.
   * @throws {StoreRefusedError} The server does not permit it.
   */
  async leader(): Promise<Leader | undefined> {
    this.#ends.signal.throwIfAborted();
    return leaderIn(await this.#bucket.get(LEADER_KEY, this.#timeout));
  }

  /**
   * Yields the present leader, then each change; `undefined` while there is none. May leave out a
   * leader of a moment only. Goes on over outages: reads the key again after a break of the
   * connection, and every minute. Ends with `signal` or the election.
   *
   * @throws {StoreUnavailableError} The connection is closed.
   * @throws {StoreRefusedError} The server does not permit it.
   */
  changes({ signal }: CampaignOptions = {}): AsyncGenerator<Leader | undefined, void> {
    return this.#changes(either(this.#ends.signal, signal, "follow the leader"));
  }

  async *#changes(ends: AbortSignal): AsyncGenerator<Leader | undefined, void> {
    let entry: BucketEntry;
    try {
      entry = await readLeaderKey(this.#parts, ends);
    } catch (error) {
      if (ends.aborted) return;
      throw error;
    }
    let last = leaderIn(entry);
    yield last;
    const options = { filter: LEADER_KEY, known: [entry], signal: ends };
    for await (const news of this.#bucket.watch(options)) {
      const leader = leaderIn(news);
      if (leader?.term === last?.term && leader?.nodeId === last?.nodeId) continue;
      last = leader;
      yield leader;
    }
    if (ends.aborted) return;
    throw new StoreUnavailableError(
      `Cannot follow the leader as "${this.nodeId}": the connection is closed`,
    );
  }

  /** Ends campaigns and watches, resigns, and closes; the connection stays open. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposal ??= this.#dispose();
  }

  async #dispose(): Promise<void> {
    this.#ends.abort(
      new StoreUnavailableError(`Cannot go on as "${this.nodeId}": the election is closed`),
    );
    // Work that ends may leave a sweep behind.
    while (this.#work.size > 0) await Promise.allSettled(this.#work);
    try {
      await this.#lease?.[Symbol.asyncDispose]();
    } finally {
      await this.#bucket.close();
    }
  }

  #tracked<T>(work: Promise<T>): Promise<T> {
    const ended = work.catch(() => {}).finally(() => this.#work.delete(ended));
    this.#work.add(ended);
    return work;
  }

  async #campaign(signal: AbortSignal): Promise<Lease> {
    const unknown: UnknownClaims = new Map();
    try {
      const lease = this.#lease = await takeLease(this.#parts, unknown, signal);
      if (!signal.aborted) return lease;
      await lease[Symbol.asyncDispose]();
      throw signal.reason;
    } catch (error) {
      if (unknown.size > 0) this.#tracked(sweepLease(this.#parts, unknown));
      throw error;
    }
  }
}
