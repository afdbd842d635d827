import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  createEvent,
  type Evolution,
  FORGOTTEN,
  type Forgotten,
  InMemoryCheckpointStore,
  InMemorySnapshotStore,
  isAetherError,
  JetStreamEventStore,
  JetStreamSnapshotStore,
  jsonCodec,
  type KeyStore,
  KvKeyStore,
  Projection,
  rehydrate,
  richJsonCodec,
  sealedCodec,
  type SnapshotStore,
} from "../../../store/mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { FIELDS, MovedKeys, type Registered, registered, type ShopEvent } from "./shop.ts";

natsTest("KvKeyStore gives one key to all, until it is forgotten for ever", async (scene) => {
  const { namespace } = scene;
  const open = async () =>
    await KvKeyStore.open(await scene.connect(), { namespace, timeout: 2_000 });
  await using one = await open();
  await using two = await open();
  await using three = await open();
  assertEquals(await one.get("a"), undefined);
  const made = await Promise.all([one, two, one, two].map((keys) => keys.getOrCreate("a")));
  for (const key of made) assertEquals(key, made[0]);
  assertEquals(await two.get("a"), made[0]);
  assertEquals(await two.get("b"), undefined);

  const forgets = await Promise.all([one, two].map((keys) => keys.forget("a")));
  assertEquals(forgets.filter((dropped) => dropped).length, 1);
  for (const keys of [one, two, three]) {
    assertEquals(await keys.get("a"), FORGOTTEN);
    assertEquals(await keys.getOrCreate("a"), FORGOTTEN);
  }
  assertEquals(await one.forget("never used"), false);
  assertEquals(await two.getOrCreate("never used"), FORGOTTEN);
  await assertRejects(() => one.get(""), RangeError);
});

natsTest("a key that was purged by hand counts as forgotten", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using keys = await KvKeyStore.open(connection, { namespace });
  await keys.getOrCreate("a");
  const { Kvm } = await import("@nats-io/kv");
  const bucket = await new Kvm(connection as never).open(keys.bucket);
  await bucket.purge("key.a");
  assertEquals(await keys.get("a"), FORGOTTEN);
  assertEquals(await keys.getOrCreate("a"), FORGOTTEN);
});

natsTest(
  "KvKeyStore that cannot be reached is StoreUnavailableError, never forgotten",
  async (scene) => {
    const proxy = scene.proxy();
    const connection = await scene.connect({ servers: proxy.url });
    await using keys = await KvKeyStore.open(connection, {
      namespace: scene.namespace,
      timeout: 500,
    });
    const codec = sealedCodec<ShopEvent>({ keys, fields: FIELDS, cacheMaxAge: 0 });
    await using store = await JetStreamEventStore.open(await scene.connect(), {
      namespace: scene.namespace,
      codec,
    });
    await store.saveEvent(registered("a"));
    proxy.pause();
    for (
      const call of [() => store.saveEvent(registered("a", 2)), () => store.getEvents("customer-a")]
    ) {
      const error = await assertRejects(call);
      assert(isAetherError(error, "StoreUnavailableError"), String(error));
    }
    proxy.resume();
    assertEquals(await store.getLatestVersion("customer-a"), 1);
  },
);

natsTest(
  "a projection waits for the key store, and then handles each event once",
  async (scene) => {
    const { namespace } = scene;
    const keys = new MovedKeys();
    const options = { keys, fields: FIELDS, cacheMaxAge: 0 };
    await using writer = await JetStreamEventStore.open(await scene.connect(), {
      namespace,
      codec: sealedCodec<ShopEvent>(options),
    });
    await writer.saveEvents([registered("a"), registered("b", 1, "Bob")]);
    const seen: unknown[] = [];
    const waited = Promise.withResolvers<void>();
    const last = Promise.withResolvers<void>();
    let outages = 0;
    await using projection = new Projection<undefined, Registered>({
      ...{ name: "names", store: writer, checkpoints: new InMemoryCheckpointStore() },
      onPoison: "park",
      retry: { attempts: 1 },
      onError: (error) => {
        assert(isAetherError(error, "StoreUnavailableError"), String(error));
        outages++;
        waited.resolve();
      },
      handler: ({ data }) => {
        seen.push(data.name);
        if (data.name === "Eve") last.resolve();
      },
    });
    const running = projection.run();
    await projection.caughtUp;
    await writer.saveEvent(registered("c", 1, "Cid"));
    keys.fails = () => Promise.reject(new Error("no route"));
    const other = sealedCodec<ShopEvent>({ ...options, keys: withoutFailures(keys) });
    await using elsewhere = await JetStreamEventStore.open(await scene.connect(), {
      namespace,
      codec: other,
    });
    await elsewhere.saveEvent(registered("e", 1, "Eve"));
    await waited.promise;
    keys.fails = undefined;
    await Promise.race([last.promise, running]);
    assertEquals(seen, ["Ada", "Bob", "Cid", "Eve"]);
    assertEquals(await projection.parked(), []);
    assert(outages > 0);
    await projection[Symbol.asyncDispose]();
    await running;
  },
);

/** The same keys for a process that reaches them. */
function withoutFailures(keys: MovedKeys): KeyStore {
  return {
    get: (subject) => keys.inner.get(subject),
    getOrCreate: (subject) => keys.inner.getOrCreate(subject),
    forget: (subject) => keys.inner.forget(subject),
  };
}

natsTest("subscriptions and reads of a store on NATS tell what is forgotten", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using keys = await KvKeyStore.open(connection, { namespace });
  const codec = sealedCodec<ShopEvent>({ keys, fields: FIELDS });
  await using store = await JetStreamEventStore.open(connection, { namespace, codec });
  await store.saveEvents([registered("a"), registered("b", 1, "Bob")]);
  const report = await codec.forget("a");
  assertEquals(report.dropped, true);
  const names: unknown[] = [];
  for await (const { data } of store.subscribe<Registered>()) {
    names.push(data.name);
    if (names.length === 2) break;
  }
  assertEquals(names, [FORGOTTEN, "Bob"]);
});

natsTest(
  "without its codec, or by another one, a sealed event is CorruptEventError",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    const codec = sealedCodec<ShopEvent>({ keys: new MovedKeys(), fields: FIELDS });
    {
      await using store = await JetStreamEventStore.open(connection, { namespace, codec });
      await store.saveEvent(registered("a"));
    }
    for (const other of [{}, { codec: jsonCodec }, { codec: richJsonCodec(JSON) }]) {
      await using store = await JetStreamEventStore.open(connection, { namespace, ...other });
      const error = await assertRejects(() => store.getEvents("customer-a"));
      assert(isAetherError(error, "CorruptEventError"), String(error));
      assertMatch(error.message, /open the store with its codec/);
      // Data of users may have members of these names.
      const own = createEvent({
        ...{ actorId: `own-${crypto.randomUUID()}`, eventType: "Own", version: 1 },
        ...{ data: { sealed: [{ text: "" }], rich: { field: "data" } }, metadata: { sealed: "x" } },
      });
      await store.saveEvent(own);
      assertEquals((await store.getEvents(own.actorId))[0]?.data, own.data);
    }
  },
);

/** The state of a customer. */
const customer: Evolution<{ readonly name?: string | Forgotten }, Registered> = {
  initialState: () => ({}),
  evolve: (_, { data }) => ({ name: data.name }),
};

async function forgetsSnapshots(
  snapshots: (codec: ReturnType<typeof sealedCodec>) => Promise<SnapshotStore>,
  store: (codec: ReturnType<typeof sealedCodec>) => Promise<JetStreamEventStore>,
): Promise<void> {
  const codec = sealedCodec<ShopEvent>({ keys: new MovedKeys(), fields: FIELDS });
  const open = (await codec.forget("nobody")).duties.map(({ place }) => place);
  assert(open.includes("snapshots"), "plain snapshots are the user's duty");
  await using kept = await snapshots(codec);
  await using events = await store(codec);
  await events.saveEvents([registered("a"), registered("a", 2, "Ada L.")]);
  const query = { name: "customer", schemaVersion: 1 };
  const errors: unknown[] = [];
  const options = {
    snapshots: { ...query, store: kept, every: 1, onError: (error: unknown) => errors.push(error) },
  };
  const snapshot = {
    ...{ actorId: "customer-a", ...query, version: 2, timestamp: new Date() },
    lastEventId: (await events.getEvents("customer-a", 2))[0]!.id,
  };
  await kept.saveSnapshot({ ...snapshot, state: { name: "Ada L." } });
  assertEquals((await kept.getLatestSnapshot("customer-a", query))?.state, { name: "Ada L." });

  const { duties } = await codec.forget("a");
  assert(!duties.some(({ place }) => place === "snapshots"));
  assertEquals(await kept.getLatestSnapshot("customer-a", query), undefined);
  const { state } = await rehydrate(events, "customer-a", customer, options);
  assertEquals(state, { name: FORGOTTEN });
  // One that is taken afterwards holds nothing, and is no error.
  await kept.saveSnapshot({ ...snapshot, version: 3, state });
  assertEquals(await kept.getLatestSnapshot("customer-a", query), undefined);
  assertEquals(errors, []);
}

natsTest("forgetting drops the snapshots that are sealed for the subject", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  const subjects = ({ actorId }: { actorId: string }) => [actorId.replace("customer-", "")];
  let opened = 0;
  for (
    const snapshots of [
      (codec: ReturnType<typeof sealedCodec>) =>
        Promise.resolve(new InMemorySnapshotStore({ codec: codec.snapshots(subjects) })),
      (codec: ReturnType<typeof sealedCodec>) =>
        JetStreamSnapshotStore.open(connection, { namespace, codec: codec.snapshots(subjects) }),
    ]
  ) {
    await forgetsSnapshots(
      snapshots,
      (codec) =>
        JetStreamEventStore.open(connection, { namespace: `${namespace}-${++opened}`, codec }),
    );
  }
});

natsTest(
  "a sealed snapshot is none without its codec, and an open one is none with it",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    const codec = sealedCodec<ShopEvent>({ keys: new MovedKeys(), fields: FIELDS });
    const query = { name: "customer", schemaVersion: 1 };
    const snapshot = { ...query, version: 1, timestamp: new Date(), state: { name: "Ada" } };
    for (const [actorId, subjects] of [["customer-a", ["a"]], ["customer-b", []]] as const) {
      await using sealing = await JetStreamSnapshotStore.open(connection, {
        namespace,
        codec: codec.snapshots(() => subjects),
      });
      await using plain = await JetStreamSnapshotStore.open(connection, { namespace });
      await sealing.saveSnapshot({ ...snapshot, actorId });
      assertEquals((await sealing.getLatestSnapshot(actorId, query))?.state, { name: "Ada" });
      assertEquals(await plain.getLatestSnapshot(actorId, query), undefined);
      await plain.saveSnapshot({ ...snapshot, actorId, version: 2 });
      assertEquals((await plain.getLatestSnapshot(actorId, query))?.version, 2);
      assertEquals((await sealing.getLatestSnapshot(actorId, query))?.version, 1);
    }
  },
);
