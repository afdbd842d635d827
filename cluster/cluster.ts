import type { CommandHandler, ReplyToDuplicate } from "./commands/actors.ts";
import { type Destination, Router, type SendOptions } from "./commands/router.ts";
import type { ClusterDescription } from "./description.ts";
import type { Leader } from "./election/leader_key.ts";
import type { Lease } from "./election/lease.ts";
import { changesBetween, type ClusterChange } from "./membership/changes.ts";
import { type ClusterView, memberOf } from "./membership/view.ts";
import { ClusterNode } from "./node.ts";
import type { ClusterOptions } from "./options.ts";
import { type ShardMove, shardMoves } from "./sharding/shard_map.ts";
import { nodeSubject } from "./subjects.ts";
import { jsonProblem } from "../store/base/json_fidelity.ts";
import { encodeToken } from "../store/base/token.ts";
import { uuidv7 } from "../store/base/uuid.ts";
import type { Connection } from "../store/connection.ts";
import { isAetherError, StoreUnavailableError } from "../store/errors.ts";

/** How commands are handled; see {@linkcode Cluster.handle}. */
export interface HandleOptions {
  /**
   * Gives the reply of a command that comes again after it was handled, from the events that it
   * led to. Without it the sender of such a command gets {@linkcode CommandAlreadyHandledError}.
   *
   * @default {undefined}
   */
  readonly onDuplicate?: ReplyToDuplicate;
}

/** Who owns the shard of an actor. */
export interface ActorOwner {
  /** The node. */
  readonly nodeId: string;
  /** The actor's shard. */
  readonly shard: number;
}

/** What {@linkcode Cluster.changes} tells. */
export type ClusterEvent =
  | ClusterChange
  /** Another node leads, or nobody for the time being. */
  | { readonly type: "leader"; readonly leader: Leader | undefined }
  /** A new map gives shards to other nodes. */
  | { readonly type: "moved"; readonly mapVersion: number; readonly moves: readonly ShardMove[] };

/**
 * A node of a cluster: finds the others, takes its share of the shards, handles the commands of
 * their actors, and sends commands to the owners of others. NATS is all that it needs.
 *
 * Who owns a shard is a matter of time; who may write is none: every save carries its owner's
 * claim, and the stream of events refuses it from the moment on that another claim is stored.
 *
 * Open the connection with `maxReconnectAttempts: -1`.
 *
 * @example Count per actor, on whichever node the actor is
 * ```ts
 * import { connect } from "@nats-io/transport-node";
 * import { appendEvents } from "@flowmade-one/aether";
 * import { Cluster } from "@flowmade-one/aether/cluster";
 *
 * const connection = await connect({ servers: "localhost:4222", maxReconnectAttempts: -1 });
 * const cluster = await Cluster.join(connection, { namespace: "counters", nodeId: "node-1" });
 * cluster.handle(async (command, { actorId, store }) => {
 *   const version = await store.getLatestVersion(actorId);
 *   await appendEvents(store, actorId, version, [{ eventType: "Counted", data: { command } }]);
 *   return version + 1;
 * });
 * console.log(await cluster.send("counter-1", { by: 1 })); // 1
 * console.log(await cluster.send("counter-1", { by: 1 })); // 2
 * await cluster.leave();
 * await connection.close();
 * ```
 */
export class Cluster implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #node: ClusterNode;
  readonly #router: Router;

  private constructor(connection: Connection, node: ClusterNode) {
    this.#connection = connection;
    this.#node = node;
    this.#router = new Router({
      requests: node.requests,
      ownerOf: (actorId) => this.#destinationOf(actorId),
      isThere: ({ nodeId, incarnation }) => memberOf(this.view, nodeId, incarnation) !== undefined,
      runHere: (message) => node.session.run(message),
      changed: node.changed,
      capacity: node.limits.maxCommands,
      requestTimeout: TRY,
    });
    node.telemetry.watch(() => this.describe());
  }

  /**
   * Joins the cluster of a namespace, and makes what it needs where there is none: a bucket
   * `AETHER_CLUSTER_<namespace>` and the stream of events. Resolves when this node is in the view;
   * its shards come when the coordinator has dealt them out.
   *
   * @throws {RangeError} The timings break a rule, or a name or another option is out of its range.
   * @throws {NodeReplacedError} Another process joined by the same name at the same time.
   * @throws {UnsupportedServerError} The server is older than 2.12; nothing was written.
   * @throws {StreamConfigError} The stream or the bucket would lose what is in it, or the stream
   * has other shards than asked.
   * @throws {StoreUnavailableError} JetStream does not answer.
   */
  static async join(connection: Connection, options: ClusterOptions = {}): Promise<Cluster> {
    return new Cluster(connection, await ClusterNode.join(connection, options));
  }

  /** This node. */
  get nodeId(): string {
    return this.#node.discovery.nodeId;
  }

  /** Which life of this node it is: another one after it was taken for gone. */
  get incarnation(): string {
    return this.#node.discovery.incarnation;
  }

  /** Keeps clusters apart, and names the event store. */
  get namespace(): string {
    return this.#node.namespace;
  }

  /** The members as this node knows them; another object at each change. */
  get view(): ClusterView {
    return this.#node.discovery.view;
  }

  /** Who leads, as this node knows it; `undefined` while nobody does. */
  get leader(): { readonly nodeId: string; readonly term: number } | undefined {
    return this.#node.leader;
  }

  /** This node's leadership, while it has it. */
  get lease(): Lease | undefined {
    return this.#node.election.lease;
  }

  /**
   * Aborted when this node takes part no more: it has left, or, then the reason is a
   * {@linkcode NodeReplacedError}, another process has joined by its name.
   */
  get signal(): AbortSignal {
    return this.#node.discovery.signal;
  }

  /**
   * Who is to serve an actor, by the map that this node knows; `undefined` while nobody is. A
   * hint: commands find their way by themselves.
   *
   * @throws {RangeError} The id is empty, not well-formed, or too long.
   */
  ownerOf(actorId: string): ActorOwner | undefined {
    encodeToken(actorId);
    const shard = this.#node.session.store.shardOf(actorId);
    const owner = this.#node.map.shards[shard];
    if (owner === undefined) return undefined;
    const member = memberOf(this.view, owner.nodeId, owner.incarnation);
    return member && { nodeId: member.nodeId, shard };
  }

  /**
   * Says how this node handles the commands of the actors that it owns, one at a time of each
   * actor. What `handler` gives back, which has to be what JSON carries, is the sender's reply;
   * what it throws reaches the sender as {@linkcode CommandFailedError}.
   *
   * Save through the `store` of the context, all events of a command at once and at least one of
   * them of its actor: then the command's events are there once, however often it comes. A
   * command that saves nothing may run again. One that saves events of an actor whose shard is
   * another node's fails with {@linkcode FencedError}: send a command there instead. Nodes that
   * own shards need a handler: until there is one, commands wait.
   *
   * @throws {TypeError} There is a handler already.
   */
  handle(handler: CommandHandler, { onDuplicate }: HandleOptions = {}): void {
    const { handling } = this.#node;
    if (handling.handler !== undefined) {
      throw new TypeError("Cannot handle commands twice: this node has a handler already");
    }
    handling.handler = handler;
    handling.onDuplicate = onDuplicate;
  }

  /**
   * Sends a command to the owner of an actor, and gives its reply: over moves and crashes, until
   * somebody has answered. It is handled once, for its id is stored with its events.
   *
   * The id counts per actor, whoever wrote the event that names it: the same id may be sent to
   * another actor, and a command that saved events of several is found at each of them as handled.
   * Where it has failed, the reply is remembered for a while under its id; send it under another
   * one to have it handled anew.
   *
   * @param command What JSON carries.
   * @throws {CommandFailedError} The handler has thrown; what it says is in `failure`. Or the
   * actor's events cannot be read, a {@linkcode CorruptEventError} or
   * {@linkcode StreamRegressedError}: then nobody knows whether it was handled before.
   * @throws {CommandAlreadyHandledError} It was handled before, and nobody knows the reply.
   * @throws {CommandOutcomeUnknownError} It was sent, and nobody has answered in time: send it
   * again under its `commandId`.
   * @throws {StoreUnavailableError} It was certainly not handled: nobody could be reached in
   * time, or too many commands are on their way.
   * @throws {TypeError} JSON would change the command.
   * @throws {RangeError} It is larger than the server takes, or an id is impossible.
   */
  async send(actorId: string, command: unknown, options: SendOptions = {}): Promise<unknown> {
    const { commandId, commandId: id = uuidv7() } = options;
    encodeToken(actorId);
    encodeToken(id);
    const problem = jsonProblem(command, "command");
    if (problem !== undefined) throw new TypeError(`Cannot send the command: ${problem}`);
    if (this.#node.isLeaving) {
      throw new StoreUnavailableError(
        `Cannot send command "${id}" to "${actorId}": this node has left; it was not sent`,
      );
    }
    const { max_payload = Infinity } = this.#connection.info ?? {};
    const limits = { ...options, maxBytes: max_payload };
    // Of a name that was given nobody knows here whether it was sent before, and when.
    const landmark = commandId === undefined ? this.#router.landmark : undefined;
    return await this.#node.telemetry.send(
      { id, actorId, command, ...(landmark !== undefined && { landmark }) },
      (message) => this.#router.send(message, limits),
    );
  }

  /**
   * What changes from now on: members, the leader, the shards' owners. Whoever is slow to read is
   * told of the difference only. Ends with `signal`, or when this node takes part no more.
   *
   * @throws {NodeReplacedError} Another process has joined by the name of this node.
   */
  changes(
    { signal }: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<ClusterEvent, void> {
    const ends = signal === undefined ? this.signal : AbortSignal.any([signal, this.signal]);
    const { leader, map } = this.#node;
    return this.#changes({ view: this.view, leader, map }, ends);
  }

  /** Everything that people want to know of this node, and of the cluster as it sees it. */
  describe(): ClusterDescription {
    return describeCluster(this.#node, this.#router.underWay);
  }

  /**
   * Leaves: hands the shards over to the others, resigns, and ends. Resolves when others have
   * taken the shards, or after `leaveTimeout`. The connection stays open.
   */
  leave(): Promise<void> {
    return this.#node.leave();
  }

  /** See {@linkcode Cluster.leave}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.leave();
  }

  #destinationOf(actorId: string): Destination | undefined {
    const { session, map, namespace } = this.#node;
    const owner = map.shards[session.store.shardOf(actorId)];
    if (owner === undefined) return undefined;
    const { nodeId, incarnation } = owner;
    if (memberOf(this.view, nodeId, incarnation) === undefined) return undefined;
    if (nodeId === this.nodeId && incarnation === session.store.incarnation) {
      return { nodeId, incarnation, subject: undefined };
    }
    return { nodeId, incarnation, subject: nodeSubject(namespace, owner, "command") };
  }

  async *#changes(
    seen: Pick<ClusterNode, "leader" | "map"> & { readonly view: ClusterView },
    ends: AbortSignal,
  ): AsyncGenerator<ClusterEvent, void> {
    const { changed } = this.#node;
    for (;;) {
      const { count } = changed;
      const now = { view: this.view, leader: this.#node.leader, map: this.#node.map };
      yield* changesBetween(seen.view, now.view);
      if (seen.leader?.term !== now.leader?.term) yield { type: "leader", leader: now.leader };
      if (seen.map !== now.map) {
        const moves = shardMoves(seen.map.shards, now.map.shards);
        yield { type: "moved", mapVersion: now.map.version, moves };
      }
      seen = now;
      const { reason } = this.signal;
      if (isAetherError(reason, "NodeReplacedError")) throw reason;
      if (ends.aborted) return;
      await changed.wait(IDLE, ends, count);
    }
  }
}

/** How long one try of a command waits for its answer, in ms: another one joins it. */
const TRY = 5_000;
/** How often changes are looked for where nothing tells of a change, in ms. */
const IDLE = 60_000;

/** Puts the description together. */
export function describeCluster(
  { namespace, discovery, election, leader, map, session }: ClusterNode,
  sending: number,
): ClusterDescription {
  const owned = new Map<string, number>();
  let free = 0;
  for (const owner of map.shards) {
    if (owner === undefined) free++;
    else owned.set(owner.nodeId, (owned.get(owner.nodeId) ?? 0) + 1);
  }
  const { actors, commands } = session.actors.load;
  return {
    nodeId: discovery.nodeId,
    incarnation: discovery.incarnation,
    namespace,
    view: discovery.view,
    leader,
    coordinates: discovery.coordinates,
    map: { version: map.version, shards: map.shards.length, owned, free },
    phases: new Map([...session.shards.phases].filter(([, count]) => count > 0)),
    actors,
    handling: commands,
    sending,
    lease: election.timings,
    discovery: discovery.timings,
  };
}
