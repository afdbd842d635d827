import { assert, assertEquals, assertRejects } from "@std/assert";
import { FencedEventStore } from "../../../store/fencing/fenced_store.ts";
import { Layout } from "../../../store/format/layout.ts";
import { FencedError, type FenceHolder } from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { actorIn, claimAll, fencedBy, fencedTest, nodeOf, tryOne } from "./bed.ts";
import { natsTest } from "../../support/fixture.ts";

fencedTest(
  "When two nodes claim under one map, each shard goes to one of them",
  async (scene, options) => {
    await using a = await nodeOf(scene, "a", options);
    await using b = await nodeOf(scene, "b", options);
    for (let round = 1; round <= 5; round++) {
      const shards = Array.from({ length: 16 }, (_, shard) => shard);
      const claims = await Promise.allSettled(
        shards.flatMap((shard) => [a.store.claim(shard, round), b.store.claim(shard, round)]),
      );
      for (const shard of shards) {
        const [ofA, ofB] = claims.slice(2 * shard, 2 * shard + 2) as [
          PromiseSettledResult<FenceHolder>,
          PromiseSettledResult<FenceHolder>,
        ];
        const [winner, won, lost] = ofA.status === "fulfilled" ? [a, ofA, ofB] : [b, ofB, ofA];
        assert(won.status === "fulfilled" && lost.status === "rejected");
        assert(lost.reason instanceof FencedError, String(lost.reason));
        assertEquals(lost.reason.holder, won.value);
        assertEquals(won.value.nodeId, winner.store.nodeId);
        assertEquals(await a.store.fence(shard), won.value);
      }
      for (const node of [a, b]) {
        await Promise.all(node.store.owned.map((shard) => node.store.release(shard)));
      }
    }
  },
);

natsTest("A claim under an older map is refused, one under a newer takes over", async (scene) => {
  await using a = await nodeOf(scene, "a");
  await using b = await nodeOf(scene, "b");
  assertEquals(await a.store.fence(3), undefined);
  const first = await a.store.claim(3, 5);
  const { nodeId, incarnation } = a.store;
  const { sequence } = first;
  assertEquals(first, { nodeId, incarnation, mapVersion: 5, state: "claimed", sequence });
  for (const mapVersion of [4, 5]) {
    const error = await assertRejects(() => b.store.claim(3, mapVersion), FencedError);
    assertEquals([error.shard, error.nodeId, error.holder], [3, "b", first]);
    assertEquals(
      error.message,
      `Cannot claim shard 3 under map ${mapVersion}: node "a" has claimed shard 3 under map 5; ` +
        'node "b" may claim it under a newer one',
    );
  }
  const second = await b.store.claim(3, 6);
  assert(a.store.owns(3) && b.store.owns(3), "a does not know yet");
  const error = fencedBy(await tryOne(a.store, actorIn(a.store, 3), 1));
  assertEquals([error.shard, error.holder], [3, second]);
  assert(!a.store.owns(3));
  assertEquals(a.lost, [3]);
  // Not under the map that it had lost the shard under, nor under the one that gave it away.
  for (const mapVersion of [5, 6]) {
    await assertRejects(() => a.store.claim(3, mapVersion), FencedError);
  }
  await a.store.claim(3, 7);
  assertEquals((await tryOne(a.store, actorIn(a.store, 3), 1)).kind, "saved");
});

natsTest(
  "A later incarnation of a node takes over under the same map, an earlier one never",
  async (scene) => {
    await using older = await nodeOf(scene, "a", { incarnation: "1" });
    await using newer = await nodeOf(scene, "a", { incarnation: "2" });
    await older.store.claim(0, 1);
    await newer.store.claim(0, 1);
    fencedBy(await tryOne(older.store, actorIn(older.store, 0), 1));
    await using third = await nodeOf(scene, "a", { incarnation: "1" });
    await assertRejects(() => third.store.claim(0, 1), FencedError);
    assertEquals((await newer.store.fence(0))?.incarnation, "2");
  },
);

natsTest("A claim of an owned shard changes nothing, and shards are independent", async (scene) => {
  await using a = await nodeOf(scene, "a");
  const claims = await Promise.all([1, 1, 2].map((shard) => a.store.claim(shard, 1)));
  assertEquals(claims[0], claims[1]);
  const sent = a.connection.stats().outMsgs;
  assertEquals(await a.store.claim(1, 1), claims[0]);
  assertEquals(a.connection.stats().outMsgs, sent);
  assertEquals(await a.store.claim(1, 9), claims[0]);
  assertEquals([...a.store.owned].sort(), [1, 2]);
  assertEquals([a.store.owns(1), a.store.owns(3)], [true, false]);
  assertEquals(await a.store.fences(), new Map([[1, claims[0]!], [2, claims[2]!]]));
});

natsTest("A release ends ownership, and the next owner claims after it", async (scene) => {
  await using a = await nodeOf(scene, "a");
  await using b = await nodeOf(scene, "b");
  const actorId = actorIn(a.store, 0);
  await a.store.claim(0, 1);
  const saves = Array.from({ length: 50 }, (_, at) => tryOne(a.store, actorId, at + 1));
  const releasing = a.store.release(0);
  assert(!a.store.owns(0));
  fencedBy(await tryOne(a.store, actorId, 51));
  const released = await releasing;
  assertEquals((await Promise.all(saves)).map(({ kind }) => kind), Array(50).fill("saved"));
  assertEquals([released?.state, released?.nodeId], ["released", "a"]);
  assertEquals(await a.store.release(0), undefined);
  const claim = await b.store.claim(0, 2);
  assert(claim.sequence > released!.sequence);
  assertEquals(await b.store.getLatestVersion(actorId), 50);
  assertEquals(a.lost, []);
  // Given back under a newer map; a claim made meanwhile is released silently.
  await a.store.claim(0, 3);
  const taken = await b.store.release(0);
  assertEquals(taken?.nodeId, "a");
  assertEquals(b.lost, []);
});

natsTest("A claim and a release whose acks are lost are read back", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  await using a = await nodeOf(scene, "a", { connection, timeout: 2_500 });
  for (let round = 1; round <= 3; round++) {
    const eaten = proxy.eatAcks();
    const claim = await a.store.claim(round, 1);
    await eaten.done;
    const meal = proxy.eatAcks();
    const released = await a.store.release(round);
    await meal.done;
    // Nothing but the two was written.
    assertEquals(released?.sequence, claim.sequence + 1);
  }
});

natsTest(
  "A claim that was lost, and that another node's has overtaken, is refused",
  async (scene) => {
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    await using a = await nodeOf(scene, "a", { connection, timeout: 5_000 });
    await using b = await nodeOf(scene, "b");
    const fence = new Layout(scene.namespace).fence(3);
    const meal = proxy.eatFromClient(({ subject }) => subject === fence, 1);
    const claim = assertRejects(() => a.store.claim(3, 1), FencedError);
    await meal.done;
    await b.store.claim(3, 1);
    await claim;
    assertEquals([a.store.owns(3), b.store.owns(3)], [false, true]);
  },
);

natsTest(
  "A claim without an answer is unavailable, and another call reports its outcome",
  async (scene) => {
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    await using a = await nodeOf(scene, "a", { connection, timeout: 500 });
    const meal = proxy.eatAcks(Infinity);
    const answers = proxy.eatFromServer((frame) => frame.verb.endsWith("MSG"));
    const error = await assertRejects(() => a.store.claim(0, 1));
    assertEquals((error as Error).name, "StoreUnavailableError");
    meal.stop();
    answers.stop();
    assert(!a.store.owns(0));
    await a.store.claim(0, 1);
    assert(a.store.owns(0));
  },
);

natsTest(
  "A fence is written over the fence that was read, unless that is outdated",
  async (scene) => {
    const proxy = scene.proxy();
    const requests: string[] = [];
    proxy.onClientFrame = ({ verb, subject }) => {
      if (verb.endsWith("PUB")) requests.push(subject);
      return "pass";
    };
    const connection = await scene.connect({ servers: proxy.url });
    await using a = await nodeOf(scene, "a", { connection });
    await using b = await nodeOf(scene, "b");
    const fence = new Layout(scene.namespace).fence(3);
    const get = `$JS.API.STREAM.MSG.GET.${a.store.stream}`;
    const asked = async (work: () => Promise<unknown>) => {
      requests.length = 0;
      await work();
      return requests.filter((subject) => subject === fence || subject === get);
    };
    assertEquals(await asked(() => a.store.fence(3)), [get]);
    assertEquals(await asked(() => a.store.claim(3, 1)), [fence]);
    assertEquals(await asked(() => a.store.release(3)), [fence]);
    await b.store.claim(3, 2);
    await b.store.release(3);
    // Refused on what it has seen, it looks, and writes on that.
    assertEquals(await asked(() => a.store.claim(3, 3)), [fence, get, fence]);
    await b.store.claim(3, 4);
    assertEquals(await asked(() => a.store.release(3)), [fence, get]);
    assertEquals((await b.store.fence(3))?.nodeId, "b");
    // An obstacle is read first: it may be outdated.
    await b.store.release(3);
    assertEquals(await asked(() => assertRejects(() => a.store.claim(3, 3), FencedError)), [get]);
    assertEquals(await asked(() => a.store.claim(3, 5)), [fence]);
  },
);

natsTest("Data that is no fence has no owner: a claim overwrites it", async (scene) => {
  await using a = await nodeOf(scene, "a");
  const subject = new Layout(scene.namespace).fence(0);
  await a.store.claim(0, 1);
  for (const body of ["", "null", "{}", '{"nodeId":"x"}']) {
    await a.connection.request(subject, body, { timeout: 5_000 });
    const mapVersion = a.lost.length + 2;
    fencedBy(await tryOne(a.store, actorIn(a.store, 0), mapVersion));
    await a.store.claim(0, mapVersion);
  }
  assertEquals(a.lost.length, 4);
  assertEquals((await tryOne(a.store, actorIn(a.store, 0), 9)).kind, "saved");
  // It says nothing of a newer map: under the present one the shard is as good as before.
  await a.connection.request(subject, "", { timeout: 5_000 });
  fencedBy(await tryOne(a.store, actorIn(a.store, 0), 10));
  await assertRejects(() => a.store.claim(0, 4), FencedError);
  await a.store.claim(0, 5);
  assertEquals((await tryOne(a.store, actorIn(a.store, 0), 10)).kind, "saved");
});

natsTest("An error of onDeposed is reported, and stops nothing", async (scene) => {
  const { warn } = console;
  const warnings: unknown[] = [];
  const failure = new Error("not now");
  const onDeposed = () => {
    throw failure;
  };
  await using a = await nodeOf(scene, "a", { onDeposed });
  await using b = await nodeOf(scene, "b");
  await a.store.claim(0, 1);
  await b.store.claim(0, 2);
  console.warn = (_what, error) => error === failure ? warnings.push(error) : undefined;
  try {
    fencedBy(await tryOne(a.store, actorIn(a.store, 0), 1));
  } finally {
    console.warn = warn;
  }
  assertEquals(warnings, [failure]);
  await a.store.claim(0, 3);
});

natsTest("Impossible shards, maps, names and modes are RangeErrors", async (scene) => {
  await using a = await nodeOf(scene, "a");
  for (const shard of [-1, 16, 1.5, NaN]) {
    await assertRejects(() => a.store.claim(shard, 1), RangeError);
    await assertRejects(() => a.store.release(shard), RangeError);
    await assertRejects(() => a.store.fence(shard), RangeError);
    await assertRejects(() => a.store.barrier(shard), RangeError);
  }
  for (const mapVersion of [0, -1, 1.5, NaN]) {
    await assertRejects(() => a.store.claim(0, mapVersion), RangeError);
  }
  const open = (options: object) =>
    FencedEventStore.open(a.connection, { nodeId: "a", ...options } as never);
  for (
    const options of [
      { nodeId: "" },
      { incarnation: "\ud800" },
      { mode: "none" },
      { reads: "all" },
      { timeout: 0 },
    ]
  ) {
    await assertRejects(() => open(options), RangeError);
  }
});

fencedTest("A claim forgets the versions that others may have moved", async (scene, options) => {
  await using a = await nodeOf(scene, "a", { ...options, cacheMaxAge: 3_600_000 });
  await using b = await nodeOf(scene, "b", options);
  const [moved, other] = [actorIn(a.store, 0), actorIn(a.store, 1)];
  await claimAll(a, 1, [0, 1]);
  await a.store.saveEvents([fact(moved, 1), fact(other, 1)]);
  await b.store.claim(0, 2);
  await b.store.saveEvent(fact(moved, 2));
  assertEquals(await a.store.getLatestVersion(moved), 1);
  await a.store.claim(0, 1); // Believed to be owned still.
  fencedBy(await tryOne(a.store, moved, 3));
  await a.store.claim(0, 3);
  assertEquals(await a.store.getLatestVersion(moved), 2);
  const sent = a.connection.stats().outMsgs;
  assertEquals(await a.store.getLatestVersion(other), 1);
  assertEquals(a.connection.stats().outMsgs, sent);
  assertEquals((await a.store.getEvents(moved)).length, 2);
});

fencedTest("1,000 shards are claimed side by side", async (scene, options) => {
  await using a = await nodeOf(scene, "a", { ...options, shards: 1_000 });
  await using b = await nodeOf(scene, "b", { ...options, shards: 1_000 });
  await claimAll(a, 1);
  assertEquals(a.store.owned.length, 1_000);
  const third = Array.from({ length: 334 }, (_, at) => at * 2);
  await claimAll(b, 2, third);
  const fences = await b.store.fences();
  assertEquals([...fences.values()].filter(({ nodeId }) => nodeId === "b").length, 334);
});
