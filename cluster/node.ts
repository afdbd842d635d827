import { asGiven } from "../store/base/given.ts";
import { decodeJson } from "../store/base/json.ts";
import type { NodeIncarnation } from "./incarnation.ts";
import type { CommandHandler, ReplyToDuplicate } from "./commands/handler.ts";
import { Departures } from "./commands/departures.ts";
import { Election } from "./election/election.ts";
import type { Leader } from "./election/leader_key.ts";
import { leaseTimings } from "./election/lease_timings.ts";
import { ErrorThrottle } from "./error_throttle.ts";
import { Discovery } from "./membership/discovery.ts";
import { readNode } from "./membership/options.ts";
import { discoveryTimings } from "./membership/timings.ts";
import { memberOf } from "./membership/view.ts";
import { checkCluster, type ClusterLimits, clusterLimits, type ClusterOptions } from "./options.ts";
import { recordLimit, recordTooLarge } from "./record_limit.ts";
import { NodeSession } from "./session.ts";
import { comebackRefusal, Sessions } from "./sessions.ts";
import { coordinateShards, MAP_KEY, mapIn } from "./sharding/shard_coordinator.ts";
import { emptyShardMap, type ShardMap, takenVersion } from "./sharding/shard_map.ts";
import { type ShardStatus, shardStatusIn } from "./sharding/shard_status.ts";
import { shardMapBytes } from "./sharding/shard_map_json.ts";
import type { ShardMember } from "./sharding/shard_plan.ts";
import { clusterBucket, nodeSubject } from "./subjects.ts";
import { ClusterTelemetry } from "./telemetry.ts";
import { unlessAborted } from "../store/base/abort.ts";
import { inTurn } from "../store/base/in_turn.ts";
import { Notifier } from "../store/base/notifier.ts";
import type { Connection } from "../store/connection.ts";
import { isAetherError, type StoreRefusedError } from "../store/errors.ts";
import { Bucket } from "../store/kv/bucket.ts";
import { backoff } from "../store/nats/backoff.ts";
import { notAnswered } from "../store/nats/failure.ts";
import { openRequests } from "../store/nats/open.ts";
import type { RequestMux } from "../store/nats/requests.ts";

/** How commands are handled here. */
export interface Handling {
  handler: CommandHandler | undefined;
  onDuplicate: ReplyToDuplicate | undefined;
}

/** How long a member may take to answer with its status, in ms. */
const STATUS = 1_000;
/** The part of the time to leave that handing over may take; the rest is for the farewell. */
const HAND_OVER = 0.8;
/** How long to try to report to the others that this node has left, in ms; they find out anyway. */
const GOODBYE = 2_000;

/**
 * One process in its cluster, over all its incarnations: its parts, and the loops that keep them
 * going.
 */
export class ClusterNode {
  readonly namespace: string;
  readonly limits: ClusterLimits;
  readonly requests: RequestMux;
  readonly election: Election;
  readonly discovery: Discovery;
  /** Notified of each change of members, leader and map. */
  readonly changed: Notifier;
  readonly handling: Handling;
  readonly telemetry: ClusterTelemetry;
  readonly #bucket: Bucket;
  readonly #errors: ErrorThrottle;
  readonly #halt = new AbortController();
  readonly #sessions: Sessions;
  #map: ShardMap;
  /** Why this node, as the coordinator, could not write the next map. */
  #trouble: unknown;
  #leader: Leader | undefined;
  #work: Promise<unknown> = Promise.resolve();
  #leave: Promise<void> | undefined;

  private constructor(parts: NodeParts, session: NodeSession) {
    this.namespace = parts.namespace;
    this.limits = parts.limits;
    this.requests = parts.requests;
    this.election = parts.election;
    this.discovery = parts.discovery;
    this.handling = parts.handling;
    this.changed = parts.changed;
    this.telemetry = parts.telemetry;
    this.#bucket = parts.bucket;
    this.#errors = parts.errors;
    this.#map = emptyShardMap(session.store.shards);
    this.#sessions = new Sessions(session, {
      incarnation: () => this.discovery.incarnation,
      map: () => this.#map,
      open: parts.open,
      report: (error) => this.#errors.report(error),
    });
  }

  /** See {@linkcode Cluster.join}. */
  static async join(connection: Connection, options: ClusterOptions): Promise<ClusterNode> {
    checkCluster(options);
    const limits = clusterLimits(options);
    leaseTimings(options);
    discoveryTimings(options);
    const { namespace = "default" } = options;
    const own = readNode(options);
    const { nodeId, capacity } = own;
    const named = { ...asGiven(options), ...own, namespace };
    const handling: Handling = { handler: undefined, onDuplicate: undefined };
    const telemetry = new ClusterTelemetry(namespace);
    const errors = new ErrorThrottle(options.onError?.bind(options) ?? console.warn);
    const closing: (() => Promise<void> | void)[] = [];
    try {
      const requests = openRequests(connection, "the cluster");
      closing.push(() => requests.close());
      requests.onUnanswerable((inbox, cause) => errors.report(notAnswered(inbox, cause)));
      const bucket = await Bucket.open(connection, { ...named, bucket: clusterBucket(namespace) });
      closing.push(() => bucket.close());
      const election = await Election.open(connection, named);
      closing.push(() => election[Symbol.asyncDispose]());
      let load = () => 0;
      const discovery = await Discovery.join(connection, {
        load: () => load(),
        ...named,
        leadership: election,
      });
      closing.push(() => discovery[Symbol.asyncDispose]());
      const changed = new Notifier();
      const departures = new Departures(changed, (life) => isMember(discovery, life));
      const open = (incarnation: string) =>
        NodeSession.open({
          connection,
          requests,
          namespace,
          self: { nodeId, incarnation },
          store: named,
          handler: () => handling.handler,
          onDuplicate: () => handling.onDuplicate,
          isMember: (owner) => isMember(discovery, owner),
          departures,
          validFor: () => discovery.validFor,
          telemetry,
          report: (error) => errors.report(error),
          ...limits,
        });
      const session = await open(discovery.incarnation);
      closing.push(() => {
        session.mute();
        return session.close();
      });
      checkMapFits(session.store.shards, discovery, requests);
      const node = new ClusterNode(
        {
          requests,
          bucket,
          election,
          discovery,
          handling,
          telemetry,
          changed,
          errors,
          open,
          namespace,
          limits,
        },
        session,
      );
      load = () => node.session.actors.load.commands;
      node.#begin(limits.maxMoves, capacity > 0);
      return node;
    } catch (error) {
      const report = (error: unknown) => errors.report(error);
      await inTurn(closing.reverse(), report).catch(report);
      throw error;
    }
  }

  /** The session of the present incarnation. */
  get session(): NodeSession {
    return this.#sessions.current;
  }

  /** The newest map that is known. */
  get map(): ShardMap {
    return this.#map;
  }

  /** The lasting refusal of the server that stops this node's work on the map. */
  get refusal(): StoreRefusedError | undefined {
    return isAetherError(this.#trouble, "StoreRefusedError") ? this.#trouble : undefined;
  }

  /**
   * The leader, as this node knows it. One that is no longer a member does not lead, though its lease
   * has not expired.
   */
  get leader(): Leader | undefined {
    const { signal, view } = this.discovery;
    const leader = this.#leader;
    if (signal.aborted || leader === undefined) return undefined;
    return memberOf(view, leader.nodeId) === undefined ? undefined : leader;
  }

  /** Whether this node has left, or is about to. */
  get isLeaving(): boolean {
    return this.#leave !== undefined || this.discovery.signal.aborted;
  }

  /** See {@linkcode Cluster.leave}. */
  leave(): Promise<void> {
    return this.#leave ??= this.#end();
  }

  #begin(maxMoves: number, isServing: boolean): void {
    const { signal } = this.#halt;
    const { discovery } = this;
    discovery.onCoordinate((signal) =>
      coordinateShards({
        bucket: this.#bucket,
        shards: this.session.store.shards,
        members: () => this.#members(),
        viewVersion: () => discovery.view.version,
        changed: this.changed,
        statusOf: (member) => this.#statusOf(member),
        known: () => this.#map,
        takenVersion: async (map) => takenVersion(map, await this.session.store.fences()),
        maxMoves,
        report: (error) => {
          this.#trouble = error;
          this.#errors.report(error);
        },
      }, signal)
    );
    this.#work = Promise.all([
      // A node that only sends commands comes and goes: others lead.
      ...(isServing ? [this.#persist(signal, () => this.#campaign(signal))] : []),
      this.#persist(signal, () => this.#followLeader(signal)),
      this.#persist(signal, () => this.#followMap(signal)),
      this.#persist(signal, () => this.#followView(signal)),
    ]);
    // Nobody may call leave() then, and what is left would keep the process from ending.
    const end = () => {
      if (this.#leave === undefined) this.leave().catch((error) => this.#errors.report(error));
    };
    if (discovery.signal.aborted) end();
    else discovery.signal.addEventListener("abort", end, { once: true });
  }

  /** Leaves as well as can be within the time for that; work that hangs then ends by itself later. */
  async #end(): Promise<void> {
    const { leaveTimeout } = this.limits;
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), leaveTimeout);
    const end = this.#endInTurn(HAND_OVER * leaveTimeout);
    end.catch((error) => {
      if (over.signal.aborted) this.#errors.report(error);
    });
    try {
      await unlessAborted(over.signal, end);
    } catch (error) {
      if (!over.signal.aborted) throw error;
      this.#halt.abort();
      this.session.mute();
      this.requests.close();
      this.changed.notify();
    } finally {
      clearTimeout(timer);
    }
  }

  async #endInTurn(handOverTimeout: number): Promise<void> {
    const { discovery, election, requests } = this;
    await inTurn([
      () => this.#giveUp(handOverTimeout),
      () => this.telemetry.end(),
      () => this.#halt.abort(),
      () => this.#work,
      () => this.#sessions.close(),
      () => election[Symbol.asyncDispose](),
      () =>
        discovery.leave(GOODBYE).catch((error) => {
          if (!isAetherError(error, "StoreUnavailableError")) this.#errors.report(error);
        }),
      // Only now, so that a sender that still asks this node is sent elsewhere at once.
      () => this.session.mute(),
      () => this.#bucket.close(),
      () => requests.close(),
      () => this.changed.notify(),
    ], (error) => this.#errors.report(error));
  }

  /** Hands the shards over for at most `timeout` ms. */
  async #giveUp(timeout: number): Promise<void> {
    const { discovery, requests } = this;
    if (discovery.signal.aborted || requests.closed) return;
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), timeout);
    const over = AbortSignal.any([patience.signal, discovery.signal]);
    try {
      await unlessAborted(over, this.#handOver(over));
    } catch (error) {
      if (!over.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Lets the coordinator give the shards to others, which ask for them; then releases the rest. */
  async #handOver(over: AbortSignal): Promise<void> {
    const { shards } = this.session;
    try {
      await this.discovery.retire(this.limits.leaveTimeout);
      const others = this.discovery.view.members.some((member) =>
        member.nodeId !== this.discovery.nodeId && member.status === "up" && member.capacity > 0
      );
      while (others && shards.phases.get("idle") !== this.#map.shards.length && !over.aborted) {
        await shards.changed.wait(1000, over);
      }
    } catch (error) {
      // The shards are released in any case.
      if (!isAetherError(error)) this.#errors.report(error);
    }
    await shards.leave(over);
  }

  async #campaign(signal: AbortSignal): Promise<void> {
    const out = this.discovery.signal;
    const ends = AbortSignal.any([signal, out]);
    const lease = await this.election.campaign({ signal: ends });
    const over = AbortSignal.any([lease.signal, ends]);
    await new Promise<void>((resolve) => {
      if (over.aborted) resolve();
      over.addEventListener("abort", () => resolve(), { once: true });
    });
    // Another process has this node's name: that process is the one to lead by it.
    if (out.aborted) await lease[Symbol.asyncDispose]();
  }

  async #followLeader(signal: AbortSignal): Promise<void> {
    for await (const leader of this.election.changes({ signal })) {
      this.#leader = leader;
      this.changed.notify();
    }
  }

  async #followMap(signal: AbortSignal): Promise<void> {
    const { reconcile } = this.discovery.timings;
    const report = (error: unknown) => this.#errors.report(error);
    for await (const entry of this.#bucket.watch({ filter: MAP_KEY, reconcile, signal, report })) {
      let map: ShardMap;
      try {
        map = mapIn(entry, this.#map.shards.length);
      } catch (error) {
        this.#errors.report(error);
        this.changed.notify(); // The coordinator writes another one.
        continue;
      }
      if (map.version <= this.#map.version) continue;
      this.#map = map;
      this.#trouble = undefined;
      this.session.learn(map);
      this.changed.notify();
    }
  }

  async #followView(signal: AbortSignal): Promise<void> {
    await this.#keepUp();
    for await (const _change of this.discovery.changes({ signal })) {
      await this.#keepUp();
      this.changed.notify();
    }
  }

  /** A node that the server does not let come back leaves, as nobody could reach its shards. */
  async #keepUp(): Promise<void> {
    try {
      await this.#sessions.keepUp();
    } catch (error) {
      const refusal = comebackRefusal(this.discovery.nodeId, error);
      if (refusal === undefined) throw error;
      this.#errors.report(refusal);
      await this.discovery.leave(GOODBYE, refusal);
    }
  }

  #members(): ShardMember[] {
    return this.discovery.view.members.map(({ nodeId, incarnation, capacity, status }) => ({
      nodeId,
      incarnation,
      capacity: status === "leaving" ? 0 : capacity,
    }));
  }

  async #statusOf(member: NodeIncarnation): Promise<ShardStatus> {
    const { nodeId, incarnation } = this.session.store;
    if (member.nodeId === nodeId && member.incarnation === incarnation) return this.session.status;
    const subject = nodeSubject(this.namespace, member, "status");
    const { data } = await this.requests.request(subject, "", STATUS);
    return shardStatusIn(decodeJson(data));
  }

  /** Does `work` again and again; an error on the way is transient, or reported. */
  async #persist(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    let retry = backoff(Infinity, signal);
    while (!signal.aborted && !this.requests.closed) {
      try {
        await work();
        retry = backoff(Infinity, signal);
        if (this.discovery.signal.aborted) return;
      } catch (error) {
        if (signal.aborted || this.discovery.signal.aborted) return;
        if (!isAetherError(error, "StoreUnavailableError")) this.#errors.report(error);
        await retry(this.requests);
      }
    }
  }
}

/** The parts of a node. */
interface NodeParts extends
  Pick<
    ClusterNode,
    | "requests"
    | "election"
    | "discovery"
    | "handling"
    | "changed"
    | "telemetry"
    | "namespace"
    | "limits"
  > {
  readonly bucket: Bucket;
  readonly errors: ErrorThrottle;
  /** Opens the session of an incarnation. */
  readonly open: (incarnation: string) => Promise<NodeSession>;
}

/** Checks that the map of the shards, with this node in it, fits into a message. */
function checkMapFits(
  shards: number,
  { nodeId, view }: Discovery,
  { maxPayload }: RequestMux,
): void {
  const [size, limit] = [shardMapBytes(shards, view.members), recordLimit(maxPayload)];
  if (size <= limit) return;
  throw recordTooLarge(nodeId, `the map of ${shards} shards`, size, limit, "use fewer shards");
}

function isMember({ view }: Discovery, { nodeId, incarnation }: NodeIncarnation): boolean {
  return memberOf(view, nodeId, incarnation) !== undefined;
}
