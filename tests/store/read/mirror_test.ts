import { assert, assertEquals, assertRejects } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import { FencedEventStore } from "../../../cluster/mod.ts";
import { Bucket } from "../../../store/kv/bucket.ts";
import { isAetherError, JetStreamEventStore, JetStreamSnapshotStore } from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";

const ACTORS = ["order-1", "stock-1"];
const EVENTS = 20;
/** Fresh processes that read: each answer is the mirror's in about half of all cases. */
const READERS = 25;

/** The parts of its stream that each kind of mirror has. */
const PARTS: Record<string, (namespace: string) => Record<string, unknown>> = {
  "of one category": (namespace) => ({ filter_subject: `aether.${namespace}.event.*.order.*` }),
  "of one category and the genesis": (namespace) => ({
    subject_transforms: ["genesis", "event.*.order.*"].map((rest) => ({
      src: `aether.${namespace}.${rest}`,
      dest: "",
    })),
  }),
  "of the last messages": () => ({}),
  "of all": () => ({}),
};

/** Makes a mirror of `stream`, and resolves when it answers in the stream's place. */
async function mirror(
  connection: NatsConnection,
  stream: string,
  part: Record<string, unknown>,
  settings: Record<string, unknown> = {},
): Promise<void> {
  const name = `COPY_${stream}`;
  await api(connection, `STREAM.CREATE.${name}`, {
    name,
    storage: "memory",
    mirror: { name: stream, ...part },
    ...settings,
  });
  await answersBy(connection, stream, (names) => names.has(name) || names.has(""));
}

/** Asks `stream` directly until `enough` is true of the names of those that answered. */
async function answersBy(
  connection: NatsConnection,
  stream: string,
  enough: (names: ReadonlySet<string>) => boolean,
): Promise<void> {
  const names = new Set<string>();
  for (const deadline = performance.now() + 20_000; !enough(names);) {
    if (performance.now() > deadline) throw new Error("The mirror never answers");
    const subject = `$JS.API.DIRECT.GET.${stream}`;
    const answer = await connection.request(subject, JSON.stringify({ seq: 1 }));
    names.add(answer.headers?.get("Nats-Stream") ?? "");
  }
}

function open(scene: Scene, connection: NatsConnection, options = {}) {
  const { namespace } = scene;
  return JetStreamEventStore.open(connection, { namespace, timeout: 5_000, ...options });
}

for (const [what, part] of Object.entries(PARTS)) {
  natsTest(`A mirror ${what} makes no read short, stale or empty`, async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await open(scene, connection);
    for (let version = 1; version <= EVENTS; version++) {
      for (const actorId of ACTORS) await store.saveEvent(fact(actorId, version));
    }
    const settings = what === "of the last messages" ? { max_msgs: 15 } : {};
    await mirror(connection, store.stream, part(namespace), settings);
    for (let reader = 0; reader < READERS; reader++) {
      await using fresh = await open(scene, connection);
      for (const actorId of ACTORS) {
        const events = await fresh.getEvents(actorId);
        assertEquals(events.map(({ version }) => version), upTo(EVENTS));
        await using cold = await open(scene, connection);
        assertEquals(await cold.getLatestVersion(actorId, { fresh: true }), EVENTS);
        const last = cold.readEvents(actorId, { direction: "backwards", limit: 3 });
        assertEquals((await Array.fromAsync(last)).map(({ version }) => version), [20, 19, 18]);
        assertEquals((await cold.getEventsWithErrors(actorId)).events.length, EVENTS);
      }
      await using several = await open(scene, connection);
      const versions = await several.getLatestVersions([...ACTORS, "nobody"], { fresh: true });
      assertEquals([...versions.values()], [EVENTS, EVENTS, 0]);
      await using beside = await open(scene, connection);
      const histories = await beside.getEventsOf([...ACTORS, "nobody"]);
      assertEquals([...histories.values()].map(({ length }) => length), [EVENTS, EVENTS, 0]);
      await using other = await open(scene, connection);
      assertEquals((await Array.fromAsync(other.readAll())).length, 2 * EVENTS + reader);
      const filter = { category: "stock" };
      assertEquals((await Array.fromAsync(other.readAll({ filter }))).length, EVENTS);
      const expect = [{ actorId: "stock-1", version: EVENTS }];
      await other.saveEvents([fact(`bill-${reader}`, 1)], { expect });
    }
    let count = 0;
    for await (const _event of store.subscribe()) if (++count === 2 * EVENTS + READERS) break;
  });
}

natsTest("A mirror makes no shard look as if nobody owned it", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using one = await FencedEventStore.open(connection, { namespace, nodeId: "one" });
  for (const shard of [1, 2]) await one.claim(shard, 1);
  await mirror(connection, one.stream, { filter_subject: `aether.${namespace}.fence.2` });
  for (let reader = 0; reader < READERS; reader++) {
    await using other = await FencedEventStore.open(connection, { namespace, nodeId: "two" });
    assertEquals([...(await other.fences()).keys()].sort(), [1, 2]);
    const error = await assertRejects(() => other.claim(1, 1));
    assert(isAetherError(error, "FencedError"), String(error));
  }
});

natsTest("A mirror of a bucket or of snapshots answers no read of theirs", async (scene) => {
  const connection = await scene.connect();
  const bucket = await Bucket.open(connection, { bucket: scene.namespace });
  const { namespace } = scene;
  await using snapshots = await JetStreamSnapshotStore.open(connection, { namespace });
  const value = new TextEncoder().encode("1");
  for (const key of ["a", "b"]) await bucket.put(key, value, { revision: 0 });
  const snapshot = {
    actorId: "order-1",
    name: "state",
    schemaVersion: 1,
    state: {},
    timestamp: new Date(),
  };
  for (const version of [1, 2]) await snapshots.saveSnapshot({ ...snapshot, version });
  await mirror(connection, `KV_${bucket.name}`, { filter_subject: `$KV.${bucket.name}.a` });
  await snapshots.saveSnapshot({ ...snapshot, actorId: "bill-1", version: 1 });
  const bill = { filter_subject: `aether-snapshot.${namespace}.state.1.bill-1` };
  await mirror(connection, snapshots.stream, bill);
  for (let reader = 0; reader < READERS; reader++) {
    const fresh = await Bucket.open(connection, { bucket: scene.namespace });
    assertEquals((await fresh.list()).map(({ key }) => key).sort(), ["a", "b"]);
    assertEquals((await fresh.list("b")).length, 1);
    assertEquals((await fresh.get("b")).revision, 2);
    await fresh.close();
    assertEquals((await snapshots.getLatestSnapshot("order-1", snapshot))?.version, 2);
  }
  await bucket.close();
});

clusterTest("A mirror that answers all reads of replicas is named by the error", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using store = await open(scene, connection, { replicas: 3, timeout: 1_000 });
  await store.saveEvent(fact("order-1", 1));
  await using answered = await open(scene, renamed(connection, store.stream), { timeout: 1_000 });
  const error = await assertRejects(() => answered.getEvents("order-1"));
  assert(isAetherError(error, "StoreUnavailableError"), String(error));
  assert(/stream "COPY_.*" has answered.*mirror_direct/.test(error.message), error.message);
  assertEquals((await store.getEvents("order-1")).length, 1);
  assertEquals(answered.namespace, namespace);
});

natsTest("Alone, a mirror that answers all direct reads only makes them slower", async (scene) => {
  const connection = await scene.connect();
  await using store = await open(scene, connection);
  for (let version = 1; version <= EVENTS; version++) {
    await store.saveEvent(fact("order-1", version));
  }
  await using answered = await open(scene, renamed(connection, store.stream));
  assertEquals((await answered.getEvents("order-1")).length, EVENTS);
  assertEquals(await answered.getLatestVersion("order-1", { fresh: true }), EVENTS);
  assertEquals((await Array.fromAsync(answered.readAll())).length, EVENTS);
});

natsTest(
  "Control: a mirror of a part does give short answers in the stream's place",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await open(scene, connection);
    for (const actorId of ACTORS) await store.saveEvent(fact(actorId, 1));
    await mirror(connection, store.stream, PARTS["of one category"]!(namespace));
    // A request for the stream's first message shows both: the stream's own name, and none.
    await answersBy(connection, store.stream, (names) => names.size === 2);
  },
);

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

/** `connection` to servers whose direct answers are all those of a whole mirror of `stream`. */
function renamed(connection: NatsConnection, stream: string): NatsConnection {
  const rename = (message: unknown): unknown => {
    const { _rdata: bytes } = message as { _rdata?: Uint8Array };
    if (bytes === undefined) return message;
    const mark = new TextEncoder().encode(`Nats-Stream: ${stream}`);
    const at = bytes.findIndex((_, from) => mark.every((byte, it) => bytes[from + it] === byte));
    if (at >= 0) bytes.set(new TextEncoder().encode("COPY_"), at + "Nats-Stream: ".length);
    return message;
  };
  return new Proxy(connection, {
    get(target, name): unknown {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name !== "subscribe") return value.bind(target);
      return (subject: string, options: { callback?: (error: unknown, m: unknown) => void }) =>
        target.subscribe(subject, {
          ...options,
          ...options.callback && {
            callback: (error: unknown, m: unknown) => options.callback!(error, rename(m)),
          },
        } as never);
    },
  });
}
