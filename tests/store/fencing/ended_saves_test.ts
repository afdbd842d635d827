/**
 * Saves that wait while something else ends: another save of theirs, the call itself, or the ownership
 * of their shard.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { FencedEventStore, type FencedEventStoreOptions } from "../../../cluster/mod.ts";
import { FencedError, isAetherError, StoreUnavailableError, verify } from "../../../mod.ts";
import { HeldCodec } from "../../../testing/event_store/kit.ts";
import { fact } from "../../support/fault.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import type { Proxy, Verdict } from "../../support/proxy.ts";

const ACTOR = "order-1";

/** A node's store behind a proxy, and another node's beside it; of one shard. */
class Pair implements AsyncDisposable {
  constructor(
    readonly proxy: Proxy,
    readonly a: FencedEventStore,
    readonly b: FencedEventStore,
  ) {}

  static async open(scene: Scene, options: Partial<FencedEventStoreOptions> = {}): Promise<Pair> {
    const { namespace } = scene;
    const proxy = scene.proxy();
    const own = { namespace, shards: 1, timeout: 5_000, ...options };
    const behind = await scene.connect({ servers: proxy.url });
    const a = await FencedEventStore.open(behind, { ...own, nodeId: "a" });
    const b = await FencedEventStore.open(await scene.connect(), { ...own, nodeId: "b" });
    await a.claim(0, 1);
    return new Pair(proxy, a, b);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.a[Symbol.asyncDispose]();
    await this.b[Symbol.asyncDispose]();
  }
}

async function versions(store: FencedEventStore): Promise<number[]> {
  return (await store.getEvents(ACTOR)).map(({ version }) => version);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

natsTest("A save that ends while the stream is checked is not sent afterwards", async (scene) => {
  await using pair = await Pair.open(scene);
  const { proxy, a, b } = pair;
  await a.saveEvent(fact(ACTOR, 1));
  // After a reconnect, the next save waits for a look at the stream.
  proxy.cut();
  await pause(400);
  const asked = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  proxy.onServerFrame = async ({ verb }): Promise<Verdict> => {
    if (!verb.endsWith("MSG")) return "pass";
    asked.resolve();
    await told.promise;
    return "pass";
  };
  const enough = new AbortController();
  const saving = a.saveEvents([fact(ACTOR, 2)], { signal: enough.signal });
  saving.catch(() => {});
  await asked.promise;
  enough.abort(new Error("no patience"));
  const error = await assertRejects(() => saving);
  assert(isAetherError(error, "StoreUnavailableError"));
  told.resolve();
  proxy.onServerFrame = () => "pass";
  await a.saveEvent(fact("order-2", 1)); // Behind it in line.
  assertEquals(await versions(b), [1]);
});

natsTest(
  "A save goes out without the one that it builds on only if that is stored",
  async (scene) => {
    await using pair = await Pair.open(scene, { timeout: 3_000 });
    const { proxy, a, b } = pair;
    let isLost = true;
    proxy.onClientFrame = ({ verb }) => isLost && verb === "HPUB" ? "drop" : "pass";
    const enough = new AbortController();
    const one = a.saveEvents([fact(ACTOR, 1)], { signal: enough.signal });
    const two = a.saveEvents([fact(ACTOR, 2)], { expect: [{ actorId: ACTOR, version: 1 }] });
    for (const saving of [one, two]) saving.catch(() => {});
    await pause(300);
    enough.abort(new Error("no patience"));
    isLost = false;
    const unknown = await assertRejects(() => one);
    assert(isAetherError(unknown, "SaveOutcomeUnknownError"));
    const outcome = await unknown.settle();
    const refused = await assertRejects(() => two);
    assertEquals([outcome, await versions(b)], ["not-saved", []]);
    assert(
      !isAetherError(refused, "SaveOutcomeUnknownError") || await refused.settle() !== "saved",
    );
  },
);

for (const renewed of [false, true]) {
  const when = renewed ? "also of a claim that was renewed" : "of the claim";
  natsTest(`In optimistic mode a release waits for saves under way, ${when}`, async (scene) => {
    await using pair = await Pair.open(scene, { mode: "optimistic" });
    const { proxy, a, b } = pair;
    const acks = proxy.eatAcks(1); // The second save waits behind the first.
    const saves = [1, 2].map((version) => a.saveEvent(fact(ACTOR, version)));
    // A renewal refuses what waits, and not what is under way.
    const ends = renewed ? assertRejects(() => saves[1]!, FencedError) : saves[1]!;
    await acks.done;
    if (renewed) await a.renew(0);
    await a.release(0);
    await b.claim(0, 2);
    assertEquals(await versions(b), renewed ? [1] : [1, 2]);
    await Promise.all([saves[0], ends]);
  });
}

natsTest(
  "In optimistic mode an owner sends nothing once it knows that it is none",
  async (scene) => {
    await using pair = await Pair.open(scene, { mode: "optimistic" });
    const { proxy, a, b } = pair;
    const acks = proxy.eatAcks(1);
    const [one, two] = [1, 2].map((version) => a.saveEvent(fact(ACTOR, version)));
    for (const saving of [one!, two!]) saving.catch(() => {});
    await acks.done;
    await b.claim(0, 2);
    await assertRejects(() => a.barrier(0));
    assert(!a.owns(0));
    const error = await assertRejects(() => two!);
    assert(isAetherError(error, "FencedError"));
    await one!.catch(() => {});
    assertEquals(await versions(b), [1]);
  },
);

natsTest(
  "claim(), renew() and release() end by their signal though a release waits for saves",
  async (scene) => {
    const codec = new HeldCodec();
    const own = { namespace: scene.namespace, shards: 1, codec, nodeId: "a" };
    await using store = await FencedEventStore.open(await scene.connect(), own);
    await store.claim(0, 1);
    const reached = codec.hold();
    const save = store.saveEvent(fact(ACTOR, 1));
    await reached;
    const release = store.release(0);
    const ends = new AbortController();
    const { signal } = ends;
    const calls = [store.claim(0, 2, { signal }), store.renew(0, { signal })];
    calls.push(store.release(0, { signal }) as Promise<never>);
    const ended = calls.map((call) => assertRejects(() => call, StoreUnavailableError, "enough"));
    ends.abort(new Error("enough"));
    await Promise.all(ended);
    codec.release();
    await save;
    assertEquals((await release)?.state, "released");
    assertEquals((await store.claim(0, 2)).mapVersion, 2);
  },
);

for (const mode of ["fenced", "optimistic"] as const) {
  natsTest(`renew() refuses saves that wait, in mode "${mode}"`, async (scene) => {
    const connection = await scene.connect();
    const codec = new HeldCodec();
    const own = { namespace: scene.namespace, shards: 1, codec };
    await using store = await FencedEventStore.open(connection, { ...own, nodeId: "a", mode });
    await store.claim(0, 1);
    await store.saveEvent(fact(ACTOR, 1));
    const reached = codec.hold();
    const waiting = [2, 3].map((version) => store.saveEvent(fact(ACTOR, version)));
    const refused = waiting.map((save) => assertRejects(() => save, FencedError));
    await reached;
    await store.renew(0);
    codec.release();
    await Promise.all(refused);
    await store.saveEvent(fact(ACTOR, 2));
    const report = await verify(store);
    assertEquals([report.ok, report.events], [true, 2]);
  });
}
