import { assert, assertEquals, assertMatch } from "@std/assert";
import fc from "fast-check";
import { changesBetween, plain } from "../../inspector/look/changes.ts";
import type { ActorsView } from "../../inspector/views/actors.ts";
import type { ActorView } from "../../inspector/views/actor.ts";
import type { CausationView } from "../../inspector/views/causation.ts";
import type { StatesView } from "../../inspector/views/states.ts";
import type { StoreView } from "../../inspector/views/store.ts";
import {
  causedBy,
  createEvent,
  type Event,
  type EventStore,
  InMemoryEventStore,
  JetStreamEventStore,
} from "../../store/mod.ts";
import { Layout } from "../../store/format/layout.ts";
import { natsTest, type Scene } from "../support/fixture.ts";
import { applied } from "./applied.ts";
import { Desk } from "./bed.ts";

function event(actorId: string, version: number, data: unknown = version): Event {
  return createEvent({ eventType: "Counted", actorId, version, data });
}

async function opened(scene: Scene, options = {}): Promise<JetStreamEventStore> {
  const { namespace } = scene;
  return await JetStreamEventStore.open(await scene.connect(), { namespace, ...options });
}

/** The same on a server and in memory. */
function everywhere(name: string, run: (store: EventStore) => Promise<void>): void {
  natsTest(name, async (scene) => {
    await using store = await opened(scene);
    await run(store);
    await using memory = new InMemoryEventStore();
    await run(memory);
  });
}

natsTest(
  "store says what the server and the store object say, and counts categories",
  async (scene) => {
    await using store = await opened(scene);
    for (let at = 0; at < 3; at++) {
      await store.saveEvents([
        event(`order-${at}`, 1),
        event(`order-${at}`, 2),
      ]);
    }
    await store.saveEvent(event("bill-1", 1));
    const desk = new Desk({ store });
    await using live = await desk.live("live", { views: ["store"] });
    const view: StoreView = await live.find(
      "store",
      ({ categories }) => categories.state === "ready",
    );
    assertEquals([view.kind, view.namespace, view.identity], [
      "jetstream",
      scene.namespace,
      store.identity,
    ]);
    assertEquals(
      view.categories.list.map(({ category, actors, messages }) => [category, actors, messages]),
      [
        ["order", 3, 3],
        ["bill", 1, 1],
      ],
    );
    assertEquals(view.categories.list.map(({ last }) => last?.actorId), ["order-2", "bill-1"]);
    assertEquals(view.server?.messages, 5); // the genesis is one
    assertEquals(view.server?.replicas.map(({ role, lag }) => [role, lag]), [["leader", 0]]);
    assertMatch(view.server?.version ?? "", /^2\.\d+/);
    assertEquals(view.metrics?.saves.saved, 4);
    for (let at = 0; at < 5; at++) await store.saveEvent(event("bill-1", 2 + at));
    await live.find("store", ({ rates }) => rates?.saves > 0 && rates.messages > 0);
  },
);

everywhere("actors come in pages, by category and by the beginning of their ids", async (store) => {
  const ids = ["order", "order-1", "order-10", "order-2", "orders-1", "bill-1", "\u00fc-1"];
  for (const id of ids) await store.saveEvent(event(id, 1));
  const desk = new Desk({ store });
  while (!(await desk.view<ActorsView>("actors")).isComplete);
  const all: string[] = [];
  let after: string | undefined;
  do {
    const view: ActorsView = await desk.view("actors", { limit: 2, ...(after && { after }) });
    all.push(...view.actors.map(({ actorId }) => actorId));
    assertEquals([view.total, view.isComplete], [7, true]);
    after = view.next;
  } while (after !== undefined);
  assertEquals(all, ids.toSorted());
  const found = async (query: unknown) =>
    (await desk.view<ActorsView>("actors", query)).actors.map(({ actorId }) => actorId);
  assertEquals(await found({ category: "order" }), ["order", "order-1", "order-10", "order-2"]);
  assertEquals(await found({ prefix: "order-1" }), ["order-1", "order-10"]);
  assertEquals(await found({ category: "order", prefix: "orders" }), []);
  await store.saveEvent(event("order-3", 1));
  assertEquals(await found({ prefix: "order-3" }), ["order-3"], "an exact id is found at once");
  assertEquals(await found({ prefix: "order-4" }), []);
});

everywhere(
  "an actor's events come in pages, in either direction, over gaps and commits",
  async (store) => {
    const versions = [1, 2, 3, 7, 8, 1_000, 1_001, 5_000];
    await store.saveEvents(versions.slice(0, 5).map((version) => event("order-1", version)));
    for (const version of versions.slice(5)) await store.saveEvent(event("order-1", version));
    const desk = new Desk({ store });
    for (const direction of ["forwards", "backwards"] as const) {
      const all: number[] = [];
      for (let next: number | undefined, pages = 0; pages < 50; pages++) {
        const bound = direction === "forwards" ? "fromVersion" : "toVersion";
        const query = { actorId: "order-1", direction, limit: 3, ...(next && { [bound]: next }) };
        const view: ActorView = await desk.view("actor", query);
        assert(view.events.length <= 3);
        assertEquals(view.version, 5_000);
        all.push(...view.events.map(({ version }) => version));
        next = view.next;
        if (next === undefined) break;
      }
      assertEquals(all, direction === "forwards" ? versions : versions.toReversed());
    }
    const part: ActorView = await desk.view("actor", {
      actorId: "order-1",
      fromVersion: 3,
      toVersion: 7,
    });
    assertEquals(part.events.map(({ version, data }) => [version, data]), [[3, 3], [7, 7]]);
    assertEquals([part.next, part.hasStates, part.category], [undefined, false, "order"]);
    assertEquals(part.events.map(({ commit }) => [commit?.index, commit?.count]), [[2, 5], [3, 5]]);
    const none: ActorView = await desk.view("actor", { actorId: "order-2" });
    assertEquals([none.version, none.events, none.next], [0, [], undefined]);
  },
);

natsTest(
  "an event shows what was saved, what upcasters make of it, and why it cannot be read",
  async (scene) => {
    const first = await opened(scene);
    await first.saveEvent({
      ...event("order-1", 1, { cents: 5 }),
      metadata: { userId: "ada", causationId: "c" },
    });
    await first[Symbol.asyncDispose]();
    const upcasters = {
      Counted: [(data: unknown) => ({ total: (data as { cents: number }).cents / 100 })],
    };
    await using store = await opened(scene, { upcasters });
    await store.saveEvent(event("order-1", 2, { total: 1 }));
    const connection = await scene.connect();
    await connection.request(new Layout(scene.namespace).event("order-1", store.shards), "{}");
    const view: ActorView = await new Desk({ store }).view("actor", { actorId: "order-1" });
    const [old, fresh, broken] = view.events;
    assertEquals([old?.data, old?.stored?.data], [{ total: 0.05 }, { cents: 5 }]);
    assertEquals([old?.stored?.schema, old?.stored?.newest], [1, 2]);
    assertEquals(old?.metadata, { userId: "ada", causationId: "c" });
    assertEquals([fresh?.stored?.schema, fresh?.stored && "data" in fresh.stored], [2, false]);
    assertMatch(broken?.error ?? "", /^Cannot read the event/);
    assertEquals(broken?.stored?.bytes, 2);
  },
);

everywhere(
  "states are folded by the user's decider, as steps that go on where an answer ends",
  async (store) => {
    const fold = {
      initialState: () => ({ sum: 0, seen: new Map<string, number>(), list: [] as number[] }),
      evolve: (
        state: { sum: number; seen: Map<string, number>; list: number[] },
        { data }: Event,
      ) => {
        const by = data as number;
        if (by === 13) throw new Error("an unlucky number");
        const list = by < 0 ? state.list.slice(0, by) : [...state.list, by];
        return { sum: state.sum + by, seen: new Map(state.seen).set(`${by % 3}`, by), list };
      },
    };
    const desk = new Desk({ store, deciders: { order: fold } });
    const data = [4, 5, 6, -2, 7, 8];
    for (const [at, by] of data.entries()) await store.saveEvent(event("order-1", at + 1, by));
    const states = data.map((_, at) =>
      plain(
        data.slice(0, at + 1).reduce(
          (state, by) => fold.evolve(state, event("order-1", 1, by)),
          fold.initialState(),
        ),
      )
    );
    for (const fromVersion of [1, 3]) {
      const view: StatesView = await desk.view("states", { actorId: "order-1", fromVersion });
      assertEquals([view.version, view.steps.length], [6, data.length - fromVersion + 1]);
      let state = view.initial;
      for (const { version, changes } of view.steps) {
        state = applied(state, changes);
        assertEquals(state, states[version - 1], `the state at ${version}`);
      }
    }
    await store.saveEvent(event("order-1", 7, 13));
    const view: StatesView = await desk.view("states", { actorId: "order-1", fromVersion: 6 });
    assertEquals(view.failed?.version, 7);
    assertMatch(view.failed?.reason ?? "", /unlucky/);
    assertEquals(view.steps.map(({ version }) => version), [6]);
    const actor: ActorView = await desk.view("actor", { actorId: "order-1" });
    assertEquals(actor.hasStates, true);
  },
);

Deno.test("changes lead from one value to any other, and back", () => {
  const json = fc.jsonValue({ maxDepth: 4 });
  fc.assert(
    fc.property(json, json, (before, after) => {
      const [was, is] = [before, after].map((it) => JSON.parse(JSON.stringify(it)));
      const changes = changesBetween(was, is);
      assertEquals(applied(was, changes), is);
      if (JSON.stringify(was) === JSON.stringify(is)) assertEquals(changes, []);
    }),
    { numRuns: 500 },
  );
  const hostile = JSON.parse('{"__proto__":{"polluted":1},"a":[1,2,3]}');
  assertEquals(
    JSON.stringify(applied({ a: [1] }, changesBetween({ a: [1] }, hostile))),
    '{"a":[1,2,3],"__proto__":{"polluted":1}}',
  );
  assert(!("polluted" in {}));
  const shared = Array.from({ length: 100_000 }, (_, at) => ({ at }));
  assertEquals(changesBetween(shared, [...shared, 1]), [{ path: [100_000], after: 1 }]);
});

everywhere(
  "causation finds causes and effects, names those from outside, and bounds itself",
  async (store) => {
    const request = {
      ...event("order-1", 1),
      metadata: { causationId: "request-7", correlationId: "c" },
    };
    const reserved = causedBy(event("stock-1", 1), request);
    const issued = causedBy(
      {
        ...event("process:order-1", 1, { id: "command-1", actorId: "bill-1", command: { pay: 5 } }),
        eventType: "CommandIssued",
      },
      request,
    );
    const paid = causedBy(event("bill-1", 1), issued);
    const settled = causedBy(
      { ...event("process:order-1", 2, { id: "command-1" }), eventType: "CommandSettled" },
      issued,
    );
    for (const it of [request, event("order-2", 1), reserved, issued, paid, settled]) {
      await store
        .saveEvent(it);
    }
    const desk = new Desk({ store });
    const causation = async (body: unknown): Promise<CausationView> => {
      await using live = await desk.live("causation", body);
      return await live.find("causation");
    };
    const { nodes, omitted } = await causation({ eventId: paid.id });
    assertEquals(omitted, 0);
    assertEquals(
      nodes.map(({ id, kind, cause }) => [id, kind, cause]),
      [
        ["request-7", "outside", undefined],
        [request.id, "event", "request-7"],
        [reserved.id, "event", request.id],
        [issued.id, "event", request.id],
        [paid.id, "event", issued.id],
        [settled.id, "event", issued.id],
      ],
    );
    const command = nodes.find(({ id }) => id === issued.id);
    assert(command?.kind === "event");
    assertEquals(command.process, { name: "order", id: "1" });
    assertEquals(command.command, {
      ...{ id: "command-1", actorId: "bill-1", command: { pay: 5 }, settled: true },
    });
    const many = Array.from({ length: 700 }, (_, at) => causedBy(event(`many-${at}`, 1), request));
    for (let at = 0; at < many.length; at += 100) await store.saveEvents(many.slice(at, at + 100));
    const last = causedBy(event("last-1", 1), many.at(-1)!);
    await store.saveEvent(last);
    const bounded = await causation({ eventId: last.id, sequence: 7 });
    // 450 events, and the request from outside.
    assertEquals([bounded.nodes.length, bounded.omitted], [451, 706 - 450]);
    const ids = bounded.nodes.map(({ id }) => id);
    for (const { id } of [last, many.at(-1)!, request]) {
      assert(ids.includes(id), "causes come first");
    }
    assert(bounded.nodes.find(({ id }) => id === request.id)!.omitted! > 100);
    for (const [at, { cause }] of bounded.nodes.entries()) {
      assert(cause === undefined || ids.indexOf(cause) < at, "nodes stand behind their causes");
    }
    const [one, two] = [event("loop-1", 1), event("loop-2", 1)];
    await store.saveEvents([
      { ...one, metadata: { causationId: two.id, correlationId: "loop" } },
      { ...two, metadata: { causationId: one.id, correlationId: "loop" } },
    ]);
    assertEquals((await causation({ eventId: two.id })).nodes.length, 2);
    await using none = await desk.live("causation", { eventId: "nothing" });
    const told = (await none.rest()).at(-1);
    assertEquals([told?.name, told?.data.status], ["problem", 404]);
  },
);
