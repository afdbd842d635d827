import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import {
  type Event,
  isAetherError,
  StoreUnavailableError,
  VersionConflictError,
} from "../../store/mod.ts";
import { attemptWith, bedOf, isAnswer } from "./save/batch_bed.ts";
import { attempt, fact, type Outcome, storedIn, tally, unknownError } from "../support/fault.ts";
import { natsTest, nextStatus } from "../support/fixture.ts";

/** The error that a save rejected with, whose cause must be `reason`. */
function assertCause({ kind, error }: Outcome, expected: Outcome["kind"], reason: unknown): void {
  assertEquals(kind, expected);
  assertStrictEquals((error as Error).cause, reason);
}

natsTest("A save whose signal is aborted before sends nothing", async (scene) => {
  await using bed = await bedOf(scene);
  const { store, check } = bed;
  const outcomes = [await attempt(store, fact("order-1", 1))];
  const reason = new Error("too late");
  const signal = AbortSignal.abort(reason);
  for (const actorId of ["order-1", "order-2"]) {
    const single = await attemptWith(store, [fact(actorId, 2)], { signal });
    const batch = await attemptWith(store, [fact(actorId, 2), fact("bill-1", 1)], { signal });
    for (const outcome of [single, batch]) assertCause(outcome, "unavailable", reason);
    outcomes.push(single, batch);
  }
  outcomes.push(await attempt(store, fact("last-1", 1)));
  // The next message of the stream.
  assertEquals(outcomes.at(-1)!.sequence, outcomes[0]!.sequence! + 256);
  assertEquals(await store.getLatestVersion("order-1", { fresh: true }), 1);
  await check(outcomes);
});

natsTest("A save aborted while it waits in line is not sent when its turn comes", async (scene) => {
  await using bed = await bedOf(scene);
  const { proxy, store, check } = bed;
  const outcomes = [await attempt(store, fact("order-1", 1))];
  proxy.pause();
  const first = attempt(store, fact("order-1", 2));
  const controller = new AbortController();
  const { signal } = controller;
  const waiting = [
    attemptWith(store, [fact("order-1", 3)], { signal }),
    attemptWith(store, [fact("order-1", 4), fact("stock-1", 1)], { signal }),
  ];
  const behind = attempt(store, fact("order-1", 5));
  const reason = new Error("no patience");
  controller.abort(reason);
  for (const outcome of await Promise.all(waiting)) {
    assertCause(outcome, "unavailable", reason);
    outcomes.push(outcome);
  }
  proxy.resume();
  outcomes.push(await first, await behind);
  assertEquals(tally(outcomes), { saved: 3, unavailable: 2 });
  await check(outcomes);
});

natsTest("A save aborted while heads are read is not sent", async (scene) => {
  await using bed = await bedOf(scene);
  const { proxy, store, check } = bed;
  proxy.pause();
  const controller = new AbortController();
  const reason = new Error("no patience");
  // Version 2 of an actor that the store knows nothing of: it asks first.
  const saving = attemptWith(store, [fact("order-1", 2)], { signal: controller.signal });
  controller.abort(reason);
  const outcome = await saving;
  assertCause(outcome, "unavailable", reason);
  proxy.resume();
  const outcomes = [outcome, await attempt(store, fact("order-1", 3))];
  assertEquals(tally(outcomes), { unavailable: 1, saved: 1 });
  await check(outcomes);
});

natsTest("A save aborted while a duplicate is looked for ends at once", async (scene) => {
  await using bed = await bedOf(scene);
  const { proxy, store, check } = bed;
  const events = [fact("order-1", 1), fact("order-1", 2), fact("order-1", 3)];
  const outcomes = [await attempt(store, ...events)];
  const controller = new AbortController();
  // The head is answered; the search for the event is not.
  let answers = 0;
  const meal = proxy.eatFromServer((frame) => isAnswer(frame) && ++answers > 1);
  const start = performance.now();
  const { signal } = controller;
  const saving = attemptWith(store, [events[0]!], { signal });
  while (meal.eaten.length === 0) await proxyTick();
  const reason = new Error("no patience");
  controller.abort(reason);
  const outcome = await saving;
  meal.stop();
  assertCause(outcome, "unavailable", reason);
  assert(performance.now() - start < 1_500, "It waited for the answer");
  await check(outcomes);
});

/** Lets the proxy work. */
function proxyTick(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

natsTest("A save aborted while the ack is out is unknown, and settles truly", async (scene) => {
  await using bed = await bedOf(scene);
  const { proxy, store, isEvent, check } = bed;
  const outcomes: Outcome[] = [];
  for (const lost of ["ack", "event"] as const) {
    const meal = lost === "ack" ? proxy.eatFromServer(isAnswer) : proxy.eatFromClient(isEvent);
    const controller = new AbortController();
    const { signal } = controller;
    const saves = [
      attemptWith(store, [fact(`order-${lost}`, 1)], { signal }),
      attemptWith(store, [fact(`stock-${lost}`, 1), fact(`bill-${lost}`, 1)], { signal }),
    ];
    while (meal.eaten.length < (lost === "ack" ? 2 : 3)) await proxyTick();
    const reason = new Error("no patience");
    controller.abort(reason);
    for (const outcome of await Promise.all(saves)) {
      assertCause(outcome, "unknown", reason);
      outcomes.push(outcome);
    }
    meal.stop();
    for (const outcome of outcomes.slice(-2)) {
      assertEquals(await unknownError(outcome).settle(), lost === "ack" ? "saved" : "not-saved");
    }
  }
  await check(outcomes);
});

natsTest("A save aborted while disconnected ends at once as unavailable", async (scene) => {
  await using bed = await bedOf(scene);
  const { proxy, connection, store, check } = bed;
  const outcomes = [await attempt(store, fact("order-1", 1))];
  const disconnected = nextStatus(connection, "disconnect");
  const reconnected = nextStatus(connection, "reconnect");
  proxy.refusing = true;
  proxy.cut();
  await disconnected;
  const controller = new AbortController();
  const reason = new Error("no patience");
  const saving = attemptWith(store, [fact("order-1", 2)], { signal: controller.signal });
  const start = performance.now();
  await proxyTick();
  controller.abort(reason);
  const outcome = await saving;
  assertCause(outcome, "unavailable", reason);
  assert(performance.now() - start < 1_000, "It waited for the connection");
  proxy.refusing = false;
  await reconnected;
  outcomes.push(outcome, await attempt(store, fact("order-1", 3)));
  await check(outcomes);
});

natsTest(
  "A batch aborted while it waits for others to be sent is not sent afterwards",
  async (scene) => {
    await using bed = await bedOf(scene);
    const { proxy, store, check } = bed;
    const batch = (at: number) => [fact(`order-${at}`, 1), fact(`stock-${at}`, 1)];
    await scene.server.pause();
    const before = Array.from({ length: 16 }, (_, at) => attempt(store, ...batch(at)));
    const controller = new AbortController();
    const { signal } = controller;
    const late = Array.from(
      { length: 4 },
      (_, at) => attemptWith(store, batch(at + 16), { signal }),
    );
    await proxyTick();
    const reason = new Error("no patience");
    controller.abort(reason);
    const aborted = await Promise.all(late);
    for (const outcome of aborted) assertCause(outcome, "unavailable", reason);
    scene.server.resume();
    const outcomes = await Promise.all(before);
    assertEquals(tally(outcomes), { saved: 16 });
    await check([...outcomes, ...aborted]);
    assertEquals(proxy.dropped, { server: 0, client: 0 });
  },
);

natsTest("A save aborted while a codec takes its time is not sent", async (scene) => {
  const { promise: encoded, resolve } = Promise.withResolvers<void>();
  const codec = {
    encode: async (event: Event) => {
      if (event.actorId === "slow-1") await encoded;
      return new TextEncoder().encode(JSON.stringify(event));
    },
    decode: (body: Uint8Array) => JSON.parse(new TextDecoder().decode(body)),
  };
  await using bed = await bedOf(scene, { codec });
  const { store, check } = bed;
  const controller = new AbortController();
  const saving = attemptWith(store, [fact("slow-1", 1)], { signal: controller.signal });
  const outcomes = [await attempt(store, fact("order-1", 1))];
  const reason = new Error("no patience");
  controller.abort(reason);
  outcomes.push(await saving);
  assertCause(outcomes[1]!, "unavailable", reason);
  resolve();
  outcomes.push(await attempt(store, fact("slow-1", 2)));
  await check(outcomes);
});

natsTest(
  "A reason that is an error of this library proves nothing about the save",
  async (scene) => {
    await using bed = await bedOf(scene);
    const { proxy, store, check } = bed;
    const outcomes: Outcome[] = [];
    const reasons = [
      new VersionConflictError("order-9", 1, 1),
      new StoreUnavailableError("somebody else's"),
      "a string",
      undefined,
    ];
    for (const [at, reason] of reasons.entries()) {
      const meal = proxy.eatFromServer(isAnswer);
      const controller = new AbortController();
      const { signal } = controller;
      const sent = attemptWith(store, [fact(`order-${at}`, 1)], { signal });
      const asked = attemptWith(store, [fact(`stock-${at}`, 2)], { signal });
      while (meal.eaten.length < 2) await proxyTick();
      controller.abort(reason);
      assertCause(await sent, "unknown", signal.reason);
      assertCause(await asked, "unavailable", signal.reason);
      const { message } = (await asked).error as Error;
      assert(!message.includes("its turn did not come in time"), message);
      meal.stop();
      assertEquals(await unknownError(await sent).settle(), "saved");
      outcomes.push(await sent, await asked);
    }
    await check(outcomes);
  },
);

natsTest("A signal of many saves has no listeners left when they have ended", async (scene) => {
  await using bed = await bedOf(scene, { timeout: 5_000 });
  const { proxy, store } = bed;
  const { signal } = new AbortController();
  let added = 0;
  let removed = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    added++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    removed++;
    removeEventListener.apply(signal, args);
  };
  const meal = proxy.eatAcks(3);
  const saves = Array.from({ length: 60 }, (_, at) => {
    const [order, version] = [`order-${at % 3}`, Math.floor(at / 3) + 1];
    const events = at % 4 > 0 ? [fact(order, version)] : [fact(order, version), fact(`a-${at}`, 1)];
    return attemptWith(store, events, { signal });
  });
  const { saved = 0 } = tally(await Promise.all(saves));
  meal.stop();
  assertEquals(saved, 60);
  assert(added > 60, `${added} listeners`);
  assertEquals(removed, added);
});

natsTest("Aborted at random moments: all reports are true", async (scene) => {
  await using bed = await bedOf(scene);
  const { store, check } = bed;
  const outcomes: Outcome[] = [];
  await Promise.all(Array.from({ length: 10 }, async (_, actor) => {
    for (let version = 1; version <= 30; version++) {
      const controller = new AbortController();
      const { signal } = controller;
      const events = version % 3 === 0
        ? [fact(`order-${actor}`, version), fact(`stock-${actor}`, version)]
        : [fact(`order-${actor}`, version)];
      const saving = attemptWith(store, events, { signal });
      for (let turn = Math.random() * 12; turn > 0; turn--) await proxyTick();
      controller.abort(new Error("no patience"));
      outcomes.push(await saving);
    }
  }));
  const { saved = 0, unknown = 0, unavailable = 0, conflict = 0 } = tally(outcomes);
  assertEquals(conflict, 0);
  assert(
    saved > 0 && unknown > 0,
    `${saved} saved, ${unknown} unknown, ${unavailable} unavailable`,
  );
  const settled = new Map<Outcome, string>();
  for (const outcome of outcomes) {
    if (outcome.kind === "unknown") settled.set(outcome, await unknownError(outcome).settle());
  }
  await check(outcomes);
  const stored = new Set(
    (await storedIn(await scene.connect(), store.stream)).map(({ id }) => id),
  );
  for (const [{ events }, fate] of settled) {
    assertEquals(fate, stored.has(events[0]!.id) ? "saved" : "not-saved");
  }
  assert(outcomes.every(({ error }) => error === undefined || isAetherError(error)));
});
