import type { Msg, Subscription } from "@nats-io/nats-core";
import { decodeJson, encodeJson } from "../store/base/json.ts";
import { isSameIncarnation, type NodeIncarnation } from "./incarnation.ts";
import { Actors } from "./commands/actors.ts";
import type { CommandHandler, ReplyToDuplicate } from "./commands/handler.ts";
import type { Departures } from "./commands/departures.ts";
import {
  type AnswerMessage,
  type CommandAnswer,
  type CommandMessage,
  decodeAnswer,
  decodeCommand,
  encodeMessage,
  failureOf,
  refusalOf,
} from "./commands/messages.ts";
import { Ability } from "./sharding/ability.ts";
import type { HandoffAnswer } from "./sharding/handoff.ts";
import type { ShardMap } from "./sharding/shard_map.ts";
import type { ShardStatus } from "./sharding/shard_status.ts";
import { Shards } from "./sharding/shards.ts";
import { nodeSubject } from "./subjects.ts";
import type { ClusterTelemetry } from "./telemetry.ts";
import { unlessAborted } from "../store/base/abort.ts";
import { inTurn } from "../store/base/in_turn.ts";
import { commandLogOf } from "../store/command_log.ts";
import type { Connection } from "../store/connection.ts";
import { isAetherError, StoreUnavailableError } from "../store/errors.ts";
import {
  FencedEventStore,
  type FencedEventStoreOptions,
  plainStoreOf,
} from "../store/fencing/fenced_store.ts";
import { readerOf } from "../store/jetstream/event_store.ts";
import { notHeard } from "../store/nats/failure.ts";
import type { RequestMux } from "../store/nats/requests.ts";
import { total } from "../store/nats/total.ts";

/** The parts that a session needs. */
export interface NodeSessionParts {
  readonly connection: Connection;
  readonly requests: RequestMux;
  readonly namespace: string;
  readonly self: NodeIncarnation;
  readonly store: FencedEventStoreOptions;
  readonly handler: () => CommandHandler | undefined;
  readonly onDuplicate: () => ReplyToDuplicate | undefined;
  readonly isMember: (owner: NodeIncarnation) => boolean;
  /** Ends the wait for an answer of a node that is no longer a member. */
  readonly departures: Departures;
  /** Ms for which the others certainly count this incarnation as a member; 0 if that is unknown. */
  readonly validFor: () => number;
  readonly telemetry: ClusterTelemetry;
  /** Gets errors that are not transient. */
  readonly report: (error: unknown) => void;
  readonly drainTimeout: number;
  readonly idle: number;
  readonly maxActors: number;
}

/** How long a command waits for a shard that is on its way here, in ms. */
const COMING = 2_000;

/**
 * One incarnation of a node in its cluster: its store, its shards and their actors, and its answers
 * to the others. A node that was taken for gone opens another session, which shares none of this.
 */
export class NodeSession {
  /** Fenced to the shards of this incarnation. */
  readonly store: FencedEventStore;
  /** Its shards. */
  readonly shards: Shards;
  /** Its actors. */
  readonly actors: Actors;
  readonly #parts: NodeSessionParts;
  readonly #ability: Ability;
  readonly #subscriptions: readonly Subscription[];
  readonly #commands: Subscription;
  /** What the server has said before of too many subscriptions. */
  readonly #excess: Error | undefined;
  #map: ShardMap | undefined;
  /** Why the server does not let it answer. */
  #refused: Error | undefined;
  #end: Promise<void> | undefined;

  private constructor(parts: NodeSessionParts, store: FencedEventStore) {
    const { connection, namespace, self, drainTimeout, isMember, idle, maxActors } = parts;
    this.#parts = parts;
    this.store = store;
    this.#excess = parts.requests.excess;
    const ability = this.#ability = new Ability(self.nodeId, parts.report);
    const actors: Actors = this.actors = new Actors({
      requests: parts.requests,
      nodeId: self.nodeId,
      handler: parts.handler,
      onDuplicate: parts.onDuplicate,
      storeFor: (commandId) => store.forCommand(commandId),
      log: commandLogOf(store)!,
      shardOf: (actorId) => store.shardOf(actorId),
      serves: (shard) => this.shards.serves(shard),
      otherOwner: (shard) => {
        const owner = this.#map?.shards[shard];
        if (owner === undefined || isSameIncarnation(owner, self)) return undefined;
        return isMember(owner) ? owner.nodeId : undefined;
      },
      confirm: (shard) => this.#confirm(shard),
      saved: (shard, failure) => {
        if (failure === undefined) return ability.ended(shard);
        const { error } = failure;
        // An actor that has lost events is no reason to give up all others.
        const isOfActor = isAetherError(error, "StreamRegressedError") &&
          error !== readerOf(plainStoreOf(store)).check.failure;
        if (!isOfActor) ability.failed(shard, error);
      },
      renew: (shard) => store.renew(shard),
      idle,
      capacity: maxActors,
    });
    this.shards = new Shards({
      requests: parts.requests,
      self,
      shards: store.shards,
      claims: {
        readFence: (shard) => store.fence(shard),
        claim: (shard, mapVersion, signal) => store.claim(shard, mapVersion, { signal }),
        release: (shard, signal) => store.release(shard, { signal }),
      },
      ask: (holder, shard, mapVersion) => this.#ask(holder, shard, mapVersion),
      isMember,
      ability,
      drained: (shard) => actors.drained(shard),
      forget: (shard) => actors.forget(shard),
      drainTimeout,
    });
    const serve = (verb: string, answer: (message: Msg) => Promise<Uint8Array>) =>
      connection.subscribe(nodeSubject(namespace, self, verb), {
        callback: total(`answering "${verb}"`, (error, message) => {
          if (error === null) reply(message, answer(message));
          else this.#refused ??= error;
        }),
      });
    this.#commands = serve("command", (message) => this.#command(message));
    this.#subscriptions = [
      serve("release", (message) => this.#release(message)),
      serve("status", () => Promise.resolve(encodeJson(this.status))),
    ];
  }

  /**
   * Opens the store and begins to answer, without any shard.
   *
   * @throws As {@linkcode FencedEventStore.open} does.
   */
  static async open(parts: NodeSessionParts): Promise<NodeSession> {
    let opened: NodeSession | undefined;
    const { nodeId, incarnation } = parts.self;
    const store = await FencedEventStore.open(parts.connection, {
      ...parts.store,
      nodeId,
      incarnation,
      onDeposed: (shard, error) => {
        opened?.shards.deposed(shard);
        parts.store.onDeposed?.(shard, error);
      },
    });
    const session = opened = new NodeSession(parts, store);
    try {
      await session.#checkHeard();
    } catch (error) {
      const closing = [() => session.mute(), () => session.close()];
      await inTurn(closing, parts.report).catch(parts.report);
      throw error;
    }
    return session;
  }

  /** Waits until the server has taken the subscriptions: it refuses one without an answer. */
  async #checkHeard(): Promise<void> {
    const { connection, requests, store: { timeout = 10_000 } } = this.#parts;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), timeout);
    // If the server does not answer, the first request says so. A second answer comes behind the report
    // of a refusal before the first.
    for (const _ of [1, 2]) await unlessAborted(late.signal, connection.flush()).catch(() => {});
    clearTimeout(timer);
    if (requests.excess !== this.#excess) this.#refused ??= requests.excess;
    if (this.#refused !== undefined) throw notHeard(this.#refused);
  }

  /** How far it has carried out the map. */
  get status(): ShardStatus {
    const { mapVersion, unsettled } = this.shards;
    const { problem: unable } = this.#ability;
    return { mapVersion, unsettled, ...(unable !== undefined && { unable }) };
  }

  /** Takes a map. */
  learn(map: ShardMap): void {
    this.#map = map;
    this.shards.learn(map);
  }

  /** Runs a command of this process; the answer went through JSON, as from another node. */
  async run(message: Uint8Array): Promise<AnswerMessage> {
    return decodeAnswer(this.#encode(await this.#run(decodeCommand(message)!)))!;
  }

  /** Releases all shards, and resolves when they are released or `signal` is aborted. */
  async leave(signal: AbortSignal): Promise<void> {
    await this.shards.leave(signal);
  }

  /**
   * Ends the session: saves under way finish. Commands under way can save nothing more, and are not
   * waited for; nor are shards that were not released. Commands are sent on until
   * {@linkcode NodeSession.mute}.
   */
  close(): Promise<void> {
    return this.#end ??= this.#close();
  }

  /**
   * Stops answering: a command that is on its way here then is lost, and its sender tries again.
   */
  mute(): void {
    this.#unsubscribe(this.#commands);
  }

  #unsubscribe(subscription: Subscription): void {
    if (!this.#parts.connection.isClosed()) subscription.unsubscribe();
  }

  async #close(): Promise<void> {
    await inTurn([
      ...this.#subscriptions.map((subscription) => () => this.#unsubscribe(subscription)),
      () => this.shards.close(),
      () => this.actors.close(AbortSignal.abort()),
      () => this.store[Symbol.asyncDispose](),
    ], this.#parts.report);
  }

  #run(message: CommandMessage): Promise<CommandAnswer> {
    const due = performance.now() + (message.within ?? Infinity);
    return this.#parts.telemetry.handle(message, async () => {
      const shard = this.store.shardOf(message.actorId);
      const isRefused = this.#ability.refusalOf(shard) !== undefined;
      if (!this.shards.serves(shard) && !isRefused) await this.shards.comes(shard, COMING);
      const answer = await this.actors.run(message, due);
      if (answer.kind !== "retry" || answer.refusal !== undefined) return answer;
      return { ...answer, ...refusalOf(this.#ability.refusalOf(shard)) };
    });
  }

  async #command({ data }: Msg): Promise<Uint8Array> {
    const message = decodeCommand(data);
    if (message === undefined) {
      const error = new TypeError("Cannot run the command: it is malformed");
      return encodeMessage({ kind: "failed", error: failureOf(error) });
    }
    return this.#encode(await this.#run(message));
  }

  /** Encodes an answer; one to a command of this process is held to the same limit. */
  #encode(answer: CommandAnswer): Uint8Array {
    const { max_payload = Infinity } = this.#parts.connection.info ?? {};
    const { landmark } = this.actors;
    const full = encodeMessage({ ...answer, landmark });
    if (full.length <= max_payload) return full;
    const body = encodeMessage(answer);
    if (body.length <= max_payload) return body;
    return encodeMessage({ kind: "failed", error: failureOf(tooLarge(body.length)) });
  }

  async #release({ data }: Msg): Promise<Uint8Array> {
    const { shard, mapVersion } = decodeJson(data) as Record<"shard" | "mapVersion", number>;
    const isFine = Number.isSafeInteger(shard) && Number.isSafeInteger(mapVersion) && shard >= 0 &&
      shard < this.store.shards;
    return encodeJson(isFine ? await this.shards.release(shard, mapVersion) : "newer");
  }

  /** Asks the holder of a shard for its release, and waits as long as draining may take. */
  async #ask(holder: NodeIncarnation, shard: number, mapVersion: number): Promise<HandoffAnswer> {
    const { requests, namespace, departures, drainTimeout } = this.#parts;
    const subject = nodeSubject(namespace, holder, "release");
    const { data } = await departures.unlessGone(
      holder,
      requests.request(subject, encodeJson({ shard, mapVersion }), drainTimeout + COMING),
    );
    return decodeJson(data) as HandoffAnswer;
  }

  /** Before a reply that rests on a read: checks that the shard still belongs to this node. */
  async #confirm(shard: number): Promise<void> {
    if (this.#parts.store.reads === "fenced") return void await this.store.barrier(shard);
    if (this.#parts.validFor() > 0) return;
    throw new StoreUnavailableError(
      `Cannot answer for shard ${shard}: the server has not heard of this node for too long`,
    );
  }
}

function reply(message: Msg, answer: Promise<Uint8Array>): void {
  answer.then((body) => message.respond(body)).catch(() => {
    // Malformed, or the asker is out of reach: it asks again.
  });
}

function tooLarge(size: number): RangeError {
  return new RangeError(`it was handled, and its reply cannot be sent: it takes ${size} bytes`);
}
