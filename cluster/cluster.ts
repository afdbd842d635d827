import { either } from "../store/base/abort.ts";
import {
  needFunction,
  needObject,
  needOpened,
  needOptionalFunctions,
  needSignal,
  needString,
} from "../store/base/given.ts";
import { needConnection } from "../store/nats/open.ts";
import { callChain } from "./commands/call_chain.ts";
import type { CommandMessage } from "./commands/messages.ts";
import type { CommandHandler, ReplyToDuplicate } from "./commands/handler.ts";
import { type Destination, Router, type SendOptions } from "./commands/router.ts";
import type { ClusterDescription } from "./description.ts";
import type { Leader } from "./election/leader_key.ts";
import type { Lease } from "./election/lease.ts";
import { changesBetween, type ClusterChange } from "./membership/changes.ts";
import { throwFailure } from "./membership/discovery.ts";
import { type ClusterView, memberOf } from "./membership/view.ts";
import { ClusterNode } from "./node.ts";
import type { ClusterOptions } from "./options.ts";
import { type ShardMove, shardMoves } from "./sharding/shard_map.ts";
import { nodeSubject } from "./subjects.ts";
import { decodeJson, encodeJson } from "../store/base/json.ts";
import { jsonProblem } from "../store/base/json_fidelity.ts";
import { encodeToken } from "../store/base/token.ts";
import { uuidv7 } from "../store/base/uuid.ts";
import { causeProblem } from "../store/command/command_options.ts";
import type { Connection } from "../store/connection.ts";
import { StoreUnavailableError } from "../store/errors.ts";

/** How commands are handled; see {@linkcode Cluster.handle}. */
export interface HandleOptions {
  /**
   * Makes the reply of a command that comes again after it was handled, from the events that it led
   * to. Without it, the sender of such a command gets {@linkcode CommandAlreadyHandledError}.
   *
   * @default {undefined}
   */
  readonly onDuplicate?: ReplyToDuplicate;
}

/** The owner of an actor's shard. */
export interface ActorOwner {
  /** The node. */
  readonly nodeId: string;
  /** The actor's shard. */
  readonly shard: number;
}

/** One change that {@linkcode Cluster.changes} reports. */
export type ClusterEvent =
  | ClusterChange
  /** Another node leads, or none for the time being. */
  | { readonly type: "leader"; readonly leader: Leader | undefined }
  /** A new map gives shards to other nodes. */
  | { readonly type: "moved"; readonly mapVersion: number; readonly moves: readonly ShardMove[] };

/**
 * A node of a cluster: finds the others, takes its share of the shards, handles the commands of
 * their actors, and sends commands to the owners of other actors. It needs only NATS.
 *
 * The owner of a shard may change at any time, and still only one process can write: every save
 * carries its owner's claim, and the stream of events refuses the save once another claim is
 * stored.
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
    needOpened(node instanceof ClusterNode, "Cluster", "join(connection, options)");
    this.#connection = connection;
    this.#node = node;
    this.#router = new Router({
      requests: node.requests,
      ownerOf: (actorId) => this.#destinationOf(actorId),
      isThere: ({ nodeId, incarnation }) => memberOf(this.view, nodeId, incarnation) !== undefined,
      hasLeft: ({ nodeId, incarnation }) =>
        this.view.departed.some((other) =>
          other.nodeId === nodeId && other.incarnation === incarnation && other.how === "left"
        ),
      refusal: () => node.refusal,
      runHere: (message) => node.session.run(message),
      signal: node.discovery.signal,
      changed: node.changed,
      capacity: node.limits.maxCommands,
      requestTimeout: TRY,
    });
    node.telemetry.watch(() => this.describe());
  }

  /**
   * Joins the cluster of a namespace, and makes what it needs if it does not exist: a bucket
   * `AETHER_CLUSTER_<namespace>` and the stream of events. Resolves when this node is in the view;
   * its shards follow once the coordinator has assigned them.
   *
   * @throws {TypeError} An option is of another kind.
   * @throws {RangeError} The timings break a rule, or a name or another option is out of its range.
   * @throws {NodeReplacedError} Another process joined by the same name at the same time.
   * @throws {UnsupportedServerError} The server is older than 2.12; nothing was written.
   * @throws {StreamConfigError} The stream or the bucket would lose data, or the stream has another
   * number of shards than the options ask for.
   * @throws {StoreUnavailableError} JetStream does not answer.
   * @throws {StoreRefusedError} There is no JetStream, the user may not use it, or the members or the
   * map of the shards would not fit into one message.
   */
  static async join(connection: Connection, options: ClusterOptions = {}): Promise<Cluster> {
    needConnection(connection, "join the cluster");
    needObject(options, "join the cluster", "options");
    return new Cluster(connection, await ClusterNode.join(connection, options));
  }

  /** This node. */
  get nodeId(): string {
    return this.#node.discovery.nodeId;
  }

  /** This node's incarnation: a new one after the others took it for gone. */
  get incarnation(): string {
    return this.#node.discovery.incarnation;
  }

  /** The namespace: keeps clusters apart, and names the event store. */
  get namespace(): string {
    return this.#node.namespace;
  }

  /** The members as this node knows them; a new object at each change. */
  get view(): ClusterView {
    return this.#node.discovery.view;
  }

  /** The leader, as this node knows it; `undefined` while there is none. */
  get leader(): { readonly nodeId: string; readonly term: number } | undefined {
    return this.#node.leader;
  }

  /** This node's leadership, while this node leads. */
  get lease(): Lease | undefined {
    return this.#node.election.lease;
  }

  /**
   * Aborted when this node no longer takes part: because it has left; because another process has
   * joined by its name, then the reason is a {@linkcode NodeReplacedError}; because the connection
   * is closed, then it is a {@linkcode StoreUnavailableError}; or because the others took it for gone,
   * and the server does not let it come back, or its stream would lose events by now, then it is a
   * {@linkcode StoreRefusedError}, which `onError` gets as well. End the process then, or join again.
   */
  get signal(): AbortSignal {
    return this.#node.discovery.signal;
  }

  /**
   * The owner of an actor, by the shard map that this node knows; `undefined` while there is none.
   * A hint only: commands find their way by themselves.
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
   * Registers the handler for the commands of the actors that this node owns, one command of an
   * actor at a time. The value that `handler` returns must survive JSON; it is the sender's reply.
   * An error that `handler` throws reaches the sender as {@linkcode CommandFailedError}.
   *
   * Save through the `store` of the context: all events of a command in one save, and at least one
   * of them of the command's actor. Then the command's events are stored once, however often the
   * command comes. A command that saves nothing may run again. A command that saves events of an
   * actor whose shard another node owns fails with {@linkcode ActorElsewhereError}: send a command to
   * that actor instead. A handler must not wait for a command to its own actor, nor to one whose
   * handler waits for it: {@linkcode CommandCycleError}, as long as that handler runs. Give the
   * `signal` of the context to what takes long. Nodes that own shards need a handler: commands wait until there is one.
   *
   * @throws {TypeError} There is a handler already, or an argument is of another kind.
   */
  handle(handler: CommandHandler, options: HandleOptions = {}): void {
    needFunction(handler, "handle commands", "handler");
    needObject(options, "handle commands", "options");
    needOptionalFunctions(options, ["onDuplicate"], "handle commands");
    const { handling } = this.#node;
    if (handling.handler !== undefined) {
      throw new TypeError("Cannot handle commands twice: this node has a handler already");
    }
    handling.handler = handler;
    handling.onDuplicate = options.onDuplicate?.bind(options);
  }

  /**
   * Sends a command to the owner of an actor and returns its reply. Tries again over moves and
   * crashes until an owner has answered. The command is handled once, as its id is stored with its
   * events.
   *
   * The id counts per actor, whichever command wrote the event that carries it: the same id may be
   * sent to another actor, and a command that saved events of several actors counts as handled at
   * each of them. When a command has failed, its owner remembers that reply for a while under its
   * id; send the command under another id to have it handled again.
   *
   * @param command A value that survives JSON.
   * @throws {CommandFailedError} The handler has thrown; `failure` holds its error. Or the actor's
   * events cannot be read, a {@linkcode CorruptEventError} or {@linkcode StreamRegressedError}:
   * then it is unknown whether the command was handled before.
   * @throws {ActorElsewhereError} It would have saved events of an actor that another node owns.
   * @throws {CommandCycleError} It was sent by a handler that it would have to wait for.
   * @throws {NodeReplacedError} Another process has joined by the name of this node; not sent.
   * @throws {StoreRefusedError} This node had to leave: see {@linkcode Cluster.signal}; not sent.
   * @throws {CommandAlreadyHandledError} It was handled before, and its reply is no longer known.
   * @throws {CommandCrashedOwnersError} Two owners crashed or hung while they had it; no other node
   * gets it.
   * @throws {CommandOutcomeUnknownError} It was sent, and no owner has answered in time: send it
   * again under its `commandId`.
   * @throws {StoreUnavailableError} It was certainly not handled: no owner could be reached in
   * time, or too many commands are under way.
   * @throws {TypeError} JSON would change the command, or its cause is none.
   * @throws {RangeError} It is larger than the server takes, or an id is impossible.
   */
  async send(actorId: string, command: unknown, options: SendOptions = {}): Promise<unknown> {
    needString(actorId, "send the command", "actorId, the first argument,");
    needObject(options, "send the command", "options");
    needSignal(options.signal, "send the command");
    const { commandId, commandId: id = uuidv7(), cause } = options;
    encodeToken(actorId);
    encodeToken(id);
    if (cause !== undefined && causeProblem(cause)) {
      throw new TypeError(
        "Cannot send the command: its cause is neither a date nor { identity, sequence, id }",
      );
    }
    const problem = jsonProblem(command, "command");
    if (problem !== undefined) throw new TypeError(`Cannot send the command: ${problem}`);
    // Each try sends the same, whatever the caller does with its object meanwhile.
    const own = command === undefined ? undefined : decodeJson(encodeJson(command));
    throwFailure(this.signal);
    if (this.#node.isLeaving) {
      throw new StoreUnavailableError(
        `Cannot send command "${id}" to "${actorId}": this node has left; it was not sent`,
      );
    }
    const { max_payload = Infinity } = this.#connection.info ?? {};
    const { timeout, signal } = options;
    const limits = {
      ...(timeout !== undefined && { timeout }),
      ...(signal !== undefined && { signal }),
      maxBytes: max_payload,
    };
    const calls = callChain();
    return await this.#node.telemetry.send(
      {
        ...{ id, actorId, command: own, ...this.#boundOf(commandId, cause) },
        ...(calls.length > 0 && { calls }),
      },
      (message) => this.#router.send(message, limits),
    );
  }

  /**
   * Yields what changes from now on: members, the leader, the shards' owners. A slow reader gets
   * the difference only. Ends with `signal`, or when this node no longer takes part.
   *
   * @throws {TypeError} `signal` is none.
   * @throws {NodeReplacedError} Another process has joined by the name of this node.
   * @throws {StoreRefusedError} This node had to leave: see {@linkcode Cluster.signal}.
   * @throws {StoreUnavailableError} The connection is closed.
   */
  changes(
    { signal }: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<ClusterEvent, void> {
    const ends = either(this.signal, signal, "follow the changes");
    const { leader, map } = this.#node;
    return this.#changes({ view: this.view, leader, map }, ends);
  }

  /** Describes this node, and the cluster as this node sees it, for people. */
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

  /** Says how far back the owner has to look for a command that it may have handled. */
  #boundOf(
    commandId: string | undefined,
    cause: SendOptions["cause"],
  ): Pick<CommandMessage, "isDoubtful" | "isGiven" | "landmark" | "since"> {
    if (cause instanceof Date) return { since: cause.getTime() };
    if (cause?.identity === this.#node.session.store.identity) {
      const { sequence, id } = cause;
      // Somebody may have sent it before; so the owner looks whether it has the event.
      return { landmark: { sequence, id }, isDoubtful: true };
    }
    const { landmark } = this.#router;
    return {
      ...(landmark !== undefined && { landmark }),
      // This node cannot tell whether, or when, the caller sent its own id before.
      ...(commandId !== undefined && { isGiven: true }),
    };
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
      throwFailure(this.signal);
      if (ends.aborted) return;
      await changed.wait(IDLE, ends, count);
    }
  }
}

/** How long one attempt of a command waits for its answer, in ms: the next attempt joins it. */
const TRY = 5_000;
/** How often to look for changes when no notification comes, in ms. */
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
