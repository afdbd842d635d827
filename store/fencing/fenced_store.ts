import {
  asGiven,
  needObject,
  needOpened,
  needOptionalFunctions,
  needSignal,
} from "../base/given.ts";
import { needConnection } from "../nats/open.ts";
import { shardOf } from "../actor.ts";
import { commandLogOf, keepCommandLog } from "../command_log.ts";
import { keepPositions, positionsOf } from "../store_positions.ts";
import { keepSaveChecks, saveChecksOf } from "../save_check.ts";
import { unlessAborted } from "../base/abort.ts";
import { encodeToken, tokenProblem } from "../base/token.ts";
import { uuidv7 } from "../base/uuid.ts";
import { prepareActors } from "../check/query.ts";
import type { Connection } from "../connection.ts";
import type { FenceHolder } from "../errors.ts";
import type { Event, RecordedEvent } from "../event.ts";
import { eventRulesOf, keepEventRules } from "../event_rules.ts";
import { Claims, type ShardClaim } from "./claims.ts";
import { CommandView } from "./command_view.ts";
import { Fences } from "./fences.ts";
import { type HandledCommand, HandledCommands } from "./handled_commands.ts";
import type { FencedParts } from "./parts.ts";
import { checkModes, checkOwner, type FencedEventStoreOptions } from "./options.ts";
import { FencedPath, idleTogether, OptimisticPath } from "./save_paths.ts";
import { JetStreamEventStore, openByDetour } from "../jetstream/event_store.ts";
import type {
  EventSubscriptionOptions,
  LatestVersionOptions,
  ListActorsOptions,
  ReadAllOptions,
  ReadOptions,
  SaveOptions,
  SaveReceipt,
} from "../options.ts";
import type { EventStore, EventSubscription, EventsWithErrors } from "../store.ts";
import type { StoreMetrics } from "../telemetry/metrics.ts";

export type { FencedEventStoreOptions };

/** Options for calls that may be ended early. */
export interface FenceOptions {
  /** Gives up. A request that was sent by then may still succeed. */
  readonly signal?: AbortSignal;
}

const plainStores = new WeakMap<FencedEventStore, JetStreamEventStore>();

/** The store that a fenced one reads with; not for users. */
export function plainStoreOf(store: FencedEventStore): JetStreamEventStore {
  return plainStores.get(store)!;
}

/** The parts of a fenced store. */
interface Core {
  readonly store: JetStreamEventStore;
  readonly parts: FencedParts;
  readonly fenced: FencedPath;
  /** Resolves when no save under a claim is left. */
  readonly drained: (claim: ShardClaim) => Promise<void>;
  readonly nodeId: string;
  readonly incarnation: string;
  readonly reads: "lease" | "fenced";
}

/**
 * An event store that writes only the actors of shards that its node has claimed, and whose commits
 * prove it: the claim is a message in the stream of events itself, and each commit names the claim
 * that it builds on. So the stream refuses a deposed node, whatever that node believes: the writer
 * of a fence has committed all that is stored between it and the shard's next fence.
 *
 * Saves of all shards go out together, one batch at a time; while one is under way the next ones
 * gather. Each carries the sequence of its fence in the header `Aether-Fence`. A save takes a message
 * for each 256 events of an actor, or about 64 KiB, and one more for each shard in which no actor has
 * two: 1,000 fit.
 *
 * Plain stores on the same stream keep the promises of an {@linkcode EventStore}; fences do not
 * bind them.
 *
 * @example Claim a shard, write, and be deposed
 * ```ts
 * import { connect } from "@nats-io/transport-node";
 * import { createEvent, isAetherError } from "@flowmade-one/aether/store";
 * import { FencedEventStore } from "@flowmade-one/aether/cluster";
 *
 * const connection = await connect({ servers: "localhost:4222" });
 * const one = await FencedEventStore.open(connection, { namespace: "fenced", nodeId: "one" });
 * const two = await FencedEventStore.open(connection, { namespace: "fenced", nodeId: "two" });
 * const placed = { eventType: "OrderPlaced", actorId: "order-123", data: null };
 * const shard = one.shardOf("order-123");
 * await one.claim(shard, 1);
 * await one.saveEvent(createEvent({ ...placed, version: 1 }));
 * await two.claim(shard, 2);
 * try {
 *   await one.saveEvent(createEvent({ ...placed, version: 2 }));
 * } catch (error) {
 *   if (!isAetherError(error, "FencedError")) throw error;
 *   console.log(error.holder?.nodeId); // "two"
 * }
 * await one[Symbol.asyncDispose]();
 * await two[Symbol.asyncDispose]();
 * await connection.close();
 * ```
 */
export class FencedEventStore implements EventStore {
  readonly #core: Core;

  private constructor(core: Core) {
    const isOwn = core?.store instanceof JetStreamEventStore;
    needOpened(isOwn, "FencedEventStore", "open(connection, options)");
    this.#core = core;
    plainStores.set(this, core.store);
    keepCommandLog(this, commandLogOf(core.store));
    keepPositions(this, positionsOf(core.store));
    keepEventRules(this, eventRulesOf(core.store));
    keepSaveChecks(this, saveChecksOf(core.store));
  }

  /**
   * Opens the store of a namespace as {@linkcode JetStreamEventStore.open} does. It owns no shard
   * to begin with.
   *
   * @throws {UnsupportedServerError} The server is older than 2.12; nothing was written.
   * @throws {StreamConfigError} The stream would lose events, or has other shards than asked.
   * @throws {StoreUnavailableError} JetStream does not answer.
   * @throws {StoreRefusedError} There is no JetStream, or the user may not use it.
   * @throws {TypeError} An option is of another kind; nothing was written.
   * @throws {RangeError} An option is out of its range; likewise.
   */
  static async open(
    connection: Connection,
    options: FencedEventStoreOptions,
  ): Promise<FencedEventStore> {
    needConnection(connection, "open the store");
    needObject(options, "open the store", "options");
    const own = asGiven(options);
    const { nodeId, incarnation = uuidv7(), mode = "fenced", reads = "lease", onDeposed } = own;
    checkOwner({ nodeId, incarnation });
    checkModes({ mode, reads });
    needOptionalFunctions(own, ["onDeposed"], "open the store");
    let made: Omit<Core, "store"> | undefined;
    const store = await openByDetour(connection, own, (inner, plain) => {
      const { heads, shards } = inner;
      const fences = new Fences({ ...inner, nodeId, incarnation });
      const claims = new Claims({ fences, heads, nodeId, incarnation, shards, onDeposed });
      const parts = { ...inner, fences, claims, shardOf: (id: string) => shardOf(id, shards) };
      const fenced = new FencedPath(parts);
      const path = mode === "fenced" ? fenced : new OptimisticPath(parts, plain);
      const drained = async (claim: ShardClaim) => {
        await Promise.all([path.drained(claim), fenced.drained(claim)]);
      };
      made = { parts, fenced, drained, nodeId, incarnation, reads };
      return idleTogether(path, fenced);
    });
    return new FencedEventStore({ ...made!, store });
  }

  /** The name of this node. */
  get nodeId(): string {
    return this.#core.nodeId;
  }

  /** Names this life of the node. */
  get incarnation(): string {
    return this.#core.incarnation;
  }

  /** Keeps stores apart. */
  get namespace(): string {
    return this.#core.store.namespace;
  }

  /** The JetStream stream that holds the events and the fences. */
  get stream(): string {
    return this.#core.store.stream;
  }

  /** See {@linkcode EventStore.identity}. */
  get identity(): string {
    return this.#core.store.identity;
  }

  /** Shards that actors are spread over; fixed when the stream is made. */
  get shards(): number {
    return this.#core.store.shards;
  }

  /** See {@linkcode JetStreamEventStore.metrics}. */
  get metrics(): StoreMetrics {
    return this.#core.store.metrics;
  }

  /** The shards that this node owns, as far as it knows; in no order. */
  get owned(): readonly number[] {
    return this.#core.parts.claims.shards;
  }

  /** Whether this node owns the shard, as far as it knows. */
  owns(shard: number): boolean {
    return this.#core.parts.claims.get(shard) !== undefined;
  }

  /** The shard of an actor. */
  shardOf(actorId: string): number {
    return this.#core.parts.shardOf(actorId);
  }

  /**
   * Makes this node the owner of a shard: once the fence is stored, the stream refuses other nodes'
   * commits to it. Reads of this store then reach at least that place, and the store forgets the
   * versions it knew of the shard's actors. Any number of claims may be under way at once. A shard
   * that this node owns already stays as it is: under a newer map the fence is only read.
   *
   * @param shard The shard, from 0.
   * @param mapVersion The version of the shard map that gives it to this node; 1 or more.
   * @throws {FencedError} The shard was claimed under a newer map, or under this one by another
   * node; or this node has lost it under this map or a newer one.
   * @throws {StoreUnavailableError} No answer in time; the claim may be stored all the same, and
   * another call finds out.
   */
  async claim(
    shard: number,
    mapVersion: number,
    { signal }: FenceOptions = {},
  ): Promise<FenceHolder> {
    this.#checkShard(shard);
    if (!Number.isSafeInteger(mapVersion) || mapVersion < 1) {
      throw new RangeError(
        `Cannot claim shard ${shard}: mapVersion is ${mapVersion}, not a safe integer of 1 or more`,
      );
    }
    needSignal(signal, "claim the shard");
    return await this.#core.parts.claims.claim(shard, mapVersion, signal);
  }

  /**
   * Claims a shard again that this node owns. Whatever was sent under the old claim and is not
   * stored yet is refused from now on, and so are saves that wait. This settles a save whose answer
   * was lost with the connection; nothing else can.
   *
   * @throws {FencedError} The shard is not this node's.
   * @throws {StoreUnavailableError} No answer in time; call again.
   */
  async renew(shard: number, { signal }: FenceOptions = {}): Promise<void> {
    this.#checkShard(shard);
    needSignal(signal, "renew the claim");
    await this.#core.parts.claims.renew(shard, signal);
  }

  /**
   * Gives a shard up: refuses new saves at once, waits for those under way, then marks the fence as
   * released. Does nothing if this node does not own the shard.
   *
   * @returns The fence then: another node's claim if there is one by now.
   * @throws {StoreUnavailableError} No answer in time; the shard stays closed, and `release()` may
   * be called again.
   */
  async release(
    shard: number,
    { signal }: FenceOptions = {},
  ): Promise<FenceHolder | undefined> {
    this.#checkShard(shard);
    needSignal(signal, "release the shard");
    const { parts, drained } = this.#core;
    return await parts.claims.release(shard, drained, signal);
  }

  /**
   * A shard's fence, as the server has it; `undefined` if no node ever claimed the shard.
   *
   * @throws {StoreUnavailableError} No answer in time.
   */
  async fence(shard: number): Promise<FenceHolder | undefined> {
    this.#checkShard(shard);
    return await this.#core.parts.fences.read(shard);
  }

  /**
   * The fences of all shards that were ever claimed, as the nearest replica has them.
   *
   * @throws {StoreUnavailableError} No answer in time.
   */
  async fences(): Promise<Map<number, FenceHolder>> {
    return await this.#core.parts.fences.readAll();
  }

  /**
   * Proves by a commit that the shard belonged to this node after the call, so that no other owner
   * has written what a read then misses. Calls at about the same time share the commit.
   *
   * @returns The sequence of the proof: reads of this store reach it.
   * @throws {FencedError} The shard is not this node's.
   * @throws {StoreUnavailableError} No answer in time.
   */
  async barrier(shard: number, { signal }: FenceOptions = {}): Promise<number> {
    this.#checkShard(shard);
    needSignal(signal, "prove the claim");
    const { parts, fenced } = this.#core;
    const claim = parts.claims.get(shard);
    if (claim === undefined) {
      throw parts.claims.errorFor(`prove that shard ${shard} is owned`, shard);
    }
    return await fenced.prove(claim, signal);
  }

  /**
   * A view of this store whose saves say which command they are the outcome of, in the header
   * `Aether-Command`. Disposing of it does nothing.
   *
   * @throws {RangeError} The id is empty, not well-formed, or over 200 bytes when encoded.
   */
  forCommand(commandId: string): EventStore {
    encodeToken(commandId);
    return new CommandView(this, commandId);
  }

  /**
   * The commands that the last 1,000 messages of an actor are the outcome of, in the order they
   * were handled; a message may hold many events.
   *
   * @throws {CorruptEventError} An event of a command cannot be read.
   */
  async commandsOf(actorId: string): Promise<ReadonlyMap<string, HandledCommand>> {
    return await new HandledCommands(this.#core.parts).commands(actorId);
  }

  /**
   * See {@linkcode EventStore.saveEvent}; {@linkcode FencedError} if this node does not own the
   * shard.
   */
  saveEvent(event: Event): Promise<SaveReceipt> {
    return this.saveEvents([event]);
  }

  /**
   * See {@linkcode EventStore.saveEvents}.
   *
   * @throws {FencedError} A shard of the events' actors is not this node's; nothing was saved.
   * @throws {RangeError} Also if the events and the proofs of the claims are over 1,000 messages.
   */
  saveEvents(events: readonly Event[], options: SaveOptions = {}): Promise<SaveReceipt> {
    return this.#core.store.saveEvents(events, options);
  }

  /** See {@linkcode EventStore.getEvents}. */
  async getEvents<E extends Event = Event>(actorId: string, fromVersion?: number): Promise<E[]> {
    await this.#confirm(actorId);
    return await this.#core.store.getEvents(actorId, fromVersion);
  }

  /** See {@linkcode EventStore.getEventsOf}. */
  async getEventsOf<E extends Event = Event>(
    actorIds: readonly string[],
  ): Promise<Map<string, E[]>> {
    const actors = prepareActors(actorIds);
    await this.#confirmAll(actors);
    return await this.#core.store.getEventsOf(actors);
  }

  /** See {@linkcode EventStore.readEvents}. */
  readEvents<E extends Event = Event>(
    actorId: string,
    options?: ReadOptions,
  ): AsyncGenerator<E, void> {
    return this.#readEvents<E>(actorId, asGiven(options));
  }

  /** See {@linkcode EventStore.getEventsWithErrors}. */
  async getEventsWithErrors<E extends Event = Event>(
    actorId: string,
  ): Promise<EventsWithErrors<E>> {
    await this.#confirm(actorId);
    return await this.#core.store.getEventsWithErrors(actorId);
  }

  /** See {@linkcode EventStore.getLatestVersion}. */
  async getLatestVersion(actorId: string, options?: LatestVersionOptions): Promise<number> {
    const own = asGiven(options);
    await this.#confirm(actorId);
    return await this.#core.store.getLatestVersion(actorId, own);
  }

  /** See {@linkcode EventStore.getLatestVersions}. */
  async getLatestVersions(
    actorIds: readonly string[],
    options?: LatestVersionOptions,
  ): Promise<Map<string, number>> {
    const [actors, own] = [prepareActors(actorIds), asGiven(options)];
    await this.#confirmAll(actors);
    return await this.#core.store.getLatestVersions(actors, own);
  }

  /** See {@linkcode EventStore.readAll}. */
  readAll(options?: ReadAllOptions): AsyncIterable<RecordedEvent> {
    return this.#core.store.readAll(options);
  }

  /** See {@linkcode EventStore.subscribe}. */
  subscribe<E extends Event = Event>(options?: EventSubscriptionOptions): EventSubscription<E> {
    return this.#core.store.subscribe(options);
  }

  /** See {@linkcode EventStore.listActors}. */
  listActors(options?: ListActorsOptions): AsyncIterable<string> {
    return this.#core.store.listActors(options);
  }

  /** Waits for saves under way, as a plain store does. Fences stay: see {@linkcode release}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#core.store[Symbol.asyncDispose]();
  }

  async *#readEvents<E extends Event>(
    actorId: string,
    options: ReadOptions | undefined,
  ): AsyncGenerator<E, void> {
    await this.#confirm(actorId, options?.signal);
    yield* this.#core.store.readEvents<E>(actorId, options);
  }

  /** Proves before a read that the shard still belongs to this node, if reads are to be fenced. */
  async #confirm(actorId: string, signal?: AbortSignal): Promise<void> {
    const { parts, fenced, reads } = this.#core;
    if (reads !== "fenced" || tokenProblem(actorId) !== undefined) return;
    const claim = parts.claims.get(parts.shardOf(actorId));
    if (claim !== undefined) await unlessAborted(signal, fenced.prove(claim));
  }

  /** The same for several actors; those of one shard share the proof. */
  async #confirmAll(actorIds: readonly string[]): Promise<void> {
    if (this.#core.reads !== "fenced") return;
    const shards = new Map(actorIds.map((actorId) => [this.shardOf(actorId), actorId]));
    await Promise.all(Array.from(shards.values(), (actorId) => this.#confirm(actorId)));
  }

  #checkShard(shard: number): void {
    if (Number.isSafeInteger(shard) && shard >= 0 && shard < this.shards) return;
    throw new RangeError(`Cannot find shard ${shard}: there are ${this.shards}, counted from 0`);
  }
}
