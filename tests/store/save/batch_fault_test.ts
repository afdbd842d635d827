import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { type Event, JetStreamEventStore } from "../../../store/mod.ts";
import { attemptWith, bedOf, isAnswer } from "./batch_bed.ts";
import {
  assertTruthful,
  attempt,
  fact,
  type Outcome,
  settled,
  storedIn,
  tally,
  tampered,
} from "../../support/fault.ts";
import { natsTest, nextStatus } from "../../support/fixture.ts";
import { seededRandom } from "../../support/proxy.ts";
import { assertVerified } from "../../support/verified.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;

/** Events of one save, over three actors, the same in each round but for their versions. */
function batch(size: number, round = 1): Event[] {
  return Array.from({ length: size }, (_, at) => fact(`order-${at % 3}`, round * size + at));
}

natsTest("Any one message of a batch lost, its guard's too: saved once, whole", async (scene) => {
  await using bed = await bedOf(scene, { timeout: 2_500 });
  const { proxy, store, check } = bed;
  const expect = [{ actorId: "stock-1", version: 0 }];
  const outcomes: Outcome[] = [];
  for (const [round, lost] of [1, 2, 50, 99, 100].entries()) {
    const meal = proxy.eatFromClient(
      (frame) => frame.headers?.get("Nats-Batch-Sequence") === String(lost),
      1,
    );
    outcomes.push(await attemptWith(store, batch(100, round + 1), { expect }));
    assertEquals(meal.eaten.length, 1);
  }
  // A marker of its own: one event, one guard.
  for (const lost of ["1", "2"]) {
    proxy.eatFromClient((frame) => frame.headers?.get("Nats-Batch-Sequence") === lost, 1);
    outcomes.push(await attemptWith(store, [fact(`bill-${lost}`, 1)], { expect }));
  }
  assertEquals(proxy.dropped.client, 7);
  assertEquals(tally(outcomes), { saved: 7 });
  await check(outcomes);
});

natsTest(
  "An ack is lost and the guarded actor moves on: it was saved all the same",
  async (scene) => {
    await using bed = await bedOf(scene, { timeout: 2_500 });
    const { proxy, store, other, check } = bed;
    const outcomes: Outcome[] = [];
    for (let version = 1; version <= 5; version++) {
      const expect = [{ actorId: "stock-1", version: version - 1 }];
      const meal = proxy.eatAcks();
      const saving = attemptWith(store, [fact("order-1", version)], { expect });
      await meal.done;
      outcomes.push(await attempt(other, fact("stock-1", version)), await saving);
    }
    assertEquals(tally(outcomes), { saved: 10 });
    await check(outcomes);
  },
);

natsTest("A guarded batch is lost and the guarded actor moves on: a conflict", async (scene) => {
  await using bed = await bedOf(scene, { timeout: 2_500 });
  const { proxy, store, other, check } = bed;
  const outcomes: Outcome[] = [];
  const isCommit = (frame: { headers?: ReadonlyMap<string, string> }) =>
    frame.headers?.has("Nats-Batch-Commit") === true;
  for (let version = 1; version <= 3; version++) {
    const expect = [{ actorId: "stock-1", version: version - 1 }];
    const meal = proxy.eatFromClient(isCommit, 1);
    const saving = attemptWith(store, [fact("order-1", version)], { expect });
    await meal.done;
    outcomes.push(await attempt(other, fact("stock-1", version)), await saving);
  }
  assertEquals(tally(outcomes), { saved: 3, conflict: 3 });
  await check(outcomes);
});

natsTest("The unknown outcome of a guarded batch settles correctly", async (scene) => {
  await using bed = await bedOf(scene, { timeout: 600 });
  const { proxy, store, other, check } = bed;
  const outcomes: Outcome[] = [];
  for (const [round, lost] of ["acks", "commit", "acks", "commit"].entries()) {
    const expect = [{ actorId: `stock-${round}`, version: 0 }];
    await store.getLatestVersion(`stock-${round}`);
    const meal = lost === "acks"
      ? proxy.eatFromServer(isAnswer)
      : proxy.eatFromClient((frame) => frame.headers?.has("Nats-Batch-Commit") === true);
    const outcome = await attemptWith(store, [fact(`order-${round}`, 1)], { expect });
    assertEquals(outcome.kind, "unknown");
    if (round >= 2) outcomes.push(await attempt(other, fact(`stock-${round}`, 1)));
    meal.stop();
    assertEquals(await settled(outcome), lost === "acks" ? "saved" : "not-saved");
    outcomes.push(outcome);
  }
  await check(outcomes);
});

natsTest(
  "Killed and restarted in mid batch: whole or absent, all reports are true",
  async (scene) => {
    const connection = await scene.connect();
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(connection, { namespace });
    const outcomes: Outcome[] = [];
    const rounds = LONG ? 25 : 6;
    for (let round = 1; round <= rounds; round++) {
      const saves = Array.from({ length: 6 }, (_, actor) => {
        const events = Array.from(
          { length: 200 },
          (_, at) => fact(`order-${actor}`, round * 200 + at, "x".repeat(500)),
        );
        return attempt(store, ...events);
      });
      if (round % 3 > 0) await Promise.race(saves);
      await scene.server.kill();
      await scene.server.restart();
      outcomes.push(...await Promise.all(saves));
    }
    assertEquals(tally(outcomes), { saved: rounds * 6 });
    assertTruthful(outcomes, await storedIn(await scene.connect(), store.stream));
  },
);

natsTest("The socket cut at each place of a batch: saved once, whole", async (scene) => {
  await using bed = await bedOf(scene);
  const { proxy, connection, store, check } = bed;
  const outcomes: Outcome[] = [];
  for (let at = 1; at <= 10; at++) {
    const reconnected = nextStatus(connection, "reconnect");
    proxy.onClientFrame = (frame) => {
      if (frame.headers?.get("Nats-Batch-Sequence") !== String(at)) return "pass";
      proxy.onClientFrame = () => "pass";
      proxy.cut();
      return "drop";
    };
    outcomes.push(await attempt(store, ...batch(10, at)));
    await reconnected;
  }
  assertEquals(tally(outcomes), { saved: 10 });
  await check(outcomes);
});

natsTest("Batches and groups for a frozen server: unknown, settled as saved", async (scene) => {
  await using bed = await bedOf(scene, { timeout: 600 });
  const { store, check } = bed;
  const outcomes: Outcome[] = [];
  for (let round = 1; round <= 3; round++) {
    const warm = attempt(store, fact("lane-1", round * 100));
    const queued = Array.from(
      { length: 40 },
      (_, at) => attempt(store, fact("lane-1", round * 100 + at + 1)),
    );
    outcomes.push(await warm);
    await scene.server.pause();
    const expect = [{ actorId: "nobody-1", version: 0 }];
    const saves = [
      attempt(store, ...batch(30, round)),
      attemptWith(store, [fact("bill-1", round), fact("bill-1", round + 100)], { expect }),
    ];
    const ended = await Promise.all([...saves, ...queued]);
    scene.server.resume();
    for (const outcome of ended) {
      if (outcome.kind === "unknown") assertEquals(await settled(outcome), "saved");
    }
    outcomes.push(...ended);
    // The base of the next round.
    const again = ended.filter(({ kind }) => kind === "unavailable");
    assert(again.length < ended.length, "Nothing was sent");
  }
  await check(outcomes);
});

for (const end of ["drain", "close"] as const) {
  natsTest(`${end}() under a load of batches and groups: all reports are true`, async (scene) => {
    const direct = await scene.connect();
    for (const started of [0, 1, 60]) {
      const namespace = `${scene.namespace}-${started}`;
      const connection = await scene.connect();
      const store = await JetStreamEventStore.open(connection, { namespace, timeout: 5_000 });
      const saves = Array.from(
        { length: 10 },
        (_, at) => attempt(store, fact(`a-${at}`, 1), fact(`b-${at}`, 1), fact(`a-${at}`, 2)),
      );
      for (let at = 1; at <= 200; at++) saves.push(attempt(store, fact("order-1", at)));
      let ended = 0;
      const { promise, resolve } = Promise.withResolvers<void>();
      for (const save of saves) save.then(() => ++ended === started && resolve());
      if (started > 0) await promise;
      await connection[end]();
      const outcomes = await Promise.all(saves);
      assertEquals(tally(outcomes).conflict ?? 0, 0);
      await store[Symbol.asyncDispose]();
      // Messages on their way when the connection ended are stored behind this.
      await using other = await JetStreamEventStore.open(direct, { namespace });
      const again = await Promise.all(outcomes.map(({ events }) => attempt(other, ...events)));
      for (const [at, { kind }] of outcomes.entries()) {
        if (kind === "saved") assertEquals(again[at]!.kind, "duplicate");
      }
      const all = outcomes.filter(({ kind }) => kind !== "unavailable");
      all.push(...again.filter(({ kind }) => kind !== "unavailable" && kind !== "conflict"));
      assertTruthful(all, await storedIn(direct, store.stream));
    }
  });
}

const SAVES = LONG ? 5_000 : 500;

natsTest(`A tenth of the acks of ${SAVES} saves eaten: each is saved once`, async (scene) => {
  await using bed = await bedOf(scene, { timeout: 3_000 });
  const { proxy, store, check } = bed;
  const random = seededRandom(5);
  const meal = proxy.eatAcksWhere(() => random() < 0.1);
  const outcomes: Outcome[] = [];
  await Promise.all(Array.from({ length: 50 }, async (_, actor) => {
    for (let round = 1; round <= SAVES / 50; round++) {
      const events = [fact(`order-${actor}`, round)];
      if (round % 4 === 0) events.push(fact(`stock-${actor}`, round));
      const expect = [{ actorId: `bill-${actor}`, version: 0 }];
      outcomes.push(await attemptWith(store, events, round % 4 === 2 ? { expect } : {}));
    }
  }));
  meal.stop();
  assert(meal.eaten.length > SAVES / 20, `${meal.eaten.length} acks were eaten`);
  // A busy machine may come too late with the answers; it must not invent any.
  const { saved = 0, unavailable = 0, unknown = 0, ...others } = tally(outcomes);
  assertEquals(others, {});
  assert(saved > SAVES * 0.95, `${saved} saved, ${unavailable} unavailable, ${unknown} unknown`);
  for (const outcome of outcomes) {
    if (outcome.kind === "unknown") assertEquals(await settled(outcome), "saved");
  }
  await check(outcomes);
});

natsTest("Control: without batches a cut save is stored in part", async (scene) => {
  const proxy = scene.proxy();
  const direct = await scene.connect();
  const proxied = await scene.connect({ servers: proxy.url });
  const connection = tampered(proxied, (fields) => {
    for (const name of ["Nats-Batch-Id", "Nats-Batch-Sequence", "Nats-Batch-Commit"]) {
      fields.delete(name);
    }
  });
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 500 });
  let seen = 0;
  const meal = proxy.eatFromClient((frame) => frame.subject.includes(".event.") && ++seen >= 3);
  const outcome = await attempt(store, fact("a-1", 1), fact("b-1", 1), fact("c-1", 1));
  meal.stop();
  const stored = await storedIn(direct, store.stream, { guarded: false });
  assertEquals(stored.length, 2);
  assertThrows(() => assertTruthful([outcome], stored));
  await assertRejects(() => assertVerified(direct, namespace), Error, "torn-commit");
});

/** Begins a batch on the event subject of nobody, and leaves it at that; gives the answer. */
async function leaveOpen(connection: NatsConnection, namespace: string): Promise<string> {
  const fields = headers();
  fields.set("Nats-Batch-Id", crypto.randomUUID());
  fields.set("Nats-Batch-Sequence", "1");
  const subject = `aether.${namespace}.event.0.stray.stray-${crypto.randomUUID()}`;
  const answer = await connection.request(subject, "", { headers: fields, timeout: 5_000 });
  return answer.string();
}

natsTest("Others use up the server's open batches: a clear error, then saved", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using hasty = await JetStreamEventStore.open(connection, { namespace, timeout: 5_000 });
  await using patient = await JetStreamEventStore.open(connection, { namespace, timeout: 20_000 });
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => leaveOpen(connection, namespace)),
  );
  assertEquals(answers.filter((answer) => answer !== ""), []);
  assert((await leaveOpen(connection, namespace)).includes("10210"));
  const refused = await attempt(hasty, ...batch(5));
  assertEquals(refused.kind, "unavailable");
  const { message } = refused.error as Error;
  assert(message.includes("more batches open than the server allows"), message);
  const outcomes = [refused, await attempt(hasty, fact("single-1", 1))];
  if (LONG) outcomes.push(await attempt(patient, ...batch(6)));
  assertEquals(outcomes.at(-1)!.kind, "saved");
  assertTruthful(outcomes, await storedIn(connection, hasty.stream));
});
