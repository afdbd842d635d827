import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  type Codec,
  FORGOTTEN,
  type Forgotten,
  InMemorySnapshotStore,
  isAetherError,
  JetStreamSnapshotStore,
  jsonCodec,
  type Snapshot,
  type SnapshotStore,
  StoreUnavailableError,
} from "../../../store/mod.ts";
import { natsTest } from "../../support/fixture.ts";

/** Takes its time, carries what JSON cannot, keeps to its own form, and forgets by actor. */
class MapCodec implements Codec<Snapshot> {
  readonly lenient = true;
  readonly forgotten = new Set<string>();

  async encode(snapshot: Snapshot): Promise<Uint8Array> {
    if (!(snapshot.state instanceof Map)) throw new Error("a Map is needed");
    const text = JSON.stringify({ ...snapshot, state: [...snapshot.state] });
    await undefined;
    return new TextEncoder().encode(text).map((byte) => byte ^ 0x5a);
  }

  async decode(bytes: Uint8Array): Promise<Snapshot | Forgotten> {
    await undefined;
    const text = new TextDecoder().decode(bytes.map((byte) => byte ^ 0x5a));
    const snapshot = JSON.parse(text);
    if (this.forgotten.has(snapshot.actorId)) return FORGOTTEN;
    return {
      ...snapshot,
      timestamp: new Date(snapshot.timestamp),
      state: new Map(snapshot.state),
    };
  }
}

function taken(version: number, state: unknown, actorId = "order-1"): Snapshot {
  return { actorId, name: "order", version, schemaVersion: 1, state, timestamp: new Date(version) };
}

async function check(
  open: (codec: Codec<Snapshot>) => Promise<SnapshotStore>,
): Promise<void> {
  const codec = new MapCodec();
  await using store = await open(codec);
  const query = { name: "order", schemaVersion: 1 };
  const state = new Map([["a", 1]]);
  const saving = store.saveSnapshot(taken(2, state));
  state.set("b", 2);
  assertEquals(await saving, true);
  assertEquals(await store.saveSnapshot(taken(1, state)), false);
  await store.saveSnapshot(taken(1, state, "order-2"));
  const found = await store.getLatestSnapshot<Map<string, number>>("order-1", query);
  assertEquals([...found!.state], [["a", 1]]);
  assertEquals([found!.version, found!.timestamp.getTime()], [2, 2]);

  const failure = await assertRejects(() => store.saveSnapshot(taken(3, "no Map")));
  assert(isAetherError(failure, "InvalidSnapshotError"), String(failure));
  assertMatch(failure.reason, /^the codec failed: a Map is needed$/);
  const large = await assertRejects(() =>
    store.saveSnapshot(taken(3, new Map([["a", "x".repeat(1024 * 1024)]])))
  );
  assert(isAetherError(large, "InvalidSnapshotError"), String(large));
  assertMatch(large.reason, /takes \d+ bytes, and 1046528 fit/);
  assertEquals((await store.getLatestSnapshot("order-1", query))?.version, 2);

  codec.forgotten.add("order-1");
  assertEquals(await store.getLatestSnapshot("order-1", query), undefined);
  assertEquals((await store.getLatestSnapshot("order-2", query))?.version, 1);
  // One that cannot be read is in nobody's way.
  assertEquals(await store.saveSnapshot(taken(2, state)), true);
  assertEquals(await store.saveSnapshot(taken(1, state)), true);
}

Deno.test("A codec carries and forgets states in memory", async () => {
  await check((codec) => Promise.resolve(new InMemorySnapshotStore({ codec })));
});

natsTest("A codec carries and forgets states on JetStream", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await check((codec) => JetStreamSnapshotStore.open(connection, { namespace, codec }));
  // A snapshot that a codec wrote is as good as lost for a store without it.
  await using plain = await JetStreamSnapshotStore.open(connection, { namespace });
  assertEquals(
    await plain.getLatestSnapshot("order-1", { name: "order", schemaVersion: 1 }),
    undefined,
  );
  assertEquals(await plain.saveSnapshot(taken(1, "plain")), true);
});

/** Takes its time, and uses all that it is given for something else then. */
const greedy: Codec<Snapshot> = {
  lenient: true,
  async encode(snapshot) {
    await undefined;
    const bytes = jsonCodec.encode(snapshot);
    (snapshot.state as number[]).length = 0;
    return bytes;
  },
  decode(bytes) {
    const snapshot = jsonCodec.decode<Snapshot>(bytes);
    bytes.fill(0);
    return snapshot;
  },
};

async function checkOwn(store: SnapshotStore): Promise<void> {
  const state = [1];
  const saving = store.saveSnapshot(taken(1, state));
  state.push(2);
  assertEquals(await saving, true);
  assertEquals(state, [1, 2]);
  for (const _ of "twice") {
    const query = { name: "order", schemaVersion: 1 };
    assertEquals((await store.getLatestSnapshot("order-1", query))?.state, [1]);
  }
  const failure = await assertRejects(() => store.saveSnapshot(taken(2, undefined)));
  assert(isAetherError(failure, "InvalidSnapshotError"), String(failure));
  assertEquals(failure.reason, "state is undefined");
}

Deno.test("A codec has states and bytes to itself, in memory", async () => {
  await using store = new InMemorySnapshotStore({ codec: greedy });
  await checkOwn(store);
});

natsTest("A codec has states and bytes to itself, on JetStream", async (scene) => {
  const { namespace } = scene;
  const options = { namespace, codec: greedy };
  await using store = await JetStreamSnapshotStore.open(await scene.connect(), options);
  await checkOwn(store);
});

/** Keys are somewhere else, which cannot be reached at times. */
class AwayCodec extends MapCodec {
  isAway = false;

  override decode(bytes: Uint8Array): Promise<Snapshot | Forgotten> {
    if (this.isAway) return Promise.reject(new StoreUnavailableError("Cannot get the key"));
    return super.decode(bytes);
  }
}

async function checkWaits(
  open: (codec: Codec<Snapshot>) => Promise<SnapshotStore>,
): Promise<void> {
  const codec = new AwayCodec();
  await using store = await open(codec);
  const query = { name: "order", schemaVersion: 1 };
  const newest = taken(2, new Map([["a", 2]]));
  assert(await store.saveSnapshot(newest));

  codec.isAway = true;
  await using other = await open(codec); // knows no version that it could compare with
  const read = await assertRejects(() => other.getLatestSnapshot("order-1", query));
  assert(isAetherError(read, "StoreUnavailableError"), String(read));
  assertMatch(read.message, /read the snapshot of "order-1": the codec has to wait: Cannot get/);
  await other.saveSnapshot(taken(1, new Map())).catch((error) =>
    assert(isAetherError(error, "StoreUnavailableError"), String(error))
  );

  codec.isAway = false;
  assertEquals(await store.getLatestSnapshot("order-1", query), newest);
}

Deno.test("A snapshot is not lost while its codec has to wait, in memory", async () => {
  // The second store is the first one, as memory is not shared.
  const stores: InMemorySnapshotStore[] = [];
  await checkWaits((codec) => {
    stores[0] ??= new InMemorySnapshotStore({ codec });
    return Promise.resolve(stores[0]);
  });
});

natsTest("A snapshot is not lost while its codec has to wait, on JetStream", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await checkWaits((codec) => JetStreamSnapshotStore.open(connection, { namespace, codec }));
});
