import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { StreamInfo } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import {
  InMemorySnapshotStore,
  isAetherError,
  JetStreamEventStore,
  JetStreamSnapshotStore,
  type JetStreamSnapshotStoreOptions,
  type Snapshot,
  type StreamConfigError,
} from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";
import { oldServerTest } from "../../support/old_server.ts";
import { type Config, create, snapshot as frozen } from "../jetstream/open_streams.ts";

function configFor(namespace: string): Config {
  return {
    name: `AETHER-SNAPSHOT_${namespace}`,
    subjects: [`aether-snapshot.${namespace}.*.*.*`],
    retention: "limits",
    storage: "file",
    discard: "old",
    max_msgs_per_subject: 2,
    allow_direct: true,
  };
}

async function refusal(
  connection: NatsConnection,
  options: JetStreamSnapshotStoreOptions,
): Promise<StreamConfigError> {
  const error = await assertRejects(() => JetStreamSnapshotStore.open(connection, options));
  assert(isAetherError(error, "StreamConfigError"), String(error));
  return error;
}

const TAKEN: Snapshot = {
  actorId: "order-1",
  version: 1,
  name: "order",
  schemaVersion: 1,
  state: "state",
  timestamp: new Date(0),
};

natsTest(
  "The stream of snapshots does not change, beside that of the events",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using events = await JetStreamEventStore.open(connection, { namespace });
    await using store = await JetStreamSnapshotStore.open(connection, { namespace });
    assertEquals([store.namespace, store.stream], [namespace, `AETHER-SNAPSHOT_${namespace}`]);
    await events.saveEvent(fact("order-1", 1));
    await store.saveSnapshot(TAKEN);
    await store.saveSnapshot({ ...TAKEN, actorId: "a.b", name: "c.d", schemaVersion: 7 });
    assertEquals((await events.getEvents("order-1")).length, 1);
    const { config } = await api<StreamInfo>(connection, `STREAM.INFO.${store.stream}`, {});
    const found = config as unknown as Config;
    for (const [name, value] of Object.entries(configFor(namespace))) {
      assertEquals(found[name], value, name);
    }
    for (const subject of [`${namespace}.order.1.order-1`, `${namespace}.c=2Ed.7.a=2Eb`]) {
      const { message } = await api<{ message: { data: string } }>(
        connection,
        `STREAM.MSG.GET.${store.stream}`,
        { last_by_subj: `aether-snapshot.${subject}` },
      );
      assertEquals(JSON.parse(atob(message.data)).state, "state", subject);
    }
  },
);

natsTest(
  "An existing stream is used unchanged, or refused with all its problems",
  async (scene) => {
    const connection = await scene.connect();
    const wrong: Record<string, readonly [Config, RegExp]> = {
      memory: [{ storage: "memory" }, /storage is "memory" and must be "file"/],
      new: [{ discard: "new" }, /discard is "new" and must be "old"/],
      age: [{ max_age: 1e12 }, /max_age is 1000000000000 and must be 0/],
      total: [{ max_msgs: 1_000 }, /max_msgs is 1000 and must be -1/],
      direct: [{ allow_direct: false }, /allow_direct is false and must be true/],
      ack: [{ no_ack: true }, /no_ack is set, so saves are not acknowledged/],
      interest: [{ retention: "interest" }, /retention is "interest"/],
      endless: [
        { max_msgs_per_subject: -1 },
        /max_msgs_per_subject is -1 and must be from 1 to 64/,
      ],
      more: [{ max_msgs_per_subject: 65 }, /max_msgs_per_subject is 65 and must be from 1 to 64/],
      subjects: [{ subjects: ["foreign.>"] }, /its subjects are "foreign.>"/],
    };
    for (const [what, [change, problem]] of Object.entries(wrong)) {
      const namespace = `${scene.namespace}-${what}`;
      await create(connection, { ...configFor(namespace), ...change });
      const before = await frozen(connection, `AETHER-SNAPSHOT_${namespace}`);
      const { problems } = await refusal(connection, { namespace });
      assertMatch(problems.join("; "), problem);
      assertEquals(await frozen(connection, `AETHER-SNAPSHOT_${namespace}`), before, what);
    }
  },
);

natsTest(
  "The number of snapshots kept for an actor is fixed when the stream is made",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using _first = await JetStreamSnapshotStore.open(connection, { namespace, keep: 3 });
    for (const options of [{}, { keep: 3 }, { replicas: 3 }]) {
      await using again = await JetStreamSnapshotStore.open(connection, { namespace, ...options });
      assertEquals(
        await again.getLatestSnapshot("order-1", { name: "order", schemaVersion: 1 }),
        undefined,
      );
    }
    const { problems } = await refusal(connection, { namespace, keep: 2 });
    assertEquals(problems, ["max_msgs_per_subject is 3 and must be 2, the value of keep"]);
  },
);

natsTest("Ten stores that open a new namespace at once all work", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  const stores = await Promise.all(
    Array.from({ length: 10 }, () => JetStreamSnapshotStore.open(connection, { namespace })),
  );
  const told = await Promise.all(stores.map((store) => store.saveSnapshot(TAKEN)));
  assertEquals(told.filter((isNewest) => isNewest).length, 1);
  for (const store of stores) await store[Symbol.asyncDispose]();
});

natsTest(
  "A size that the stream or the server limits is reported before sending",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    assertEquals(connection.info?.max_payload, 65_536);
    const state = (bytes: number) => ({ ...TAKEN, state: "x".repeat(bytes) });
    await create(connection, { ...configFor(`${namespace}-s`), max_msg_size: 10_000 });
    await using small = await JetStreamSnapshotStore.open(connection, {
      namespace: `${namespace}-s`,
    });
    await using store = await JetStreamSnapshotStore.open(connection, { namespace });
    for (const [each, limit] of [[small, 10_000 - 2048], [store, 65_536 - 2048]] as const) {
      const error = await assertRejects(() => each.saveSnapshot(state(limit)));
      assert(isAetherError(error, "InvalidSnapshotError"), String(error));
      assertMatch(error.reason, new RegExp(`takes \\d+ bytes, and ${limit} fit`));
      assertEquals(await each.saveSnapshot(state(limit - 200)), true);
      const memory = new InMemorySnapshotStore({ maxBytes: limit + 2048 });
      const same = await assertRejects(() => memory.saveSnapshot(state(limit)));
      assertEquals((same as Error).message, error.message);
    }
  },
  { server: { config: "max_payload: 65536" } },
);

const USER = "{ user: shop, password: p, permissions: " + JSON.stringify({
  publish: [
    "aether-snapshot.shop.*.*.*",
    "$JS.API.STREAM.INFO.AETHER-SNAPSHOT_shop",
    "$JS.API.STREAM.MSG.GET.AETHER-SNAPSHOT_shop",
  ],
  subscribe: ["_INBOX_shop.>"],
}) + " }";

natsTest("Four permissions are enough for a store, and for no other namespace's", async (scene) => {
  const connect = (user: string) =>
    scene.connect({ user, pass: "p", inboxPrefix: `_INBOX_${user}` });
  await using _founder = await JetStreamSnapshotStore.open(await connect("root"), {
    namespace: "shop",
  });
  const connection = await connect("shop");
  await using store = await JetStreamSnapshotStore.open(connection, { namespace: "shop" });
  assertEquals(await store.saveSnapshot(TAKEN), true);
  assertEquals(await store.saveSnapshot(TAKEN), false);
  assertEquals(
    await store.getLatestSnapshot("order-1", { name: "order", schemaVersion: 1 }),
    TAKEN,
  );
  const error = await assertRejects(() =>
    JetStreamSnapshotStore.open(connection, { namespace: "billing", timeout: 1_000 })
  );
  assert(isAetherError(error, "StoreRefusedError"), String(error));
}, { server: { config: `authorization { users: [ { user: root, password: p }, ${USER} ] }` } });

natsTest("open() refuses options out of their range, and a closed connection", async (scene) => {
  const connection = await scene.connect();
  const wrong: JetStreamSnapshotStoreOptions[] = [
    { namespace: "" },
    { namespace: "x".repeat(81) },
    { keep: 0 },
    { keep: 65 },
    { keep: 1.5 },
    { replicas: 0 },
    { replicas: 6 },
    { timeout: 0 },
  ];
  for (const options of wrong) {
    await assertRejects(() => JetStreamSnapshotStore.open(connection, options), RangeError);
  }
  await connection.close();
  const error = await assertRejects(() => JetStreamSnapshotStore.open(connection));
  assert(isAetherError(error, "StoreUnavailableError"), String(error));
});

oldServerTest(
  "A snapshot store refuses nats-server 2.10 before it writes anything",
  async (scene) => {
    const connection = await scene.connect();
    const error = await assertRejects(() => JetStreamSnapshotStore.open(connection));
    assert(isAetherError(error, "UnsupportedServerError"), String(error));
  },
);
