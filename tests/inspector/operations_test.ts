import { assert, assertEquals, assertMatch } from "@std/assert";
import type { ClusterStateView } from "../../inspector/views/cluster.ts";
import type { ProcessesView } from "../../inspector/views/processes.ts";
import type { ProjectionsView, ProjectionView } from "../../inspector/views/projections.ts";
import {
  createEvent,
  type Event,
  type EventStore,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  JetStreamEventStore,
  KvCheckpointStore,
  type Process,
  ProcessManager,
  Projection,
  ProjectionLeases,
  Reactor,
} from "../../store/mod.ts";
import { Layout } from "../../store/format/layout.ts";
import { positionOf } from "../../store/format/position.ts";
import { natsTest } from "../support/fixture.ts";
import { join } from "../cluster/bed.ts";
import { Desk, TOKEN } from "./bed.ts";

function event(actorId: string, version: number, eventType = "Counted"): Event {
  return createEvent({ eventType, actorId, version, data: version });
}

async function projectionOf(desk: Desk, name: string): Promise<ProjectionView> {
  const { projections }: ProjectionsView = await desk.view("projections");
  const found = projections.find((it) => it.name === name);
  assert(found !== undefined, `there is no projection ${name}`);
  return found;
}

natsTest(
  "projections show owners, lag and parked actors, and do what operators ask for",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
    await using leases = await ProjectionLeases.open(connection, { namespace });
    let isBroken = true;
    const versions = new Set<number>();
    const gate = Promise.withResolvers<void>();
    await using projection = new Projection({
      ...{ name: "my orders", store, checkpoints, leases, partitions: 2, onPoison: "park" },
      ...{ retry: { attempts: 1, delay: 1 }, onError() {} },
      handler: async ({ actorId }, { version }) => {
        versions.add(version);
        if (version === 2) await gate.promise;
        if (isBroken && actorId === "order-1") throw new Error("no stock");
      },
    });
    using _released = { [Symbol.dispose]: () => gate.resolve() };
    const parts = { store, projections: [projection], actions: true, token: TOKEN };
    const desk = new Desk(parts);
    const act = (action: string, more = {}) =>
      desk.act({ on: "projection", name: "my orders", action, ...more });
    assertEquals((await projectionOf(desk, "my orders")).error, "It has not run yet");
    assertEquals(await checkpoints.load("my=20orders.control"), undefined, "a look writes nothing");
    const running = projection.run();
    for (let at = 1; at <= 4; at++) await store.saveEvent(event(`order-${at}`, 1));
    await projection.caughtUp;
    const view = await projectionOf(desk, "my orders");
    assertEquals([view.kind, view.isLocal, view.version, view.paused, view.lag], [
      "projection",
      true,
      1,
      false,
      0,
    ]);
    assertEquals(view.actions, ["unpark", "skip", "pause", "resume", "rebuild"]);
    assertEquals(view.partitions.map(({ partition }) => partition), [0, 1]);
    const owners = new Set(view.partitions.map(({ owner }) => owner));
    assertEquals([owners.size, owners.has(undefined)], [1, false], "one process has them all");
    assertEquals([view.parkedCount, view.parked[0]?.actorId], [1, "order-1"]);
    assertMatch(view.parked[0]!.reason, /no stock/);
    assertEquals(view.metrics?.handled, 3);

    assertEquals((await act("unpark", { actorId: "order-1" }))[1].outcome, "again");
    isBroken = false;
    assertEquals((await act("unpark", { actorId: "order-1" }))[1].outcome, "done");
    assertEquals((await projectionOf(desk, "my orders")).parkedCount, 0);

    assertEquals((await act("pause"))[0], 200);
    await store.saveEvent(event("order-5", 1));
    const paused = await projectionOf(desk, "my orders");
    assertEquals([paused.paused, paused.lag], [true, 1]);
    assertEquals((await act("resume"))[0], 200);
    await projection.caughtUp;

    const [begun, { outcome }] = await act("rebuild");
    assertEquals([begun, outcome], [200, "begun"]);
    while (!versions.has(2)) await new Promise((done) => setTimeout(done, 5));
    const rebuilt = (await projectionOf(desk, "my orders")).rebuild;
    assertEquals([rebuilt?.version, rebuilt?.partitions.length], [2, 2]);
    assert(rebuilt!.progress < 1);
    assertEquals((await act("rebuild"))[0], 409, "one at a time");
    await using live = await desk.live("live", { views: ["projections"] });
    await live.find("projections", ({ projections }) => projections[0].rebuild !== undefined);
    gate.resolve();
    await live.find("projections", ({ projections }) => projections[0].version === 2);

    assertEquals(
      (await act("skip", { sequence: 512 }))[0],
      409,
      "an event is no message of nobody",
    );
    const foreign = new Layout(namespace).event("x-1", store.shards).replace(/x-1$/, "=ZZ");
    const { seq } = (await connection.request(foreign, "{}")).json<{ seq: number }>();
    const ended = await running.catch((error) => error);
    const sequence = positionOf(seq as never);
    assertEquals(ended.sequence, sequence);
    assertEquals((await act("skip", { sequence }))[0], 200);
    assertEquals((await projectionOf(desk, "my orders")).skipped.map((it) => it.sequence), [
      sequence,
    ]);

    const others = new Desk({ store, actions: true, token: TOKEN });
    const seen = await projectionOf(others, "my orders");
    assertEquals(
      [seen.isLocal, seen.actions, seen.version],
      [false, [], 2],
      "by the records alone",
    );
    const [status, { detail }] = await others.act({
      on: "projection",
      name: "my orders",
      action: "pause",
    });
    assertEquals(status, 404);
    assertMatch(String(detail), /^This process has no projection "my orders": pass its object/);
  },
);

Deno.test("checkpoints that are kept elsewhere are shown for objects of this process", async () => {
  await using store = new InMemoryEventStore();
  const checkpoints = new InMemoryCheckpointStore();
  const common = { store, checkpoints, retry: { attempts: 1, delay: 1 }, onError() {} };
  await using projection = new Projection({ ...common, name: "orders", handler: () => {} });
  await using reactor = new Reactor({
    ...{ ...common, name: "mails", from: "start", partitions: 2 },
    react: ({ actorId }) => {
      if (actorId === "order-2") throw new Error("no mail");
      return undefined;
    },
  });
  const desk = new Desk({ store, projections: [projection, reactor], actions: true, token: TOKEN });
  const running = [projection.run(), reactor.run()];
  await store.saveEvents([event("order-1", 1), event("order-2", 1)]);
  await Promise.all([projection.caughtUp, reactor.caughtUp]);
  const own = await projectionOf(desk, "orders");
  assertEquals([own.kind, own.lag, own.partitions.length], ["projection", 0, 1]);
  const mails = await projectionOf(desk, "reactor:mails");
  assertEquals([mails.kind, mails.partitions.length, mails.parked[0]?.actorId], [
    "reactor",
    2,
    "order-2",
  ]);
  assertEquals(mails.actions, ["unpark", "skip", "pause", "resume"]);
  const name = "reactor:mails";
  assertEquals((await desk.act({ on: "projection", name, action: "rebuild" }))[0], 400);
  const unpark = { on: "projection", name, action: "unpark", actorId: "order-2" };
  assertEquals((await desk.act(unpark))[1].outcome, "again");
  await projection[Symbol.asyncDispose]();
  await reactor[Symbol.asyncDispose]();
  await Promise.all(running);
});

/** A process that waits, breaks, or ends. */
const order: Process<number, Event, Event> = {
  name: "order",
  correlate: ({ actorId }) => actorId,
  initialState: () => 0,
  evolve: (count) => count + 1,
  react: (_count, input, { now, id }) => {
    if ("kind" in input) return {};
    if (input.eventType === "Broken") throw new Error("no way");
    if (input.eventType === "Done") return { done: true };
    return {
      deadlines: {
        later: new Date(now.getTime() + 7_200_000),
        payment: new Date(now.getTime() + 3_600_000),
      },
      commands: [{ actorId: `slow-${id}`, command: 1 }],
    };
  },
};

async function processesIn(
  store: EventStore,
  checkpoints: KvCheckpointStore | InMemoryCheckpointStore,
  isSeenByRecords: boolean,
): Promise<void> {
  const reached = Promise.withResolvers<void>();
  await using manager = new ProcessManager({
    ...{ process: order, store, checkpoints, filter: { category: "order" }, from: "start" },
    ...{ onError() {}, retry: { attempts: 1, delay: 1 }, partitions: 2 },
    send: (_actorId, _command, { signal }) => {
      reached.resolve();
      return new Promise((_, reject) =>
        signal?.addEventListener("abort", () => reject(signal.reason))
      );
    },
  });
  const running = manager.run();
  running.catch(() => {}); // The end of the test awaits it.
  await store.saveEvents([
    event("order-1", 1),
    event("order-2", 1, "Broken"),
    event("order-3", 1, "Done"),
  ]);
  await manager.caughtUp;
  await reached.promise;
  const desk = new Desk({ store, processes: [manager], actions: true, token: TOKEN });
  const view: ProcessesView = await desk.view("processes");
  assertEquals(view.managers, [{
    name: "order",
    isLocal: true,
    actions: ["retry", "end", "pause", "resume"],
  }]);
  const [one, two, ...more] = view.processes;
  assertEquals([one?.id, two?.id, more], ["order-1", "order-2", []]);
  assertEquals(one?.deadlines.map(({ name }) => name), ["payment", "later"], "the first one first");
  assertEquals(one?.commands.map(({ actorId }) => actorId), ["slow-order-1"]);
  assert(Date.now() - Date.parse(one!.commands[0]!.since) < 60_000);
  assertMatch(two?.parked?.reason ?? "", /no way/);
  const first: ProcessesView = await desk.view("processes", { limit: 1 });
  const next: ProcessesView = await desk.view("processes", { limit: 1, after: first.next });
  assertEquals([...first.processes, ...next.processes].map(({ id }) => id), ["order-1", "order-2"]);
  const names = (await desk.view<ProjectionsView>("projections")).projections.map(({ name }) =>
    name
  );
  assertEquals(names, ["process:order", "process:order:agenda"]);

  const act = (action: string, more = {}) =>
    desk.act({ on: "process", name: "order", action, ...more });
  const parked = async (it: Desk) =>
    (await it.view<ProcessesView>("processes", { parked: true })).processes.map(({ id }) => id);
  while ((await parked(desk)).length === 0) await new Promise((done) => setTimeout(done, 5));
  assertEquals(await parked(desk), ["order-2"]);
  const others = new Desk({ store });
  assertEquals(await parked(others), isSeenByRecords ? ["order-2"] : []);
  assertEquals((await act("retry", { id: "order-2" }))[1].outcome, "again");
  assertEquals((await act("end", { id: "order-2", reason: "by hand" }))[0], 200);
  assertEquals((await act("end", { id: "order-9" }))[0], 404);
  assertEquals((await manager.describe("order-2")).ended, { reason: "by hand" });
  assertEquals((await desk.view<ProcessesView>("processes")).processes.map(({ id }) => id), [
    "order-1",
  ]);
  assertEquals((await act("pause"))[0], 200);
  assertEquals((await projectionOf(desk, "process:order")).paused, true);
  assertEquals((await act("resume"))[0], 200);
  await manager[Symbol.asyncDispose]();
  await running;
}

natsTest(
  "processes show what they wait for, and are tried again and ended by hand",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
    await processesIn(store, checkpoints, true);
    await using memory = new InMemoryEventStore();
    await processesIn(memory, new InMemoryCheckpointStore(), false);
  },
);

natsTest("cluster shows members, leader, shards and what has changed", async (scene) => {
  const { namespace } = scene;
  const options = { shards: 8, onError() {} };
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, { namespace, shards: 8 });
  const byRecords = new Desk({ store });
  assertEquals((await byRecords.view<ClusterStateView>("cluster")).source, "none");
  await using one = await join(scene, "one", options);
  const desk = new Desk({ store, cluster: one });
  await using live = await desk.live("live", { views: ["cluster"] });
  const isSettled = ({ map, handoffs, members }: ClusterStateView, nodes: number) =>
    members.length === nodes && map.free === 0 && handoffs.length === 0 &&
    map.shards.length === 8 &&
    map.owners.length === nodes;
  const alone: ClusterStateView = await live.find(
    "cluster",
    (view) => isSettled(view, 1) && view.phases.serving === 8 && view.leader,
  );
  assertEquals([alone.source, alone.self, alone.namespace], ["cluster", "one", namespace]);
  assertEquals([alone.members[0]?.nodeId, alone.members[0]?.shards], ["one", 8]);
  assertEquals([alone.leader?.nodeId, alone.coordinator, alone.phases?.serving], ["one", "one", 8]);
  assert(alone.leader!.term > 0);

  const two = await join(scene, "two", options);
  const both: ClusterStateView = await live.find("cluster", (view) => isSettled(view, 2));
  assertEquals(both.members.map(({ nodeId, shards }) => [nodeId, shards]), [["one", 4], [
    "two",
    4,
  ]]);
  const owned = both.map.shards.map((place) => both.map.owners[place]);
  assertEquals(owned.filter((owner) => owner === "two").length, 4);
  await two.leave();
  const after: ClusterStateView = await live.find("cluster", (view) => isSettled(view, 1));
  assertEquals(after.departed.map(({ nodeId, how }) => [nodeId, how]), [["two", "left"]]);
  const changes = after.changes.map(({ what, nodeId }) => `${what} ${nodeId ?? ""}`.trim());
  assert(["joined two", "left two", "moved"].every((it) => changes.includes(it)), changes.join());
  const seen: ClusterStateView = await byRecords.view("cluster");
  assertEquals([seen.source, seen.self, seen.members.length], ["records", undefined, 1]);
});
