import { assert, assertEquals } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import type { FencedEventStore } from "../../../store/fencing/fenced_store.ts";
import { type Event, FencedError, isAetherError } from "../../../store/mod.ts";
import type { NatsCluster } from "../../../tools/nats_cluster.ts";
import { fact, type Outcome, settled, storedIn } from "../../support/fault.ts";
import { assertFenced, counts, type Node, nodeOf, tryToSave } from "./bed.ts";
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";
import { seededRandom } from "../../support/proxy.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;
const SHARDS = 8;

/** Three nodes that write to all shards that they believe to own, behind proxies that lose acks. */
class Storm implements AsyncDisposable {
  readonly outcomes: Outcome[] = [];
  readonly #nodes: Node[] = [];
  readonly #random = seededRandom(11);
  #writing: Promise<unknown> = Promise.resolve();
  #version = 0;
  #over = false;

  /** Opens the nodes, each by another server, and lets them write. */
  static async begin(scene: Scene, replicas: number): Promise<Storm> {
    const storm = new Storm();
    for (const at of [0, 1, 2]) {
      const proxy = scene.proxy(scene.servers[at % scene.servers.length]!);
      const connection = await scene.connect({ servers: proxy.url });
      const init = { connection, timeout: 4_000, shards: SHARDS, replicas };
      storm.#nodes.push(await nodeOf(scene, `node-${at}`, init));
      proxy.eatAcksWhere(() => storm.#random() < 0.05);
    }
    const writers = storm.#nodes.flatMap(({ store }, seat) =>
      [...Array(6).keys()].map((at) => storm.#write(store, seat, at % 3 === 0 ? 2 : 1))
    );
    storm.#writing = Promise.all(writers);
    return storm;
  }

  /** The store of a node. */
  get store(): FencedEventStore {
    return this.#nodes[0]!.store;
  }

  /** Gives some shard to some node, and lets a few saves pass. */
  async move(): Promise<void> {
    const { store } = this.#nodes[this.#pick(3)]!;
    try {
      await store.claim(this.#pick(SHARDS), ++this.#version);
    } catch (error) {
      const isUsual = error instanceof FencedError || isAetherError(error, "StoreUnavailableError");
      if (!isUsual) throw error;
    }
    const goal = this.outcomes.length + 10;
    // At first hardly anybody owns anything.
    for (const end = performance.now() + 1_000; this.outcomes.length < goal;) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (performance.now() > end) return;
    }
  }

  /** Lets the saves under way end, and checks the reports against the stream. */
  async check(direct: NatsConnection): Promise<void> {
    this.#over = true;
    await this.#writing;
    const ends = new Map<string, string>();
    for (const outcome of this.outcomes) {
      if (outcome.kind === "unknown") ends.set(outcome.events[0]!.id, await settled(outcome));
    }
    await assertFenced(direct, this.store, this.outcomes);
    const ids = new Set((await storedIn(direct, this.store.stream)).map(({ id }) => id));
    for (const [id, end] of ends) {
      if (end !== "unknown") {
        assertEquals(ids.has(id), end === "saved", `${id} was settled as ${end}`);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    for (const node of this.#nodes) await node[Symbol.asyncDispose]();
  }

  #pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  async #write(store: FencedEventStore, seat: number, most: number): Promise<void> {
    while (!this.#over) {
      const actors = Array.from({ length: most }, () => `order-${this.#pick(20)}`);
      const own = [...new Set(actors)].filter((actorId) => store.owns(store.shardOf(actorId)));
      if (own.length === 0) await new Promise((resolve) => setTimeout(resolve));
      else this.outcomes.push(await tryToSave(store, await nextOf(store, own, seat)));
    }
  }
}

/** The next events of actors, by what the node knows: others may be faster. */
async function nextOf(
  store: FencedEventStore,
  actors: readonly string[],
  seat: number,
): Promise<Event[]> {
  const versions = await Promise.all(
    actors.map((actorId) => store.getLatestVersion(actorId).catch(() => 0)),
  );
  return actors.flatMap((actorId, at) => {
    const version = versions[at]! + 1;
    const more = seat === 0 ? [fact(actorId, version + 1)] : [];
    return [fact(actorId, version), ...more];
  });
}

natsTest(
  "A storm of claims: between two fences only the first one's owner writes",
  async (scene) => {
    const direct = await scene.connect();
    await using storm = await Storm.begin(scene, 1);
    for (let move = 0; move < (LONG ? 1_000 : 40); move++) await storm.move();
    await storm.check(direct);
    const { saved = 0, fenced = 0 } = counts(storm.outcomes);
    assert(saved > 100 && fenced > 0, JSON.stringify(counts(storm.outcomes)));
  },
);

/** Deposes, kills or freezes the stream's leader; it comes back. */
async function harm(
  cluster: NatsCluster,
  direct: NatsConnection,
  stream: string,
  kind: number,
): Promise<void> {
  if (kind % 3 === 0) {
    await direct.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`, "{}", { timeout: 10_000 });
    return;
  }
  const leader = await cluster.leaderOf(stream);
  if (kind % 3 === 1) {
    await leader.kill();
    await cluster.leaderOf(stream);
    await leader.restart();
  } else {
    await leader.pause();
    await cluster.leaderOf(stream);
    leader.resume();
  }
  await cluster.waitHealthy();
}

clusterTest(
  "A storm of claims while leaders of the stream fall: only owners write, all reports are true",
  async (scene) => {
    const { cluster } = scene;
    const direct = await scene.connect();
    await using storm = await Storm.begin(scene, 3);
    for (let round = 0; round < (LONG ? 24 : 3); round++) {
      for (let move = 0; move < 12; move++) await storm.move();
      const harming = harm(cluster, direct, storm.store.stream, round);
      for (let move = 0; move < 6; move++) await storm.move();
      await harming;
    }
    for (let move = 0; move < 12; move++) await storm.move();
    await storm.check(direct);
    const { saved = 0, fenced = 0 } = counts(storm.outcomes);
    assert(saved > 100 && fenced > 0, JSON.stringify(counts(storm.outcomes)));
  },
);
