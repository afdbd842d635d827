import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { memoryPartsOf } from "../../../store/memory/event_store.ts";
import {
  type EventStore,
  InMemoryEventStore,
  InMemorySnapshotStore,
  isAetherError,
  JetStreamEventStore,
  sealedCodec,
  verify,
  type VerifyProblem,
  type VerifyProgress,
} from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";
import { storeTest } from "../../support/stores.ts";
import { FIELDS, MovedKeys, registered, type ShopEvent } from "../sealing/shop.ts";
import { assertSound, type Damaged, damageTest, facts } from "./bed.ts";

/** A stream of some actors, commits over several messages, and problems of several rules. */
async function damagedStream(damaged: Damaged): Promise<void> {
  const { store, layout } = damaged;
  for (let at = 0; at < 30; at++) {
    await store.saveEvent(fact(`order-${at % 7}`, 1 + Math.floor(at / 7)));
    if (at % 5 === 0) {
      await store.saveEvents([fact(`stock-${at}`, 1), fact(`stock-${at}b`, 1), fact(`c-${at}`, 1)]);
    }
    if (at % 10 === 0) await damaged.publish({ subject: layout.commit(0) });
  }
  const claim = { nodeId: "one", incarnation: "1", state: "claimed", nonce: "n" };
  const shard = Number(damaged.subjectOf("f-1").split(".")[3]);
  const write = (mapVersion: number, at: number) =>
    damaged.publish({
      subject: layout.fence(shard),
      body: JSON.stringify({ ...claim, mapVersion }),
      fields: { "Nats-Expected-Last-Subject-Sequence": String(at) },
    });
  const first = await write(3, 0);
  const one = await damaged.forge(fact("f-1", 1), 0, { "Aether-Fence": String(first) });
  const second = await write(2, first);
  const two = await damaged.forge(fact("f-1", 2), one, { "Aether-Fence": String(first) });
  await damaged.forge(fact("f-1", 3), two, { "Aether-Fence": String(second) });
  await damaged.forge(fact("order-1", 40), (await lastOf(damaged, "order-1")).seq);
  await damaged.forge(fact("order-2", 9), (await lastOf(damaged, "order-2")).seq, {}, "{");
}

async function lastOf(damaged: Damaged, actorId: string): Promise<{ seq: number }> {
  const { message } = await api<{ message: { seq: number } }>(
    damaged.connection,
    `STREAM.MSG.GET.${damaged.layout.stream}`,
    { last_by_subj: damaged.subjectOf(actorId) },
  );
  return message;
}

damageTest("a verification that goes on in pieces finds the same", async (damaged) => {
  await damagedStream(damaged);
  const whole = await verify(damaged.store);
  assert(whole.problemCount >= 7, String(whole.problemCount));
  for (const maxMessages of [1, 2, 7, 40]) {
    const problems: VerifyProblem[] = [];
    let [events, messages, actors, pieces] = [0, 0, 0, 0];
    for (let from = 0, done = false; !done; pieces++) {
      const piece = await verify(damaged.store, { from, maxMessages });
      assert(piece.next > from || piece.done);
      problems.push(...piece.problems);
      events += piece.events;
      messages += piece.messages;
      actors += piece.actors;
      ({ next: from, done } = piece);
      if (done) assertEquals(from, whole.next);
    }
    assert(pieces > 1);
    assertEquals(problems, [...whole.problems]);
    assertEquals([events, messages, actors], [whole.events, whole.messages, whole.actors]);
  }
});

damageTest("a verification that remembers few actors finds the same", async (damaged) => {
  await damagedStream(damaged);
  const whole = await verify(damaged.store);
  for (const cacheSize of [1, 3]) {
    const { problems, events, actors } = await verify(damaged.store, { cacheSize });
    assertEquals(problems, whole.problems);
    assertEquals([events, actors], [whole.events, whole.actors]);
  }
});

damageTest("a verification goes on where progress said", async (damaged) => {
  await damagedStream(damaged);
  const whole = await verify(damaged.store);
  const seen: VerifyProgress[] = [];
  for await (const progress of verify(damaged.store)) seen.push(progress);
  const last = seen.at(-1)!;
  assertEquals([last.next, last.events, last.problemCount], [
    whole.next,
    whole.events,
    whole.problemCount,
  ]);
  assertEquals(last.position, last.end);
});

Deno.test("progress and report come together", async () => {
  await using store = new InMemoryEventStore();
  for (let from = 1; from < 30_000; from += 1000) {
    await store.saveEvents(facts("order-1", from, from + 999));
  }
  const verification = verify(store);
  const seen: VerifyProgress[] = [];
  const [report] = await Promise.all([
    verification,
    (async () => {
      for await (const progress of verification) seen.push(progress);
    })(),
  ]);
  assertSound(report);
  assertEquals(seen.at(-1)!.events, 30_000);
  assertEquals((await verification).events, 30_000);
  for (const [at, { events, next }] of seen.entries()) {
    const before = seen[at - 1];
    assert(before === undefined || (events >= before.events && next >= before.next));
  }
});

Deno.test("errors reject the report and the iteration", async () => {
  const other = { identity: "x" } as unknown as EventStore;
  await assertRejects(async () => await verify(other), TypeError, "Cannot verify the store");
  const verification = verify(other);
  await assertRejects(() => Array.fromAsync(verification), TypeError);
  await assertRejects(async () => await verification, TypeError);
  await using store = new InMemoryEventStore();
  for (const options of [{ from: -1 }, { limit: 0.5 }, { maxMessages: 0 }, { cacheSize: 0 }]) {
    await assertRejects(async () => await verify(store, options), RangeError);
  }
  for (const sample of [-1, 0.5, NaN]) {
    const evolution = { initialState: () => 0, evolve: () => 1 };
    const snapshots = {
      store: new InMemorySnapshotStore(),
      ...{ name: "order", schemaVersion: 1, evolution, sample },
    };
    await assertRejects(async () => await verify(store, { snapshots }), RangeError, "sample");
  }
  const signal = AbortSignal.abort(new Error("enough"));
  await assertRejects(async () => await verify(store, { signal }), Error, "enough");
});

Deno.test("rules are checked in memory as well", async () => {
  await using store = new InMemoryEventStore();
  const id = crypto.randomUUID();
  await store.saveEvents([{ ...fact("order-1", 1), id }]);
  await store.saveEvent(fact("order-1", 2));
  await store.saveEvents([{ ...fact("order-1", 3), id }]);
  // Past the store, which refuses both: a version again, and a body that is none.
  const { log } = memoryPartsOf(store);
  const [, kept] = log.events;
  const body = new TextEncoder().encode("{");
  const saves = [{ events: 1, count: 1, command: undefined }];
  for (const version of [3, 4]) {
    const events = [{ ...kept!, id: `other-${version}`, version, body }];
    log.add("op", [{ events }], [{ actorId: "order-1", events, index: 0, saves }]);
  }
  const { problems } = await verify(store);
  assertEquals(problems.map(({ rule }) => rule), [
    "duplicate-id",
    "version-order",
    "unreadable-event",
  ]);
});

natsTest("a signal ends a verification, and leaving the loop does", async (scene) => {
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, { namespace: scene.namespace });
  for (let at = 0; at < 4; at++) {
    const actors = Array.from({ length: 1000 }, (_, actor) => fact(`order-${at}-${actor}`, 1));
    await store.saveEvents(actors);
  }
  const controller = new AbortController();
  const verification = verify(store, { signal: controller.signal, maxMessages: 3_000 });
  const waiting = assertRejects(async () => await verification, Error, "enough");
  controller.abort(new Error("enough"));
  await waiting;
  for await (const _ of verify(store)) break;
  // The fixture looks for consumers that are left.
});

storeTest("a consumer that is lost in the middle is made again", async (stores) => {
  const { store } = await stores.open();
  const count = 6_000;
  for (let at = 0; at < count; at += 1000) {
    const actors = Array.from({ length: 1000 }, (_, actor) => fact(`order-${at + actor}`, 1));
    await store.saveEvents(actors);
  }
  const proxy = stores.scene.proxy();
  const direct = await stores.scene.connect();
  const made: string[] = [];
  let pulls = 0;
  proxy.eatFromClient(({ subject }) => {
    if (subject.startsWith("$JS.API.CONSUMER.CREATE.")) made.push(subject.split(".").at(-1)!);
    const isPull = subject.startsWith("$JS.API.CONSUMER.MSG.NEXT.");
    // Each consumer is deleted at its third pull.
    if (isPull && ++pulls % 3 === 0) {
      direct.publish(`$JS.API.CONSUMER.DELETE.${store.stream}.${made.at(-1)}`, "");
    }
    return false;
  });
  // A reader does without consumers for a while if the server was slow to make one: then another
  // reader shows it.
  for (let reader = 0; reader < 20 && made.length < 2; reader++) {
    made.length = pulls = 0;
    const { store: through } = await stores.open({}, proxy.url);
    const report = assertSound(await verify(through));
    assertEquals([report.events, report.actors, report.messages], [count, count, count + 1]);
  }
  assert(made.length >= 2, `${made.length} consumers`);
});

storeTest("a connection that breaks in the middle is waited for", async (stores) => {
  const { store } = await stores.open();
  for (let at = 0; at < 8; at++) {
    await store.saveEvents(
      Array.from({ length: 1000 }, (_, actor) => fact(`order-${at}-${actor}`, 1)),
    );
  }
  const proxy = stores.scene.proxy();
  const { store: through } = await stores.open({ timeout: 10_000 }, proxy.url);
  let pulls = 0;
  proxy.eatFromClient(({ subject }) => {
    // The server drops the consumer of a reader that is gone by itself, ten seconds later.
    if (subject.startsWith("$JS.API.CONSUMER.CREATE.")) {
      stores.scene.keepConsumers(subject.split(".").at(-1)!);
    }
    if (!subject.startsWith("$JS.API.CONSUMER.MSG.NEXT.")) return false;
    if (++pulls === 4) queueMicrotask(() => proxy.cut());
    return false;
  });
  assertEquals(assertSound(await verify(through)).events, 8_000);
  assert(pulls >= 4);
});

storeTest("a long store is verified in bounded time", async (stores) => {
  const { store } = await stores.open();
  const [actors, rounds, long] = [1_000, 20, 80_000];
  for (let round = 1; round <= rounds; round++) {
    const part = (round % 4) * actors;
    const version = Math.ceil(round / 4);
    await store.saveEvents(
      Array.from({ length: actors }, (_, at) => fact(`order-${part + at}`, version)),
    );
  }
  for (let from = 1; from < long; from += 16_000) {
    await store.saveEvents(facts("long-1", from, from + 15_999));
  }
  const begun = performance.now();
  let told = 0;
  const verification = verify(store, { cacheSize: 3_000 });
  const watching = (async () => {
    for await (const _ of verification) told++;
  })();
  const report = assertSound(await verification);
  await watching;
  assertEquals([report.events, report.actors], [actors * rounds + long, 4 * actors + 1]);
  const seconds = (performance.now() - begun) / 1000;
  assert(seconds < 120, `${seconds} s`);
  assert(told <= 2 + 4 * seconds + report.messages / 10_000, `${told} times`);
});

storeTest("a stream that is gone is reported", async (stores) => {
  const { store, connection } = await stores.open({ timeout: 500 });
  await api(connection, `STREAM.DELETE.${store.stream}`);
  const error = await assertRejects(async () => await verify(store));
  assert(isAetherError(error, "StoreUnavailableError"), String(error));
});

storeTest("keys that are out of reach end a verification, and are no problem", async (stores) => {
  const keys = new MovedKeys();
  const codec = sealedCodec<ShopEvent>({ keys, fields: FIELDS, cacheMaxAge: 0 });
  const { store } = await stores.open({ codec });
  await store.saveEvent(registered("a"));
  assertSound(await verify(store));
  keys.fails = () => Promise.reject(new Error("connection refused"));
  const error = await assertRejects(async () => await verify(store));
  assert(isAetherError(error, "StoreUnavailableError"), String(error));
  assertMatch(error.message, /connection refused/);
});
