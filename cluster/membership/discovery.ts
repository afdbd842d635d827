import { either } from "../../store/base/abort.ts";
import { asGiven, needObject, needOpened } from "../../store/base/given.ts";
import { needConnection } from "../../store/nats/open.ts";
import { ErrorThrottle } from "../error_throttle.ts";
import { MACHINE_CLOCK } from "../election/clock.ts";
import type { Leader } from "../election/leader_key.ts";
import { changesBetween, type ClusterChange } from "./changes.ts";
import { FailureWatch } from "./failure_watch.ts";
import { decodeHeartbeat } from "./heartbeat.ts";
import { safeLoad } from "./load.ts";
import { leadersOf } from "./leader_source.ts";
import { Membership } from "./membership.ts";
import { checkDiscovery, type DiscoveryOptions, type Leadership, readNode } from "./options.ts";
import { Role, type RoleWork } from "./role.ts";
import { turnOf } from "./succession.ts";
import { type DiscoveryTimings, discoveryTimings } from "./timings.ts";
import { type ClusterView, memberOf } from "./view.ts";
import { ViewCoordinator } from "./view_coordinator.ts";
import { ViewStore } from "./view_store.ts";
import { clusterBucket, nodeSubject } from "../subjects.ts";
import { inTurn } from "../../store/base/in_turn.ts";
import type { Notifier } from "../../store/base/notifier.ts";
import type { Connection } from "../../store/connection.ts";
import { type AetherError, isAetherError, StoreUnavailableError } from "../../store/errors.ts";
import { Bucket } from "../../store/kv/bucket.ts";
import { isOutOfReach } from "../../store/nats/failure.ts";

/** How long work of the coordinator may take to end when its node leaves, in ms. */
const WORK = 2_000;

/**
 * Finds the nodes of a namespace, and reports when they come, leave, crash or hang. All nodes see
 * the same views, in the same order.
 *
 * A node that has crashed is out of the view in about 3 s, one that hangs once its heartbeat has
 * expired. That is a judgement, and can be wrong: a node that was taken out and is alive after all
 * joins again, as another incarnation. So the view never proves which node may write; fences and
 * compare-and-set do. While NATS or the observer itself is out of reach, no node is taken for dead.
 *
 * Open the connection with `maxReconnectAttempts: -1`.
 *
 * @example Join, list the members, and hear of changes
 * ```ts
 * import { connect } from "@nats-io/transport-node";
 * import { Discovery } from "@flowmade-one/aether/cluster";
 *
 * const connection = await connect({ servers: "localhost:4222" });
 * const a = await Discovery.join(connection, { namespace: "hall", nodeId: "a" });
 * const changes = a.changes();
 * const b = await Discovery.join(connection, { namespace: "hall", nodeId: "b", capacity: 2 });
 * const { value } = await changes.next();
 * console.log(value?.type, a.view.members.map(({ nodeId }) => nodeId)); // joined [ "a", "b" ]
 * await b.leave();
 * await a.leave();
 * await connection.close();
 * ```
 */
export class Discovery implements AsyncDisposable {
  /** This node. */
  readonly nodeId: string;
  /** The timings of discovery. */
  readonly timings: DiscoveryTimings;
  readonly #bucket: Bucket;
  readonly #store: ViewStore;
  readonly #changed: Notifier;
  readonly #failureWatch: FailureWatch;
  readonly #membership: Membership;
  readonly #role: Role;
  readonly #report: (error: unknown) => void;
  /** Ends the work in the background. */
  readonly #halt = new AbortController();
  readonly #ends = new AbortController();
  #work: Promise<unknown> = Promise.resolve();
  #viewCoordinator: ViewCoordinator | undefined;
  #leader: Leader | undefined;
  #leave: Promise<void> | undefined;

  private constructor(connection: Connection, bucket: Bucket, options: DiscoveryOptions) {
    needOpened(bucket instanceof Bucket, "Discovery", "join(connection, options)");
    const { namespace = "default", load, timeout = 10_000, onError = console.warn } = options;
    const { clock = MACHINE_CLOCK } = options;
    const node = readNode(options);
    const timings = discoveryTimings(options);
    const errors = new ErrorThrottle(onError);
    const report = this.#report = (error: unknown): void => errors.report(error);
    const store = new ViewStore(bucket, crypto.randomUUID(), report);
    const { changed } = store;
    this.nodeId = node.nodeId;
    this.timings = timings;
    this.#bucket = bucket;
    this.#store = store;
    this.#changed = changed;
    this.#role = new Role(report);
    this.#membership = new Membership({
      connection,
      namespace,
      bucket,
      store,
      timings,
      clock,
      node,
      load: safeLoad(load, report),
      report,
      timeout,
      viewCoordinator: () => this.#viewCoordinator,
    });
    const failureWatch = this.#failureWatch = new FailureWatch({
      connection,
      bucket,
      timings,
      clock,
      changed,
      subjectOf: (life) => nodeSubject(namespace, life, "ping"),
      steadySince: () => this.#membership.life?.heartbeat.steadySince ?? Infinity,
    });
    const { requests, origin } = bucket;
    this.#role.add(async (signal) => {
      const parts = {
        connection,
        namespace,
        requests,
        origin,
        store,
        failureWatch,
        changed,
        report,
      };
      const viewCoordinator = new ViewCoordinator(parts, this.#membership.life!);
      this.#viewCoordinator = viewCoordinator;
      await viewCoordinator.run(signal);
      if (this.#viewCoordinator === viewCoordinator) this.#viewCoordinator = undefined;
    });
  }

  /**
   * Joins the nodes of a namespace, and makes its bucket if there is none. Resolves when this node
   * is in the view.
   *
   * @throws {RangeError} The timings break a rule of {@linkcode DiscoveryTimings}, or a name or
   * another option is out of its range.
   * @throws {TypeError} The metadata are not strings, or another option is of another kind.
   * @throws {NodeReplacedError} Another process joined by the same name at the same time.
   * @throws {UnsupportedServerError} The server is older than 2.12; nothing was written.
   * @throws {StreamConfigError} The bucket would lose keys, or keep those that have expired.
   * @throws {StoreUnavailableError} JetStream does not answer.
   * @throws {StoreRefusedError} There is no JetStream, the user may not use it, or the members would
   * not fit into one message.
   */
  static async join(connection: Connection, options: DiscoveryOptions = {}): Promise<Discovery> {
    needConnection(connection, "join");
    needObject(options, "join", "options");
    checkDiscovery(options);
    discoveryTimings(options);
    const own: DiscoveryOptions = { ...asGiven(options), ...readNode(options) };
    const { namespace = "default", leadership } = own;
    const bucket = await Bucket.open(connection, { ...own, bucket: clusterBucket(namespace) });
    const discovery = new Discovery(connection, bucket, own);
    try {
      await discovery.#membership.join();
    } catch (error) {
      await bucket.close();
      throw error;
    }
    discovery.#begin(leadership);
    // A connection may live longer than its nodes, and must not keep them all.
    const joined = new WeakRef(discovery);
    connection.closed().then((error) => {
      const discovery = joined.deref();
      if (discovery !== undefined) discovery.#lose(error);
    });
    return discovery;
  }

  /** This node's incarnation: a new one after the others took it for gone. */
  get incarnation(): string {
    return this.#membership.life!.incarnation;
  }

  /** The members as this node knows them; a new object at each change. */
  get view(): ClusterView {
    return this.#store.view;
  }

  /**
   * Ms for which the others cannot take this node for hung, though they may for crashed; 0 if they
   * may have: then what it knows may be outdated.
   */
  get validFor(): number {
    return this.#membership.isMember ? this.#membership.life!.heartbeat.validFor : 0;
  }

  /**
   * Whether this node coordinates: other nodes may count themselves coordinator at the same time.
   */
  get coordinates(): boolean {
    return this.#role.active;
  }

  /**
   * Aborted when this node no longer takes part: because it has left; because another process has
   * joined by its name, then the reason is a {@linkcode NodeReplacedError}; because the connection
   * is closed, then it is a {@linkcode StoreUnavailableError}; or for the reason that was given to
   * {@linkcode Discovery.leave}.
   */
  get signal(): AbortSignal {
    return this.#ends.signal;
  }

  /**
   * Yields the changes from the present view on. A slow reader misses nodes that came and left in
   * between. Ends with `signal`, or with this node's membership.
   *
   * @throws {NodeReplacedError} Another process has joined by the name of this node.
   * @throws {StoreUnavailableError} The connection is closed.
   */
  changes(
    { signal }: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<ClusterChange, void> {
    const ends = either(this.signal, signal, "follow the changes");
    return this.#changes(this.view, ends);
  }

  /**
   * Runs `work` whenever this node coordinates, and aborts its signal when this node stops
   * coordinating. Runs never overlap on this node, but may overlap with those of another node: what
   * they write has to be safe under that. Returns a function that unregisters `work`.
   */
  onCoordinate(work: RoleWork): () => void {
    return this.#role.add(work);
  }

  /**
   * How busy the members are, by node, as of their last heartbeat; without those that do not
   * report.
   *
   * @throws {StoreUnavailableError} The server does not answer in time.
   */
  async loads(): Promise<Map<string, number>> {
    const loads = new Map<string, number>();
    for (const { value } of await this.#bucket.list("node.*.*")) {
      const { nodeId = "", incarnation, load } = (value && decodeHeartbeat(value)) ?? {};
      const isMember = memberOf(this.view, nodeId, incarnation) !== undefined;
      if (isMember && load !== undefined) loads.set(nodeId, load);
    }
    return loads;
  }

  /**
   * Announces to the others that this node will leave, so that it is given nothing more.
   *
   * @param timeout How long to try, in ms; by default as long as to join.
   * @throws {StoreUnavailableError} The server does not answer in time.
   */
  async retire(timeout?: number): Promise<void> {
    this.signal.throwIfAborted();
    await this.#membership.retire(timeout);
  }

  /**
   * Leaves: the others know within milliseconds. The connection stays open.
   *
   * @param timeout How long to try to notify them, in ms; by default as long as to join.
   * @param reason The error to abort {@linkcode Discovery.signal} with, if the node has to leave.
   * @throws {StoreUnavailableError} The server does not answer in time; the others will find out
   * by themselves.
   */
  leave(timeout?: number, reason?: AetherError): Promise<void> {
    return this.#leave ??= this.#end(timeout, reason);
  }

  /** Like {@linkcode Discovery.leave}, except that a server that does not answer is no error. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.leave();
    } catch (error) {
      if (!isOutOfReach(error)) throw error;
    }
  }

  #begin(leadership: Leadership | undefined): void {
    const { signal } = this.#halt;
    this.#work = Promise.all([
      this.#store.follow(signal, this.timings.reconcile),
      this.#steer(signal),
      ...(leadership === undefined ? [] : [this.#follow(leadership, signal)]),
    ]);
  }

  /** Ends this node, whose connection is closed for good: nothing can be said or heard any more. */
  #lose(cause: unknown): void {
    if (this.#leave !== undefined || this.signal.aborted) return;
    const error = new StoreUnavailableError(
      `Cannot take part as node "${this.nodeId}": its connection is closed for good; join again`,
      { ...(cause !== undefined && { cause }) },
    );
    this.#halt.abort();
    this.#role.set(false);
    this.#ends.abort(error);
    this.#changed.notify();
    this.#report(error);
  }

  async #end(timeout?: number, reason?: AetherError): Promise<void> {
    this.#halt.abort();
    const leaving = inTurn([
      () => this.#work,
      () => this.#role.close(WORK),
      () => this.#failureWatch.close(),
      () => this.#membership.leave(timeout),
    ], this.#report);
    await inTurn([
      () =>
        leaving.catch((error) => {
          if (isAetherError(error)) throw error;
          this.#report(error); // The stored value is no view that this version knows.
        }),
      () => this.#membership.end(),
      () => this.#bucket.close(),
      () => this.#ends.abort(reason),
    ], this.#report);
  }

  /** Keeps this node a member, and does a member's duties. */
  async #steer(signal: AbortSignal): Promise<void> {
    const { requests } = this.#bucket;
    while (!signal.aborted && !requests.closed) {
      const { count } = this.#changed;
      this.#reconsider();
      if (this.#membership.isMember) {
        await this.#changed.wait(this.timings.reconcile, signal, count);
        continue;
      }
      try {
        await this.#membership.rejoin(signal);
      } catch (error) {
        if (isAetherError(error, "NodeReplacedError")) return this.#ends.abort(error);
        this.#report(error);
        return this.#ends.abort(error);
      }
    }
  }

  /** Watches the nodes before this one in the succession, and takes over if all are out. */
  #reconsider(): void {
    const { isNext, watched } = this.#membership.isMember
      ? turnOf(this.nodeId, this.view, this.#leader, this.#failureWatch)
      : { isNext: false, watched: [] };
    this.#failureWatch.watch(watched);
    this.#role.set(isNext);
  }

  async #follow(leadership: Leadership, signal: AbortSignal): Promise<void> {
    const { requests } = this.#bucket;
    for await (const leader of leadersOf(leadership, requests, signal, this.#report)) {
      this.#leader = leader;
      this.#changed.notify();
    }
  }

  async *#changes(seen: ClusterView, ends: AbortSignal): AsyncGenerator<ClusterChange, void> {
    for (;;) {
      const { count } = this.#changed;
      const { view } = this;
      yield* changesBetween(seen, view);
      if (view === seen) {
        throwFailure(this.signal);
        if (ends.aborted) return;
        await this.#changed.wait(Infinity, ends, count);
      }
      seen = view;
    }
  }
}

/** Throws what has ended a node, unless it has left. */
export function throwFailure({ aborted, reason }: AbortSignal): void {
  if (aborted && isAetherError(reason)) throw reason;
}
