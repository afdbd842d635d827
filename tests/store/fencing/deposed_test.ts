import { assert, assertEquals, assertRejects } from "@std/assert";
import { FencedError, JetStreamEventStore } from "../../../store/mod.ts";
import { fact, type Outcome, tampered } from "../../support/fault.ts";
import {
  actorIn,
  assertFenced,
  claimAll,
  counts,
  fencedBy,
  fencedTest,
  type Node,
  nodeOf,
  tryOne,
  tryToSave,
  zombieWrites,
} from "./bed.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;

fencedTest("All saves that a deposed owner had in line are refused", async (scene, options) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  await using a = await nodeOf(scene, "a", { connection, timeout: 30_000, ...options });
  await using b = await nodeOf(scene, "b", options);
  await claimAll(a, 1);
  const outcomes: Outcome[] = [await tryOne(a.store, "order-1", 1)];
  proxy.pause();
  const queued = Array.from({ length: 500 }, (_, at) => tryOne(a.store, `order-${at}`, 2));
  await claimAll(b, 2);
  outcomes.push(await tryOne(b.store, "order-1", 2));
  proxy.resume();
  const refused = await Promise.all(queued);
  assertEquals(counts(refused), { fenced: 500 });
  assertEquals([...a.lost].sort((x, y) => x - y), [...Array(16).keys()]);
  assertEquals(a.store.owned, []);
  for (const outcome of refused) {
    const { shard, actorId, holder } = fencedBy(outcome);
    assertEquals(actorId, outcome.events[0]!.actorId);
    assertEquals([shard, holder?.nodeId], [a.store.shardOf(actorId!), "b"]);
  }
  await assertFenced(b.connection, b.store, [...outcomes, ...refused]);
});

/** Saves on a node's shards until they are all lost; gives how all ended. */
async function writeUntilDeposed(node: Node, actors: readonly string[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  await Promise.all(actors.map(async (actorId) => {
    for (let version = 1;; version++) {
      const outcome = await tryOne(node.store, actorId, version);
      outcomes.push(outcome);
      if (counts([outcome]).fenced === 1) return;
    }
  }));
  return outcomes;
}

fencedTest(
  "An owner that commits flat out writes nothing after a claim",
  async (scene, options) => {
    await using a = await nodeOf(scene, "a", options);
    await using b = await nodeOf(scene, "b", options);
    const { store } = a;
    const outcomes: Outcome[] = [];
    const rounds = LONG ? 40 : 4;
    for (let round = 1; round <= rounds; round++) {
      await claimAll(a, 2 * round);
      const actors = [...Array(32).keys()].map((at) => actorIn(store, at % 16, 100 * round + at));
      const writing = writeUntilDeposed(a, actors);
      for (let shard = 0; shard < 16; shard++) {
        // The shard has been written by now, in the thick of it.
        const mark = actors[shard]!;
        while (await b.store.getLatestVersion(mark, { fresh: true }) < 10);
        await b.store.claim(shard, 2 * round + 1);
      }
      outcomes.push(...await writing);
      assertEquals(a.lost.length, 16 * round);
      assertEquals([...b.lost].length, 16 * (round - 1));
    }
    const { saved = 0, fenced = 0, ...others } = counts(outcomes);
    assertEquals([others, fenced], [{}, 32 * rounds]);
    assert(saved >= 160 * rounds, `${saved} saves`);
    await assertFenced(b.connection, b.store, outcomes);
  },
);

fencedTest(
  "If one of five shards is lost, a batch saves on the other four",
  async (scene, options) => {
    await using a = await nodeOf(scene, "a", options);
    await using b = await nodeOf(scene, "b", options);
    await claimAll(a, 1);
    await b.store.claim(2, 2);
    const outcomes = await Promise.all(
      [...Array(50).keys()].map((at) => tryOne(a.store, actorIn(a.store, at % 5, at), 1)),
    );
    assertEquals(counts(outcomes), { saved: 40, fenced: 10 });
    for (const outcome of outcomes) {
      const shard = a.store.shardOf(outcome.events[0]!.actorId);
      if (shard === 2) fencedBy(outcome);
      else assertEquals(outcome.kind, "saved");
    }
    assertEquals(a.lost, [2]);
    assertEquals([a.store.owns(1), a.store.owns(2)], [true, false]);
    // One save over all of them is refused as a whole.
    const across = [0, 1, 2, 3].map((shard) => fact(actorIn(a.store, shard, 99), 1));
    outcomes.push(await tryToSave(a.store, across));
    fencedBy(outcomes.at(-1)!);
    await assertFenced(b.connection, b.store, outcomes);
  },
);

/** Deposes an owner that does not know it, and lets it write; gives how that ended. */
async function zombie(scene: Scene, a: Node, b: Node): Promise<Outcome[]> {
  await claimAll(a, 1);
  const actors = [...Array(40).keys()].map((at) => `order-${at}`);
  const outcomes = await Promise.all(actors.map((actorId) => tryOne(a.store, actorId, 1)));
  assertEquals(counts(outcomes), { saved: 40 });
  await claimAll(b, 2);
  outcomes.push(...await Promise.all(actors.map((actorId) => tryOne(a.store, actorId, 2))));
  assertEquals(
    await zombieWrites(await scene.connect(), scene.namespace).then((it) => it.length > 0),
    counts(outcomes).saved! > 40,
  );
  return outcomes;
}

natsTest("Control: in optimistic mode a deposed owner writes on", async (scene) => {
  await using a = await nodeOf(scene, "a", { mode: "optimistic" });
  await using b = await nodeOf(scene, "b", { mode: "optimistic" });
  assertEquals(counts(await zombie(scene, a, b)), { saved: 80 });
  // Until the new owner has written the actor.
  await b.store.saveEvent(fact("order-1", 3));
  assertEquals((await tryOne(a.store, "order-1", 3)).kind, "conflict");
  // A save on a shard that is not owned, as far as is known here, is still refused.
  await a.store.release(a.store.shardOf("order-1"));
  fencedBy(await tryOne(a.store, "order-1", 4));
});

natsTest(
  "In optimistic mode, no save of a refused group goes out under a lost claim",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using plain = await JetStreamEventStore.open(connection, { namespace, shards: 16 });
    await using b = await nodeOf(scene, "b");
    let sent = 0;
    /** Just before the second message of events goes out, its actor is written and its shard lost. */
    const overtake = async (): Promise<void> => {
      await plain.saveEvent(fact(actorId, 2));
      await b.store.claim(3, 2);
      await assertRejects(() => a.store.claim(3, 2), FencedError);
    };
    const overtaken = new Proxy(await scene.connect(), {
      get(target, name): unknown {
        const value = Reflect.get(target, name, target);
        if (name !== "publish") return typeof value === "function" ? value.bind(target) : value;
        return (...args: Parameters<typeof target.publish>) => {
          const isSecond = args[0].startsWith(`aether.${namespace}.event.`) && ++sent === 2;
          if (!isSecond) return target.publish(...args);
          overtake().then(() => target.publish(...args));
        };
      },
    });
    await using a = await nodeOf(scene, "a", { mode: "optimistic", connection: overtaken });
    const actorId = actorIn(a.store, 3);
    await a.store.claim(3, 1);
    const [alone, ...group] = await Promise.all([1, 2, 3].map((v) => tryOne(a.store, actorId, v)));
    assertEquals(alone!.kind, "saved");
    assertEquals((await plain.getEvents(actorId)).length, 2);
    for (const outcome of group) assertEquals(fencedBy(outcome).holder?.nodeId, "b");
  },
);

natsTest("Control: without its guards a deposed owner writes on", async (scene) => {
  const unguarded = tampered(await scene.connect(), (fields) => {
    const name = "Nats-Expected-Last-Subject-Sequence";
    if (!fields.has(`${name}-Subject`)) return;
    fields.delete(name);
    fields.delete(`${name}-Subject`);
  });
  await using a = await nodeOf(scene, "a", { connection: unguarded });
  await using b = await nodeOf(scene, "b");
  assertEquals(counts(await zombie(scene, a, b)), { saved: 80 });
});

natsTest("With its guards a deposed owner writes nothing", async (scene) => {
  await using a = await nodeOf(scene, "a");
  await using b = await nodeOf(scene, "b");
  assertEquals(counts(await zombie(scene, a, b)), { saved: 40, fenced: 40 });
});
