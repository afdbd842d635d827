import { assert, assertEquals, assertRejects } from "@std/assert";
import type { FencedEventStore } from "../../../store/fencing/fenced_store.ts";
import {
  type Event,
  execute,
  FencedError,
  JetStreamEventStore,
  type SaveOutcomeUnknownError,
  StoreUnavailableError,
  streamSequenceOf,
} from "../../../store/mod.ts";
import { attempt, fact, settled } from "../../support/fault.ts";
import {
  actorIn,
  assertFenced,
  claimAll,
  counts,
  fencedBy,
  fencedTest,
  nodeOf,
  saveApart,
  Traffic,
  tryOne,
  tryToSave,
} from "./bed.ts";
import { natsTest, nextStatus } from "../../support/fixture.ts";

const versionOf = ({ version }: Event): number => version;

natsTest(
  "A save of a shard that is not owned is refused before anything is sent",
  async (scene) => {
    await using a = await nodeOf(scene, "a");
    await a.store.claim(0, 1);
    const [own, other] = [actorIn(a.store, 0), actorIn(a.store, 1)];
    const sent = a.connection.stats().outMsgs;
    for (const events of [[fact(other, 1)], [fact(own, 1), fact(other, 1)]]) {
      const error = fencedBy(await tryToSave(a.store, events));
      assertEquals([error.shard, error.actorId, error.nodeId], [1, other, "a"]);
      assertEquals(error.holder, undefined);
    }
    await assertRejects(() => a.store.barrier(1), FencedError);
    assertEquals(a.connection.stats().outMsgs, sent);
    // To depend on an actor of another's shard is no write.
    const expect = [{ actorId: other, version: 0 }];
    assertEquals((await tryToSave(a.store, [fact(own, 1)], { expect })).kind, "saved");
    const late = [{ actorId: other, version: 1 }];
    assertEquals((await tryToSave(a.store, [fact(own, 2)], { expect: late })).kind, "conflict");
  },
);

natsTest("A signal ends a save in line at once, and one under way as unknown", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  await using a = await nodeOf(scene, "a", { connection, timeout: 20_000 });
  const direct = await scene.connect();
  await claimAll(a, 1);
  const early = new AbortController();
  early.abort(new Error("early"));
  const outcomes = [
    await tryToSave(a.store, [fact("order-0", 1)], { signal: early.signal }),
  ];
  assertEquals(outcomes[0]!.kind, "unavailable");
  proxy.pause();
  const under = new AbortController();
  const line = new AbortController();
  const first = tryToSave(a.store, [fact("order-1", 1)], { signal: under.signal });
  const beside = tryOne(a.store, "order-2", 1);
  await new Promise((resolve) => setTimeout(resolve)); // Sent by then: the next ones wait.
  const second = tryToSave(a.store, [fact("order-3", 1)], { signal: line.signal });
  line.abort(new Error("line"));
  outcomes.push(await second);
  assertEquals(outcomes[1]!.kind, "unavailable");
  under.abort(new Error("under"));
  outcomes.push(await first);
  assertEquals(outcomes[2]!.kind, "unknown");
  proxy.resume();
  outcomes.push(await beside);
  assertEquals(outcomes[3]!.kind, "saved");
  assertEquals(await settled(outcomes[2]!), "saved");
  await assertFenced(direct, a.store, outcomes);
});

natsTest("Disposal waits for queued saves, and refuses later ones", async (scene) => {
  const a = await nodeOf(scene, "a");
  await claimAll(a, 1);
  const saves = [...Array(1_500).keys()].map((at) => tryOne(a.store, `order-${at % 50}`, at + 1));
  const barrier = a.store.barrier(3);
  await a[Symbol.asyncDispose]();
  const outcomes = await Promise.all(saves);
  assert(await barrier > 0);
  assertEquals(counts(outcomes), { saved: 1_500 });
  assertEquals((await tryOne(a.store, "order-1", 9_999)).kind, "unavailable");
  await assertFenced(a.connection, a.store, outcomes);
});

natsTest(
  "Each stored event of a group is notified once, in order, and refused ones never",
  async (scene) => {
    const told = new Map<string, number[]>();
    const broadcaster = {
      publish: (_: string, { actorId, version }: Event): Promise<void> => {
        told.set(actorId, [...told.get(actorId) ?? [], version]);
        return new Promise((resolve) => setTimeout(resolve));
      },
    };
    const a = await nodeOf(scene, "a", { broadcaster });
    await using b = await nodeOf(scene, "b");
    await claimAll(a, 1);
    const [kept, lost] = [actorIn(a.store, 0), actorIn(a.store, 1)];
    const versions = [1, 2, 2, 3, 4];
    const outcomes = await Promise.all(versions.map((version) => tryOne(a.store, kept, version)));
    assertEquals(counts(outcomes), { saved: 4, conflict: 1 });
    await b.store.claim(1, 2);
    outcomes.push(...await Promise.all([tryOne(a.store, kept, 5), tryOne(a.store, lost, 1)]));
    fencedBy(outcomes.at(-1)!);
    await a[Symbol.asyncDispose]();
    assertEquals([...told], [[kept, [1, 2, 3, 4, 5]]]);
  },
);

fencedTest("A barrier proves that a shard is owned, and reads reach it", async (scene, options) => {
  const traffic = new Traffic();
  const connection = traffic.watch(await scene.connect());
  await using a = await nodeOf(scene, "a", { connection, ...options });
  await using b = await nodeOf(scene, "b", { ...options, reads: "fenced" });
  await claimAll(a, 1, [0, 1]);
  const first = await a.store.barrier(0);
  const saving = tryOne(a.store, actorIn(a.store, 0), 1);
  const proofs = await Promise.all([a.store.barrier(0), a.store.barrier(1), a.store.barrier(0)]);
  assertEquals((await saving).kind, "saved");
  assert(proofs.every((sequence) => sequence > first));
  assertEquals(traffic.sizes, [3]);
  await b.store.claim(0, 2);
  await assertRejects(() => a.store.barrier(0), FencedError);
  assert(await a.store.barrier(1) > first);
  assertEquals(a.lost, [0]);
  // Fenced reads: refused once the shard is lost, even if the node believes that it is its own.
  const actorId = actorIn(b.store, 0);
  assertEquals((await b.store.getEvents(actorId)).length, 1);
  await a.store.claim(0, 3);
  await a.store.saveEvent(fact(actorId, 2));
  await assertRejects(() => b.store.getLatestVersion(actorId), FencedError);
  assertEquals(b.lost, [0]);
  assertEquals(await b.store.getLatestVersion(actorId, { fresh: true }), 2);
});

natsTest("Saves of a command carry its id, and are found by it", async (scene) => {
  await using a = await nodeOf(scene, "a");
  await claimAll(a, 1);
  const view = a.store.forCommand("pay 1");
  const receipts = [
    await view.saveEvents([fact("order-1", 1), fact("order-1", 2), fact("order-2", 1)]),
    await a.store.saveEvent(fact("order-1", 3)),
    await a.store.forCommand("pay-2").saveEvent(fact("order-1", 4)),
    await view.saveEvent(fact("order-1", 5)),
  ];
  await view[Symbol.asyncDispose]();
  const commands = await a.store.commandsOf("order-1");
  assertEquals(
    [...commands].map(([id, { events, receipt }]) => ({
      id,
      versions: events.map(({ version }) => version),
      receipt,
    })),
    [
      { id: "pay 1", versions: [1, 2, 5], receipt: { ...receipts[3]!, duplicate: true } },
      { id: "pay-2", versions: [4], receipt: { ...receipts[2]!, duplicate: true } },
    ],
  );
  assertEquals((await a.store.commandsOf("order-3")).size, 0);
  // Commands whose saves went out as one message are told apart.
  const grouped = await Promise.all([...Array(50).keys()].map((at) => {
    const store = at % 3 === 2 ? a.store : a.store.forCommand(`buy-${at}`);
    return store.saveEvents([fact("bill-1", 2 * at + 1), fact("bill-1", 2 * at + 2)]);
  }));
  const apart = await a.store.commandsOf("bill-1");
  assertEquals(
    [...apart].map(([id, { events, receipt }]) => [id, events.map(versionOf), receipt.sequence]),
    grouped.flatMap(({ sequence }, at) =>
      at % 3 === 2 ? [] : [[`buy-${at}`, [2 * at + 1, 2 * at + 2], sequence]]
    ),
  );
  assert(new Set(grouped.map(({ sequence }) => streamSequenceOf(sequence))).size < 5);
  await assertRejects(() => Promise.resolve().then(() => a.store.forCommand("")), RangeError);
  // Of a long history the last 1,000 messages count, of one with gaps too.
  for (const [actorId, gap] of [["long-1", 1], ["long-2", 1_000]] as const) {
    await a.store.forCommand("old").saveEvents([fact(actorId, 1), fact(actorId, 2)]);
    await saveApart(a.store.forCommand("new"), actorId, 999, 3, gap);
    assertEquals([...(await a.store.commandsOf(actorId)).keys()], ["old", "new"]);
    await a.store.saveEvent(fact(actorId, 2_000_000));
    const found = await a.store.commandsOf(actorId);
    assertEquals([...found].map(([id, { events }]) => [id, events.length]), [["new", 999]]);
  }
});

natsTest("execute() works on a fenced store and its views", async (scene) => {
  await using a = await nodeOf(scene, "a");
  await claimAll(a, 1);
  const decider = {
    initialState: () => 0,
    decide: (by: number) => [{ eventType: "Added", data: by }],
    evolve: (state: number, { data }: Event) => state + (data as number),
  };
  await Promise.all(
    [...Array(20).keys()].map((at) =>
      execute(at % 2 ? a.store : a.store.forCommand(`c-${at}`), "sum-1", decider, 1)
    ),
  );
  assertEquals((await execute(a.store, "sum-1", decider, 1)).state, 21);
  assertEquals((await a.store.commandsOf("sum-1")).size, 10);
});

natsTest("A plain store beside fenced ones keeps its own promises", async (scene) => {
  await using a = await nodeOf(scene, "a");
  await using plain = await JetStreamEventStore.open(await scene.connect(), {
    namespace: scene.namespace,
  });
  await claimAll(a, 1);
  const races = [...Array(200).keys()].map((at) => [
    tryOne(a.store, `order-${at % 10}`, Math.floor(at / 10) + 1),
    attempt(plain, fact(`order-${at % 10}`, Math.floor(at / 10) + 1)),
  ]);
  const outcomes = await Promise.all(races.flat());
  const { saved, conflict, ...others } = counts(outcomes);
  assertEquals([saved, conflict, others], [200, 200, {}]);
});

natsTest("Saves sent before a shard is claimed again are stored no more", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  await using a = await nodeOf(scene, "a", { connection, timeout: 1000 });
  await claimAll(a, 1);
  const before = await a.store.fence(0);
  const actorId = actorIn(a.store, 0);
  const lost = proxy.eatFromClient(({ subject }) => /\.(event|commit)\./.test(subject));
  const saving = tryToSave(a.store, [fact(actorId, 1)]);
  while (lost.eaten.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  proxy.refusing = true;
  proxy.cut();
  const outcome = await saving;
  assertEquals(outcome.kind, "unknown");
  lost.stop();
  proxy.refusing = false;
  await nextStatus(connection, "reconnect");
  const doubt = outcome.error as SaveOutcomeUnknownError;
  assertEquals(await doubt.settle(), "unknown");
  await a.store.renew(0);
  assertEquals(await doubt.settle(), "not-saved");
  const after = await a.store.fence(0);
  assert(after!.sequence > before!.sequence);
  assertEquals([after!.nodeId, after!.state, after!.mapVersion], ["a", "claimed", 1]);
  assertEquals((await tryToSave(a.store, [fact(actorId, 1)])).kind, "saved");
  assertEquals(a.lost, []);
  await assertRejects(() => a.store.renew(16), RangeError);
});

natsTest(
  "A shard that an attempt without an answer claimed again is still owned",
  async (scene) => {
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    await using a = await nodeOf(scene, "a", { connection });
    await claimAll(a, 1);
    for (const [version, next] of [tryToSave, renewed].entries()) {
      const enough = new AbortController();
      const acks = proxy.eatAcks();
      const renewing = a.store.renew(0, { signal: enough.signal });
      await acks.done;
      enough.abort();
      await assertRejects(() => renewing, StoreUnavailableError);
      const event = fact(actorIn(a.store, 0), version + 1);
      await next(a.store, [event]); // It notices: saves that wait are refused.
      assertEquals((await tryToSave(a.store, [event])).kind, "saved");
      assertEquals(a.lost, []);
    }
    await using b = await nodeOf(scene, "b");
    await b.store.claim(0, 2);
    await assertRejects(() => a.store.renew(0), FencedError);
    assertEquals(a.lost, [0]);
    await assertRejects(() => a.store.renew(0), FencedError);
  },
);

natsTest(
  "A shard that an attempt without an answer claimed again can be released",
  async (scene) => {
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    await using a = await nodeOf(scene, "a", { connection });
    const event = fact(actorIn(a.store, 0), 1);
    for (const save of [undefined, tryToSave]) {
      await a.store.claim(0, 1);
      const enough = new AbortController();
      const acks = proxy.eatAcks();
      const renewing = a.store.renew(0, { signal: enough.signal });
      await acks.done;
      enough.abort();
      await assertRejects(() => renewing, StoreUnavailableError);
      const saving = save?.(a.store, [event]); // It notices, while the release waits for it.
      const released = await a.store.release(0);
      await saving;
      assertEquals([released?.nodeId, released?.state], ["a", "released"]);
      assertEquals([a.store.owned, await a.store.fence(0)], [[], released]);
    }
    assertEquals(a.lost, []);
  },
);

function renewed(store: FencedEventStore): Promise<void> {
  return store.renew(0);
}

natsTest(
  "In optimistic mode, saves that share a commit name the fence of their own shard",
  async (scene) => {
    const traffic = new Traffic();
    const connection = traffic.watch(await scene.connect());
    await using a = await nodeOf(scene, "a", { connection, mode: "optimistic", groupCommit: true });
    await claimAll(a, 1, [0, 1]);
    const actors = [0, 1, 2, 3].map((at) => actorIn(a.store, at % 2, at));
    const outcomes = await Promise.all(actors.map((actorId) => tryOne(a.store, actorId, 1)));
    assertEquals([counts(outcomes), traffic.sizes], [{ saved: 4 }, [4]]);
    await assertFenced(connection, a.store, outcomes);
  },
);
