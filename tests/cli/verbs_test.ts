import { assert, assertEquals, assertMatch } from "@std/assert";
import {
  createEvent,
  type Event,
  JetStreamEventStore,
  KvCheckpointStore,
  type Process,
  ProcessManager,
  Projection,
} from "../../store/mod.ts";
import { Layout } from "../../store/format/layout.ts";
import { natsTest, type Scene } from "../support/fixture.ts";
import { main } from "../../cli/main.ts";
import { join, settled } from "../cluster/bed.ts";
import { aether, bare } from "./bed.ts";

function event(actorId: string, version: number, init: Partial<Event> = {}): Event {
  const { metadata, data = { total: version }, eventType = "OrderPlaced" } = init;
  return createEvent({ eventType, actorId, version, data, ...(metadata && { metadata }) });
}

async function opened(scene: Scene): Promise<JetStreamEventStore> {
  const { namespace } = scene;
  return await JetStreamEventStore.open(await scene.connect(), { namespace });
}

natsTest("actors lists them with their versions, by category and up to a limit", async (scene) => {
  await using store = await opened(scene);
  await store.saveEvents([event("order-1", 1), event("order-1", 2), event("bill-1", 1)]);
  const { code, out } = await aether(scene, "actors");
  assertEquals([code, out.trim().split("\n").sort()], [
    0,
    ["2 actors", "bill-1 at 1", "order-1 at 2"],
  ]);
  const orders = await aether(scene, "actors", "order", "--json");
  assertEquals(orders.json(), [{ actorId: "order-1", version: 2 }]);
  const one = await aether(scene, "actors", "--limit", "1");
  assertMatch(one.out, /1 actors, and maybe more/);
});

natsTest("show prints events, then or now, and the state by the user's decider", async (scene) => {
  await using store = await opened(scene);
  await store.saveEvent(event("order-1", 1));
  await store.saveEvent(event("order-1", 2, { eventType: "Order\u001b[31mPaid" }));
  const { code, out } = await aether(scene, "show", "order-1");
  assertEquals(code, 0);
  assertMatch(out, /^1 OrderPlaced \{"total":1\}/);
  assert(!out.includes("\u001b"), "what is stored changes nothing of the terminal");
  const past = await aether(scene, "show", "order-1", "--at", "1", "--json");
  assertEquals(past.json().map(({ version }) => version), [1]);
  const before = await aether(scene, "show", "order-1", "--at", "2020-01-01T00:00:00Z");
  assertEquals([before.code, before.err], [1, `"order-1" has no events by then\n`]);
  const app = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(
    app,
    `export const deciders = {
       order: { initialState: () => 0, evolve: (sum, { data }) => sum + data.total },
     };`,
  );
  const state = await aether(scene, "show", "order-1", "--json", "--app", app);
  await Deno.remove(app);
  assertEquals(state.json().at(-1), { state: 3 });
});

natsTest("show folds no state by what each object has", async (scene) => {
  await using store = await opened(scene);
  await store.saveEvent(event("constructor-1", 1));
  const app = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(app, "export const deciders = {};");
  const { code, err } = await aether(scene, "show", "constructor-1", "--app", app);
  await Deno.remove(app);
  assertEquals([code, err], [0, ""]);
});

natsTest("show names what cannot be read", async (scene) => {
  await using store = await opened(scene);
  await store.saveEvent(event("order-1", 1));
  const connection = await scene.connect();
  await connection.request(new Layout(scene.namespace).event("order-1", store.shards), "{}");
  const { code, out } = await aether(scene, "show", "order-1");
  assertEquals(code, 1);
  assertMatch(out, /^1 OrderPlaced[^]*Cannot read the event at sequence/);
});

natsTest("tail follows what is saved, filtered", async (scene) => {
  await using store = await opened(scene);
  for (let version = 1; version <= 3; version++) await store.saveEvent(event("order-1", version));
  await store.saveEvent(event("bill-1", 1));
  const { code, out } = await aether(
    ...[scene, "tail", "--from", "start", "--limit", "2", "--category", "order"] as const,
  );
  assertEquals(code, 0);
  assertEquals(out.match(/order-1 \d/g), ["order-1 1", "order-1 2"]);
  const none = await aether(scene, "actors", "--limit", "0");
  assertMatch(none.out, /^2 actors$/m);
  const bills = await aether(scene, "tail", "--from", "start", "--limit", "1", "--actor", "bill-1");
  assertMatch(bills.out, /bill-1 1 OrderPlaced/);
});

natsTest("why draws the tree of causes and effects", async (scene) => {
  await using store = await opened(scene);
  const first = event("order-1", 1, { eventType: "Placed" });
  const caused = (cause: Event, actorId: string, eventType: string) =>
    event(actorId, 1, { eventType, metadata: { correlationId: first.id, causationId: cause.id } });
  const reserved = caused(first, "stock-1", "Reserved");
  const billed = caused(first, "bill-1", "Billed");
  const shipped = caused(reserved, "parcel-1", "Shipped");
  for (const it of [first, event("order-2", 1), reserved, billed, shipped]) {
    await store.saveEvent(it);
  }
  const { code, out } = await aether(scene, "why", billed.id);
  const lines = out.trimEnd().split("\n").map((line) => line.replace(/ of .*/, ""));
  assertEquals([code, lines], [0, ["Placed", "├─ Reserved", "│  └─ Shipped", "└─ * Billed"]]);
  const loop = [event("loop-1", 1), event("loop-2", 1)];
  const [one, two] = loop.map((it, at) => ({
    ...it,
    metadata: { correlationId: "loop", causationId: loop[1 - at]!.id },
  }));
  await store.saveEvents([one!, two!]);
  const round = await aether(scene, "why", one!.id);
  assertEquals(round.out.match(/loop-\d/g), ["loop-1", "loop-2"]);
  const none = await aether(scene, "why", "nothing");
  assertEquals([none.code, none.out], [1, ""]);
});

natsTest("projections shows positions and what is parked", async (scene) => {
  await using store = await opened(scene);
  const none = await aether(scene, "projections");
  assertEquals([none.code, none.err], [0, "There is no such projection\n"]);
  await store.saveEvents([event("order-1", 1), event("order-2", 1)]);
  const { namespace } = scene;
  await using checkpoints = await KvCheckpointStore.open(await scene.connect(), { namespace });
  const handler = ({ actorId }: Event) => {
    if (actorId === "order-1") throw new Error("no stock");
  };
  await using projection = new Projection({
    ...{ name: "my orders", store, checkpoints, handler, onError() {}, onPoison: "park" },
    retry: { attempts: 1, delay: 1 },
  });
  const running = projection.run();
  await projection.caughtUp;
  await projection[Symbol.asyncDispose]();
  await running;
  const { code, out } = await aether(scene, "projections");
  assertEquals(code, 1);
  assertMatch(out, /^my orders: version 1, 1 partitions, at \d+, 0 messages behind$/m);
  assertMatch(out, /^ {2}parked: order-1 at 1 OrderPlaced: .*no stock$/m);
  const [found] = (await aether(scene, "projections", "my orders", "--json")).json();
  assertEquals((found!.parked as { actorId: string }[])[0]!.actorId, "order-1");
  assertEquals((await aether(scene, "projections", "other")).code, 1);
});

natsTest("processes shows what waits, and what is parked", async (scene) => {
  await using store = await opened(scene);
  const { namespace } = scene;
  await using checkpoints = await KvCheckpointStore.open(await scene.connect(), { namespace });
  const order: Process<number, Event, Event> = {
    name: "order",
    correlate: ({ actorId }) => actorId,
    initialState: () => 0,
    evolve: (count) => count + 1,
    react: (_count, input, { now }) => {
      if ("kind" in input) return {};
      if (input.eventType === "Broken") throw new Error("no way");
      if (input.eventType === "Done") return { done: true };
      return { deadlines: { payment: new Date(now.getTime() + 3_600_000) } };
    },
  };
  await using manager = new ProcessManager({
    ...{ process: order, store, checkpoints, filter: { category: "order" }, from: "start" },
    ...{ onError() {}, retry: { attempts: 1, delay: 1 } },
  });
  const running = manager.run();
  await store.saveEvent(event("order-1", 1));
  await store.saveEvent(event("order-2", 1, { eventType: "Broken" }));
  await store.saveEvent(event("order-3", 1, { eventType: "Done" }));
  await manager.caughtUp;
  await manager[Symbol.asyncDispose]();
  await running;
  const { code, out } = await aether(scene, "processes");
  assertEquals(code, 1);
  assertMatch(out, /^order order-1\n {2}deadline payment at 20/m);
  assertMatch(out, /^order order-2\n {2}parked: .*no way$/m);
  assert(!out.includes("order-3"), out);
  const found = (await aether(scene, "processes", "order", "--parked", "--json")).json();
  assertEquals(found.map(({ id }) => id), ["order-2"]);
  const other = await aether(scene, "processes", "other");
  assertEquals([other.code, other.err], [0, "No process is open\n"]);
});

natsTest("cluster shows members, the leader and shards", async (scene) => {
  await using store = await opened(scene);
  await store.saveEvent(event("order-1", 1));
  const none = await aether(scene, "cluster");
  assertEquals([none.code, none.out], [1, ""]);
  assertMatch(none.err, /^There is no cluster of namespace/);
  await using node = await join(scene, "one", { shards: store.shards });
  await settled(node);
  const { code, out } = await aether(scene, "cluster");
  assertEquals(code, 0);
  assertMatch(out, /^one leads, term \d+\none: up, 256 of 256 shards\n/);
  const [view] = (await aether(scene, "cluster", "--json")).json();
  assertEquals([view!.source, (view!.members as unknown[]).length], ["records", 1]);
});

natsTest("inspect serves the page and the API until it is ended", async (scene) => {
  await using store = await opened(scene);
  await store.saveEvent(event("order-1", 1));
  const ending = new AbortController();
  const url = Promise.withResolvers<string>();
  const args = ["--server", scene.server.url, "--namespace", scene.namespace];
  const ended = main(["inspect", "--port", "0", "--json", ...args], {
    sinks: {
      out: { write: (text) => url.resolve(JSON.parse(text).url) },
      err: { write: () => {} },
    },
    signal: ending.signal,
  });
  const base = await Promise.race([url.promise, ended.then((code) => `ended with ${code}`)]);
  const post = (path: string, body: string, headers = {}) =>
    fetch(`${base}${path}`, {
      ...{ method: "POST", body },
      headers: { "content-type": "application/json", ...headers },
    });
  const page = await fetch(base);
  assertEquals([page.status, page.headers.get("x-content-type-options")], [200, "nosniff"]);
  assertMatch(await page.text(), /^<!doctype html>/i);
  const actor = await post("api/actor", '{"actorId":"order-1"}');
  assertEquals((await actor.json()).version, 1);
  const foreign = await post("api/actor", "{}", { origin: "http://evil.example" });
  assertEquals([foreign.status, (await foreign.json()).code], [403, "Refusal"]);
  const flood = await post("api/actor", "x".repeat(1_000_000)).catch(() => undefined);
  // The client may still be sending when the connection is closed.
  if (flood !== undefined) assertEquals([flood.status, (await flood.json()).status], [413, 413]);
  const tail = await post("api/tail", "{}");
  const reader = tail.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("event: ready")) text += (await reader.read()).value ?? "";
  ending.abort();
  while (!(await reader.read()).done);
  assertEquals(await ended, 0);
  const taken = await bare("inspect", "--port", "http");
  assertEquals([taken.code, taken.out], [2, ""]);
});

natsTest("verify ends with 0 for a sound store and with 1 for another", async (scene) => {
  await using store = await opened(scene);
  await store.saveEvents([event("order-1", 1), event("order-1", 2)]);
  const sound = await aether(scene, "verify");
  assertEquals(sound.code, 0);
  assertMatch(sound.out, /2 events of 1 actors are checked: no rule is broken/);
  const connection = await scene.connect();
  await connection.request(new Layout(scene.namespace).event("order-1", store.shards), "{}");
  const broken = await aether(scene, "verify", "--json");
  assertEquals([broken.code, broken.json()[0]!.ok], [1, false]);
});

natsTest("restored asks for a yes, and gives the store another identity", async (scene) => {
  await using store = await opened(scene);
  await store.saveEvent(event("order-1", 1));
  const before = store.identity;
  const asked = await aether(scene, "restored");
  assertEquals(asked.code, 2);
  const { code, out } = await aether(scene, "restored", "--yes");
  assertEquals(code, 0);
  assertMatch(out, new RegExp(`^The store ${before} is \\S+ from now on`));
});

natsTest("a namespace that is not there is told, and not made", async (scene) => {
  const { code, err } = await aether(scene, "actors");
  assertEquals(code, 1);
  assertMatch(err, /There is no store of namespace/);
  const again = await aether(scene, "actors");
  assertEquals(again.code, 1);
});

Deno.test("a server that is not there is an error with what to look at", async () => {
  const { code, err } = await bare("actors", "--server", "nats://127.0.0.1:1");
  assertEquals(code, 1);
  assertMatch(err, /Cannot connect to nats:\/\/127.0.0.1:1: [^]*--server/);
});

natsTest("a context of the nats command names server and user", async (scene) => {
  await using store = await opened(scene);
  await store.saveEvent(event("order-1", 1));
  const folder = await Deno.makeTempDir();
  const before = Deno.env.get("XDG_CONFIG_HOME");
  try {
    await Deno.mkdir(`${folder}/nats/context`, { recursive: true });
    const context = { url: scene.server.url, user: "", description: "test" };
    await Deno.writeTextFile(`${folder}/nats/context/here.json`, JSON.stringify(context));
    Deno.env.set("XDG_CONFIG_HOME", folder);
    const { code, out } = await bare(
      ...["actors", "--context", "here", "--namespace", scene.namespace],
    );
    assertEquals([code, out], [0, "order-1 at 1\n1 actors\n"]);
  } finally {
    if (before === undefined) Deno.env.delete("XDG_CONFIG_HOME");
    else Deno.env.set("XDG_CONFIG_HOME", before);
    await Deno.remove(folder, { recursive: true });
  }
});
