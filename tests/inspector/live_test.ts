import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { parse, stringify } from "devalue";
import { LiveStream } from "../../inspector/http/streams.ts";
import { createEvent, type Event, InMemoryEventStore, richJsonCodec } from "../../store/mod.ts";
import { Layout } from "../../store/format/layout.ts";
import { storeTest } from "../support/stores.ts";
import { Desk, type Live } from "./bed.ts";

function event(actorId: string, version: number, init: Partial<Event> = {}): Event {
  const { eventType = "Counted", data = version } = init;
  return createEvent({ eventType, actorId, version, data });
}

/** Resolves when nobody follows the store. */
async function quiet(store: InMemoryEventStore): Promise<void> {
  while (store.metrics.activeSubscriptions > 0) await new Promise((done) => setTimeout(done, 1));
}

storeTest(
  "tails share one subscription, each with its filter, which ends with the last",
  async (stores) => {
    const { store, connection } = await stores.open();
    const desk = new Desk({ store });
    const queries = [{}, { category: "order" }, { eventTypes: ["Paid"] }, { text: "NEEDLE" }];
    const tails: Live[] = [];
    for (const query of queries) {
      const tail = await desk.live("tail", query);
      await tail.find("ready");
      tails.push(tail);
    }
    // The subscription begins in the background; what is saved before is not shown.
    for (let version = 1;; version++) {
      await store.saveEvent(event("warm-1", version));
      if (store.metrics.eventsDelivered > 0) break;
    }
    assertEquals(store.metrics.activeSubscriptions, 1);
    await store.saveEvents([
      event("order-1", 1, { eventType: "Paid" }),
      event("bill-1", 1, { eventType: "Paid", data: "a needle" }),
      event("order-2", 1),
    ]);
    await connection.request(new Layout(stores.namespace).event("order-9", store.shards), "{}");
    await store.saveEvent(event("end-1", 1, { eventType: "Paid", data: "needle" }));
    const seen = await Promise.all(
      tails.slice(0, 1).concat(tails.slice(2)).map(async (tail) => {
        const all: string[] = [];
        await tail.find("event", ({ actorId }) => {
          if (!actorId.startsWith("warm")) all.push(actorId);
          return actorId === "end-1";
        });
        return all;
      }),
    );
    // The one without an actor is the message that cannot be read.
    assertEquals(seen[0]!.filter((id) => id !== "" && id !== "order-9"), [
      ...["order-1", "bill-1", "order-2", "end-1"],
    ]);
    assertEquals(seen[0]!.length, 5);
    assertEquals(seen.slice(1), [["order-1", "bill-1", "end-1"], ["bill-1", "end-1"]]);
    assertEquals((await tails[1]!.find("event")).actorId, "order-1");
    for (const tail of tails) {
      assertEquals(store.metrics.activeSubscriptions, 1);
      await tail[Symbol.asyncDispose]();
    }
    while (store.metrics.activeSubscriptions > 0) await new Promise((done) => setTimeout(done, 1));
  },
);

Deno.test("a tail sends so many a second, drops what its reader does not take, and says so", async () => {
  await using store = new InMemoryEventStore();
  const desk = new Desk({ store });
  await using tail = await desk.live("tail", { perSecond: 3 });
  await using slow = await desk.live("tail", { perSecond: 500 });
  await tail.find("ready");
  await slow.find("ready");
  const big = "x".repeat(10_000);
  let saved = 0;
  // Writers do not wait for readers, of whom one takes nothing now.
  for (; saved < 400; saved++) await store.saveEvent(event(`order-${saved}`, 1, { data: big }));
  let [sent, skipped] = [0, 0];
  while (sent + skipped < saved) {
    const message = await tail.next();
    if (message?.name === "event") sent++;
    if (message?.name === "skipped") {
      assertEquals(message.data.reason, "rate");
      skipped += message.data.count;
    }
  }
  assertEquals(sent + skipped, saved);
  assert(sent < 50, `${sent} of ${saved} are sent`);
  [sent, skipped] = [0, 0];
  while (sent + skipped < saved) {
    const message = await slow.next();
    if (message?.name === "event") sent++;
    if (message?.name === "skipped") {
      assertEquals(message.data.reason, "slow");
      skipped += message.data.count;
    }
  }
  assert(skipped > 100, `${skipped} of ${saved} are dropped`);
});

Deno.test("tails end with the store, with the server's signal, and with their request", async () => {
  await using store = new InMemoryEventStore();
  const over = new AbortController();
  const desk = new Desk({ store, signal: over.signal });
  const ended = new AbortController();
  ended.abort();
  await (await desk.post("tail", {}, { signal: ended.signal })).text();
  const tail = await desk.live("tail");
  const live = await desk.live("live", { views: ["store"] });
  over.abort();
  assertEquals((await tail.rest()).map(({ name }) => name), ["ready"]);
  await live.rest();
  await quiet(store);
  const other = new Desk({ store });
  const last = await other.live("tail");
  await last.find("ready");
  await store[Symbol.asyncDispose]();
  assertEquals(await last.rest(), []);
});

Deno.test("a tail shows what JSON cannot say, and one event that cannot be shown ends nothing", async () => {
  await using store = new InMemoryEventStore({ codec: richJsonCodec({ stringify, parse }) });
  const desk = new Desk({ store });
  await using tail = await desk.live("tail");
  await using looking = await desk.live("tail", { text: "5" });
  for (const each of [tail, looking]) await each.find("ready");
  const odd = { sum: 5n, stock: new Map([["pen", new Set([1n])]]) };
  const cyclic: Record<string, unknown> = {};
  cyclic["self"] = cyclic;
  for (const [at, data] of [odd, cyclic, 5].entries()) {
    await store.saveEvent(event(`order-${at}`, 1, { data }));
  }
  const plain = { sum: "5", stock: [["pen", ["1"]]] };
  assertEquals((await tail.find("event")).data, plain);
  const unshown = await tail.find("event");
  assertEquals([unshown.actorId, unshown.data], ["order-1", undefined]);
  assertMatch(unshown.error, /circular/);
  assertEquals((await tail.find("event")).data, 5);
  assertEquals((await looking.find("event")).data, plain);
  assertEquals((await desk.view("actor", { actorId: "order-0" })).events[0].data, plain);
  assertMatch((await desk.view("actor", { actorId: "order-1" })).events[0].error, /circular/);
});

Deno.test("a live answer that nobody reads is ended, however little waits in it", async () => {
  const request = () => new Request("http://localhost/");
  const stalled = new LiveStream(request(), undefined);
  const read = new LiveStream(request(), undefined);
  const reader = read.body.getReader();
  const slow = new LiveStream(request(), undefined);
  const slowReader = slow.body.getReader();
  while (slow.sendText("big", "x".repeat(1_000))); // until it is full
  for (let look = 0; look < 120; look++) {
    for (const stream of [stalled, read, slow]) stream.beat();
    if (look % 5 === 0) await reader.read();
    if (look % 50 === 0) await slowReader.read();
  }
  assertEquals([stalled, read, slow].map(({ signal }) => signal.aborted), [true, false, false]);
  await assertRejects(() => stalled.body.getReader().read(), Error, "Nobody reads this answer");
  for (const stream of [read, slow]) stream.end();
});

Deno.test("onError gets what ends a live answer, and why a view cannot be made, once", async () => {
  const errors: unknown[] = [];
  const broken = new Error("no more");
  const fail = (): never => {
    throw broken;
  };
  await using store = new class extends InMemoryEventStore {
    override subscribe = fail;
  }();
  const onError = (error: unknown) => void errors.push(error);
  const desk = new Desk({ store, cluster: { describe: fail }, onError });
  await using tail = await desk.live("tail");
  assertEquals((await tail.rest()).map(({ name }) => name), ["ready", "problem"]);
  assertEquals(errors.splice(0), [broken]);
  await using live = await desk.live("live", { views: ["cluster"] });
  await live.find("trouble");
  await using other = await desk.live("live", { views: ["cluster"] });
  await other.find("trouble");
  assertEquals(errors, [broken]);
});

Deno.test("live answers send a view when it has changed, and say when it cannot be made", async () => {
  await using store = new InMemoryEventStore();
  let isBroken = false;
  const cluster = {
    describe: () => {
      if (isBroken) throw new Error("no more");
      return undefined as never;
    },
  };
  const desk = new Desk({ store, cluster });
  await using live = await desk.live("live", { views: ["cluster"] });
  assertEquals((await live.next())?.data.source, "none");
  isBroken = true;
  const trouble = await live.next();
  assertEquals([trouble?.name, trouble?.data.view], ["trouble", "cluster"]);
  isBroken = false;
  assertEquals((await live.next())?.name, "cluster", "nothing came in between");
});

Deno.test("verify shows progress and a report, one at a time", async () => {
  await using store = new InMemoryEventStore();
  for (let at = 0; at < 1_200; at++) await store.saveEvent(event(`order-${at}`, 1));
  const desk = new Desk({ store });
  const [first, second] = await Promise.all([desk.live("verify"), desk.post("verify")]);
  assertEquals(second.status, 409);
  await second.body?.cancel();
  const messages = await first.rest();
  assert(messages.some(({ name }) => name === "progress"));
  const report = messages.at(-1)!;
  assertEquals([report.name, report.data.ok, report.data.events], ["report", true, 1_200]);
  await using again = await desk.live("verify", { from: report.data.next });
  assertEquals((await again.rest()).at(-1)?.data.events, 0);
  await using left = await desk.live("verify");
  await left.find("progress");
  await left[Symbol.asyncDispose]();
  for (let status = 409; status === 409;) {
    const answer = await desk.post("verify");
    status = answer.status;
    await answer.text();
  }
});
