import { assert, assertEquals, assertRejects } from "@std/assert";
import { Cluster } from "../cluster/cluster.ts";
import type { Connection } from "../store/connection.ts";
import {
  createEvent,
  type EventStore,
  FORGOTTEN,
  JetStreamEventStore,
  JetStreamSnapshotStore,
  KvCheckpointStore,
  KvKeyStore,
  Projection,
  ProjectionLeases,
  sealedCodec,
} from "../store/mod.ts";
import { count, QUICK } from "./cluster/bed.ts";
import { Desk } from "./inspector/bed.ts";
import { FIELDS, registered } from "./store/sealing/shop.ts";
import { natsTest } from "./support/fixture.ts";

const PAGE = await Deno.readTextFile(new URL("../docs/permissions.md", import.meta.url));
const NAMESPACE = "shop";
const EVENTS = 700;

/**
 * The subjects that the page lets a user of one namespace publish and subscribe to, and those that
 * each further heading adds.
 */
const BASE = PAGE.match(/```conf\n(.*?)```/s)![1]!;
const NEEDS = new Map(
  [...PAGE.matchAll(/^## (.+?)$.*?^```conf\n(.*?)^```$/gms)].map((
    [, need, lists],
  ) => [need!, lists!]),
);

/** A user with the permissions of the page's first list alone. */
const PLAIN = BASE.match(/\{ user: shop.*\} \}/s)![0]
  .replace("user: shop, password: shop", "user: plain, password: plain");

/** The entries of the list `name` for `need`. */
function listed(need: string, name: "publish" | "subscribe"): string {
  const lists = NEEDS.get(need);
  if (lists === undefined) throw new Error(`Cannot find "${need}" in docs/permissions.md`);
  return lists.match(new RegExp(`^${name}: \\[(.*?)\\]$`, "ms"))?.[1] ?? "";
}

/** The configuration of the page, with what `needs` take beside. */
function permitting(...needs: readonly string[]): string {
  return (["publish", "subscribe"] as const).reduce(
    (config, name) =>
      config.replace(`${name}: [`, (all) => all + needs.map((need) => listed(need, name)).join("")),
    BASE,
  );
}

/** The configuration of the page, with the lists of one heading in place of all others. */
function permittingOnly(need: string): string {
  return (["publish", "subscribe"] as const).reduce(
    (config, name) =>
      config.replace(
        new RegExp(`^( *)${name}: \\[.*?^\\1\\]`, "ms"),
        () => `${name}: [${listed(need, name)}]`,
      ),
    BASE,
  );
}

/** Runs `work` as a user with the permissions of `needs`; the server refuses nothing of it. */
function permissionTest(
  title: string,
  needs: readonly string[],
  work: (connection: Connection, admin: Connection) => Promise<void>,
  config = permitting(...needs),
): void {
  natsTest(`the page's permissions suffice for ${title}`, async (scene) => {
    const inboxPrefix = "_INBOX_shop";
    const admin = await scene.connect({ user: "admin", pass: "admin", inboxPrefix });
    const connection = await scene.connect({ user: "shop", pass: "shop", inboxPrefix });
    const refusals: unknown[] = [];
    const statuses = connection.status();
    const listening = (async () => {
      for await (const status of statuses) if (status.type === "error") refusals.push(status.error);
    })();
    await work(connection, admin);
    await connection.flush();
    (statuses as unknown as { stop(): void }).stop();
    await listening;
    assertEquals(refusals, []);
  }, { server: { config } });
}

async function filled(store: EventStore): Promise<void> {
  await store.saveEvents(Array.from({ length: EVENTS }, (_, at) =>
    createEvent({
      ...{ eventType: "OrderPlaced", actorId: "order-1", data: null },
      version: at + 1,
    })));
}

permissionTest("making the stream", ["Make the stream"], async (connection) => {
  await using store = await JetStreamEventStore.open(connection, { namespace: NAMESPACE });
  assertEquals(await store.getLatestVersion("order-1"), 0);
});

permissionTest("subscriptions and long reads", ["Subscribe"], async (connection, admin) => {
  await using founder = await JetStreamEventStore.open(admin, { namespace: NAMESPACE });
  await filled(founder);
  await using store = await JetStreamEventStore.open(connection, { namespace: NAMESPACE });
  assertEquals((await store.getEvents("order-1")).length, EVENTS);
  let events = 0;
  for await (const _event of store.subscribe()) if (++events === EVENTS) break;
});

permissionTest(
  "consumers for versions",
  ["Look versions up by consumers"],
  async (connection, admin) => {
    await using founder = await JetStreamEventStore.open(admin, { namespace: NAMESPACE });
    await filled(founder);
    await using store = await JetStreamEventStore.open(connection, {
      namespace: NAMESPACE,
      versionLookup: "deliver-last",
    });
    assertEquals(await store.getLatestVersion("order-1", { fresh: true }), EVENTS);
  },
);

permissionTest("snapshots", ["Keep snapshots"], async (connection, admin) => {
  await using _founder = await JetStreamSnapshotStore.open(admin, { namespace: NAMESPACE });
  await using snapshots = await JetStreamSnapshotStore.open(connection, { namespace: NAMESPACE });
  const snapshot = {
    actorId: "order-1",
    name: "order",
    version: 3,
    schemaVersion: 1,
    state: { total: 1 },
  };
  await snapshots.saveSnapshot({ ...snapshot, timestamp: new Date() });
  assertEquals((await snapshots.getLatestSnapshot("order-1", snapshot))?.version, 3);
});

permissionTest(
  "projections with checkpoints and leases",
  ["Subscribe", "Keep checkpoints", "Share projections"],
  async (connection, admin) => {
    const namespace = NAMESPACE;
    await using founder = await JetStreamEventStore.open(admin, { namespace });
    await filled(founder);
    await using _checkpoints = await KvCheckpointStore.open(admin, { namespace });
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
    await using leases = await ProjectionLeases.open(connection, { namespace });
    let events = 0;
    await using projection = new Projection({
      ...{ name: "orders", store, checkpoints, leases },
      handler: () => void events++,
    });
    const ends = new AbortController();
    const running = projection.run(ends);
    await projection.caughtUp;
    ends.abort();
    await running;
    assertEquals(events, EVENTS);
  },
);

/** Opens the store of sealed names, and its keys, over a connection. */
async function sealing(connection: Connection, stack: AsyncDisposableStack) {
  const namespace = NAMESPACE;
  const keys = stack.use(await KvKeyStore.open(connection, { namespace }));
  const codec = sealedCodec({ keys, fields: FIELDS });
  const store = stack.use(await JetStreamEventStore.open(connection, { namespace, codec }));
  return { keys, store };
}

permissionTest(
  "sealing fields, and forgetting",
  ["Read and write sealed fields"],
  async (connection, admin) => {
    await using stack = new AsyncDisposableStack();
    await sealing(admin, stack);
    const { keys, store } = await sealing(connection, stack);
    await store.saveEvent(registered("1"));
    assertEquals(await keys.forget("1"), true);
    assertEquals(await keys.get("1"), FORGOTTEN);
  },
);

permissionTest(
  "reading sealed fields",
  ["Read sealed fields only"],
  async (connection, admin) => {
    await using stack = new AsyncDisposableStack();
    const founder = await sealing(admin, stack);
    const event = registered("1");
    await founder.store.saveEvent(event);
    const { store } = await sealing(connection, stack);
    assertEquals(await store.getEvents("customer-1"), [event]);
  },
);

natsTest("who may only read keys drops none, and who may do neither opens none", async (scene) => {
  const inboxPrefix = "_INBOX_shop";
  await using stack = new AsyncDisposableStack();
  const admin = await scene.connect({ user: "admin", pass: "admin", inboxPrefix });
  const { keys: founder } = await sealing(admin, stack);
  const key = await founder.getOrCreate("1");
  const connection = await scene.connect({ user: "shop", pass: "shop", inboxPrefix });
  const options = { namespace: NAMESPACE, timeout: 1_000 };
  const keys = stack.use(await KvKeyStore.open(connection, options));
  await assertRejects(() => keys.forget("1"), Error, "permi");
  await assertRejects(() => keys.getOrCreate("2"), Error, "permi");
  assertEquals(await founder.get("1"), key);
  const plain = await scene.connect({ user: "plain", pass: "plain", inboxPrefix });
  await assertRejects(() => KvKeyStore.open(plain, options), Error, "permi");
}, {
  server: { config: permitting("Read sealed fields only").replace("users: [", `users: [${PLAIN}`) },
});

permissionTest("a cluster", ["Join the cluster", "Subscribe"], async (connection, admin) => {
  const options = { ...QUICK, namespace: NAMESPACE };
  const founder = await Cluster.join(admin, { ...options, nodeId: "founder", capacity: 0 });
  const node = await Cluster.join(connection, { ...options, nodeId: "node" });
  count(node);
  assertEquals(await node.send("counter-1", {}), 1);
  assertEquals(await founder.send("counter-1", {}), 2);
  await node.leave();
  await founder.leave();
});

Deno.test("each need on the page has a test here", async () => {
  const here = await Deno.readTextFile(new URL(import.meta.url));
  for (const need of NEEDS.keys()) assert(here.includes(`"${need}"`), need);
});

permissionTest(
  "the inspector, and let it write nothing",
  [],
  async (connection, admin) => {
    await using founder = await JetStreamEventStore.open(admin, { namespace: NAMESPACE });
    await using checkpoints = await KvCheckpointStore.open(admin, { namespace: NAMESPACE });
    await filled(founder);
    await using projection = new Projection({
      ...{ name: "orders", store: founder, checkpoints, handler: () => {} },
    });
    const running = projection.run();
    await projection.caughtUp;
    await using cluster = await Cluster.join(admin, {
      namespace: NAMESPACE,
      ...QUICK,
      shards: 256,
    });
    await using store = await JetStreamEventStore.open(connection, { namespace: NAMESPACE });
    const desk = new Desk({ store });
    const [last] =
      (await desk.view("actor", { actorId: "order-1", direction: "backwards" })).events;
    assertEquals(last.version, EVENTS);
    assertEquals((await desk.view("projections")).projections.length, 1);
    assertEquals((await desk.view("cluster")).members[0].nodeId, cluster.nodeId);
    for (const name of ["store", "actors", "processes"]) await desk.view(name);
    await using causation = await desk.live("causation", { eventId: last.id });
    assertEquals((await causation.find("causation")).nodes.length, 1);
    await using verify = await desk.live("verify");
    assertEquals((await verify.find("report")).events, EVENTS);
    await using tail = await desk.live("tail");
    await tail.find("ready");
    while (store.metrics.eventsDelivered === 0) {
      const version = await founder.getLatestVersion("order-1", { fresh: true }) + 1;
      const placed = { eventType: "OrderPlaced", actorId: "order-1", data: null };
      await founder.saveEvent(createEvent({ ...placed, version }));
    }
    await projection[Symbol.asyncDispose]();
    await running;
  },
  permittingOnly("Look with the inspector"),
);
