/**
 * What the tests of fences share: nodes that own shards, saves with their outcomes, and a look at
 * the stored log that finds what a deposed owner has written.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { MsgHdrs, NatsConnection } from "@nats-io/transport-node";
import {
  FencedEventStore,
  type FencedEventStoreOptions,
} from "../../../store/fencing/fenced_store.ts";
import { Layout } from "../../../store/format/layout.ts";
import {
  type Event,
  type FencedError,
  isAetherError,
  type SaveOptions,
} from "../../../store/mod.ts";
import { assertTruthful, fact, type Outcome, storedIn, tampered } from "../../support/fault.ts";
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";
import { messagesOf } from "../../support/jetstream_api.ts";

/** A node of a test, and the reports that it got. */
export interface Node extends AsyncDisposable {
  readonly store: FencedEventStore;
  readonly connection: NatsConnection;
  /** The shards that it has lost, as reported, in order. */
  readonly lost: number[];
}

/** How a node is opened. */
export interface NodeInit extends Partial<FencedEventStoreOptions> {
  /** Its connection. @default {a connection of its own} */
  readonly connection?: NatsConnection;
}

/** A node of the scene's namespace; 16 shards unless asked for others. */
export async function nodeOf(scene: Scene, nodeId: string, init: NodeInit = {}): Promise<Node> {
  const { connection = await scene.connect(), ...options } = init;
  const lost: number[] = [];
  const store = await FencedEventStore.open(connection, {
    ...{ nodeId, namespace: scene.namespace, shards: 16 },
    onDeposed: (shard) => lost.push(shard),
    ...options,
  });
  return { store, connection, lost, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** Claims shards, all at once: those that are named, or all. */
export async function claimAll(
  { store }: Node,
  mapVersion: number,
  shards: readonly number[] = Array.from({ length: store.shards }, (_, shard) => shard),
): Promise<void> {
  await Promise.all(shards.map((shard) => store.claim(shard, mapVersion)));
}

/** An actor of the shard; `serial` makes it unlike others. */
export function actorIn(store: FencedEventStore, shard: number, serial = 0): string {
  for (let at = 0;; at++) {
    const actorId = `order-${serial}x${at}`;
    if (store.shardOf(actorId) === shard) return actorId;
  }
}

/** Saves `events` and says how it ended: a fenced save is one that is unavailable, by its error. */
export async function tryToSave(
  store: FencedEventStore,
  events: readonly Event[],
  options: SaveOptions = {},
): Promise<Outcome> {
  try {
    const { sequence, duplicate } = await store.saveEvents(events, options);
    return { events, kind: duplicate ? "duplicate" : "saved", sequence };
  } catch (error) {
    if (isAetherError(error, "VersionConflictError")) return { events, kind: "conflict", error };
    if (isAetherError(error, "SaveOutcomeUnknownError")) return { events, kind: "unknown", error };
    const isAbsent = isAetherError(error, "FencedError") ||
      isAetherError(error, "StoreUnavailableError");
    if (isAbsent) return { events, kind: "unavailable", error };
    throw error;
  }
}

/** Saves one event. */
export function tryOne(
  store: FencedEventStore,
  actorId: string,
  version: number,
): Promise<Outcome> {
  return tryToSave(store, [fact(actorId, version)]);
}

/**
 * Saves so many events of one actor, each of which is a message: between two of them is one of
 * another actor.
 */
export async function saveApart(
  store: Pick<FencedEventStore, "saveEvents">,
  actorId: string,
  count: number,
  first: number,
  gap = 1,
): Promise<void> {
  for (let start = 0; start < count; start += 400) {
    const part = Array.from({ length: Math.min(400, count - start) }, (_, at) => start + at);
    await store.saveEvents(
      part.flatMap((at) => [fact(actorId, first + at * gap), fact(`${actorId}-apart`, at + 1)]),
    );
  }
}

/** The `FencedError` of an outcome; fails where it is another. */
export function fencedBy({ kind, error }: Outcome): FencedError {
  if (isAetherError(error, "FencedError")) return error;
  throw new Error(`Expected a FencedError, but it was ${kind}: ${error}`, { cause: error });
}

/** How many outcomes are of each kind; fenced ones by themselves. */
export function counts(outcomes: readonly Outcome[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const { kind, error } of outcomes) {
    const name = isAetherError(error, "FencedError") ? "fenced" : kind;
    found[name] = (found[name] ?? 0) + 1;
  }
  return found;
}

/** Events that were stored under another node's fence. */
export interface ZombieWrite {
  readonly sequence: number;
  readonly shard: number;
  /** The fence that it was written under. */
  readonly fence: number;
  /** The fence at that time. */
  readonly current: number;
}

/**
 * Looks through the stored log: each event has to be written under the fence of its shard that is
 * before it. Returns those that do not.
 */
export async function zombieWrites(
  connection: NatsConnection,
  namespace: string,
): Promise<ZombieWrite[]> {
  const { stream } = new Layout(namespace);
  const current = new Map<string, number>();
  const found: ZombieWrite[] = [];
  for (const { sequence, subject, header } of await messagesOf(connection, stream)) {
    const [, , kind, shard = ""] = subject.split(".");
    const fence = Number(header("Aether-Fence"));
    if (kind === "fence") current.set(shard, sequence);
    if (kind !== "event" || fence === current.get(shard)) continue;
    found.push({ sequence, shard: Number(shard), fence, current: current.get(shard) ?? 0 });
  }
  return found;
}

/** Checks reports to callers against the stream, and that no deposed owner has written. */
export async function assertFenced(
  connection: NatsConnection,
  { stream, namespace }: FencedEventStore,
  outcomes: readonly Outcome[],
): Promise<void> {
  assertTruthful(outcomes, await storedIn(connection, stream));
  assertEquals(await zombieWrites(connection, namespace), []);
}

/** A test on one server, and on a cluster with replicas 3. */
export function fencedTest(
  name: string,
  run: (scene: Scene, options: { replicas: number }) => Promise<void>,
): void {
  natsTest(name, (scene) => run(scene, { replicas: 1 }));
  clusterTest(`${name}, on replicas`, (scene) => run(scene, { replicas: 3 }));
}

/** Sizes of the batches that go over a connection, and how many messages are in none. */
export class Traffic {
  readonly #batches = new Map<string, number>();

  /** Counts what `connection` publishes. */
  watch(connection: NatsConnection): NatsConnection {
    return tampered(connection, (fields: MsgHdrs) => {
      const id = fields.get("Nats-Batch-Id");
      if (id !== "") this.#batches.set(id, (this.#batches.get(id) ?? 0) + 1);
    });
  }

  /** Messages of each batch, in order. */
  get sizes(): number[] {
    return [...this.#batches.values()];
  }
}
