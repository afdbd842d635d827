import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import {
  EventTooLargeError,
  execute,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  InMemorySnapshotStore,
  isAetherError,
  JetStreamEventStore,
  JetStreamSnapshotStore,
  KvCheckpointStore,
  Projection,
  StreamConfigError,
} from "../../store/mod.ts";
import { FencedEventStore } from "../../cluster/mod.ts";
import { add, counter } from "../support/counter.ts";
import { fact } from "../support/fault.ts";
import { natsTest } from "../support/fixture.ts";
import { api } from "../support/jetstream_api.ts";

const range = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);

/** Changes the stream of a store that is open. */
async function update(
  connection: NatsConnection,
  stream: string,
  change: Record<string, unknown>,
): Promise<void> {
  const { config } = await api<{ config: object }>(connection, `STREAM.INFO.${stream}`);
  await api(connection, `STREAM.UPDATE.${stream}`, { ...config, ...change });
}

/** Does `work`; passes if it is refused for good, within two seconds of ten, with what to do. */
async function refused(
  work: () => Promise<unknown>,
  code: number | undefined,
  advice: RegExp,
): Promise<void> {
  const start = performance.now();
  const error = await assertRejects(work);
  assert(isAetherError(error, "StoreRefusedError"), String(error));
  assertEquals(error.serverCode, code);
  assertMatch(error.advice, advice);
  assert(error.message.includes(error.advice));
  assert(!/(takes|fit|is) -?0? bytes|-\d+ (bytes|fit)/.test(error.message), error.message);
  const ms = performance.now() - start;
  assert(ms < 2_000, `It took ${ms} ms`);
}

const FEW = { server: { jetstreamConfig: "limits { batch { max_msgs: 10 } }" } };

natsTest(
  "groups that are larger than the server's batches are stored all the same",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { namespace });
    const large = "x".repeat(20_000);
    await Promise.all(range(50).map((at) => store.saveEvent(fact("s-1", at, large))));
    assertEquals(await store.getLatestVersion("s-1"), 50);
    await Promise.all(range(150).map(() => execute(store, "c-1", counter, add("x".repeat(2_000)))));
    assertEquals(await store.getLatestVersion("c-1"), 150);
  },
  FEW,
);

natsTest("a fenced group that is larger than the server's batches is divided", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using store = await FencedEventStore.open(connection, {
    namespace,
    shards: 1,
    nodeId: "a",
    incarnation: "1",
  });
  await store.claim(0, 1);
  await Promise.all(range(100).map((at) => store.saveEvent(fact(`s-${at}`, 1))));
  for (const at of range(100)) assertEquals(await store.getLatestVersion(`s-${at}`), 1);
  const batch = range(30).map((at) => fact(`b-${at}`, 1));
  const error = await assertRejects(() => store.saveEvents(batch), RangeError);
  assertMatch(error.message, /10 messages in one batch; raise max_msgs/);
}, FEW);

natsTest(
  "a caller's own batch over the server's limit is a RangeError that names it",
  async (scene) => {
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
    await store.saveEvents(range(10).map((at) => fact(`a-${at}`, 1)));
    for (const count of [11, 100]) {
      const batch = range(count).map((at) => fact(`b-${at}`, 1));
      const error = await assertRejects(() => store.saveEvents(batch), RangeError);
      assertMatch(error.message, /10 messages in one batch; raise max_msgs/);
    }
    assertEquals(await store.getLatestVersion("b-1", { fresh: true }), 0);
  },
  FEW,
);

natsTest("open() refuses a stream whose messages leave no room for an event", async (scene) => {
  const connection = await scene.connect();
  for (const size of [1, 1_000, 2_048, 2_100]) {
    const namespace = `${scene.namespace}-${size}`;
    for (const Store of [JetStreamEventStore, JetStreamSnapshotStore]) {
      const { stream } = await Store.open(connection, { namespace }).then(async (store) => {
        await store[Symbol.asyncDispose]();
        return store;
      });
      await update(connection, stream, { max_msg_size: size });
      const error = await assertRejects(() => Store.open(connection, { namespace }));
      assert(error instanceof StreamConfigError, String(error));
      assertMatch(error.message, new RegExp(`max_msg_size is ${size} bytes and must be at least`));
    }
  }
});

natsTest("open() refuses a server whose payloads leave no room for an event", async (scene) => {
  const connection = await scene.connect();
  for (const Store of [JetStreamEventStore, JetStreamSnapshotStore]) {
    const error = await assertRejects(() => Store.open(connection), StreamConfigError);
    assertMatch(error.message, /max_payload of the server is 2100 bytes and must be at least 2304/);
  }
}, { server: { config: "max_payload: 2100" } });

Deno.test("stores in memory refuse a size that leaves no room for an event", () => {
  for (const maxBytes of [-1, 0, 1, 2_048, 2_303, NaN]) {
    for (const Store of [InMemoryEventStore, InMemorySnapshotStore]) {
      let error: unknown;
      try {
        new Store({ maxBytes });
      } catch (thrown) {
        error = thrown;
      }
      assert(error instanceof RangeError, `${Store.name} of ${maxBytes} bytes`);
    }
  }
});

natsTest(
  "a limit that was lowered under an open store is reported with the new number",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await store.saveEvent(fact("a-1", 1));
    await update(connection, store.stream, { max_msg_size: 4_096 });
    const error = await assertRejects(() => store.saveEvent(fact("a-1", 2, "x".repeat(9_000))));
    assert(error instanceof EventTooLargeError, String(error));
    assertEquals(error.limit, 4_096 - 2_048);
    // Saves of one actor that go together are divided, now that the limit is known.
    await Promise.all(range(40).map((at) => store.saveEvent(fact("b-1", at, "x".repeat(1_000)))));
    assertEquals(await store.getLatestVersion("b-1"), 40);
  },
);

natsTest("a stream that is full or sealed refuses saves for good", async (scene) => {
  const connection = await scene.connect();
  for (
    const [name, change, code, advice] of [
      ["full", { max_bytes: 1_000 }, 10077, /raise the limits of the stream/],
      ["sealed", { sealed: true }, 10109, /sealed/],
    ] as const
  ) {
    const namespace = `${scene.namespace}-${name}`;
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await update(connection, store.stream, change);
    const data = "x".repeat(1_000);
    await refused(() => store.saveEvent(fact("a-1", 1, data)), code, advice);
    const batch = [fact("a-1", 1, data), fact("b-1", 1)];
    await refused(() => store.saveEvents(batch), code, advice);
    const commands = range(20).map(() => execute(store, "c-1", counter, add("x".repeat(1_000))));
    for (const command of commands) await refused(() => command, code, advice);
  }
});

for (
  const [name, change, code, advice] of [
    ["max_consumers", { max_consumers: 1 }, 10026, /max_consumers/],
    [
      "consumer_limits",
      { consumer_limits: { inactive_threshold: 1e9 } },
      10153,
      /inactive_threshold/,
    ],
  ] as const
) {
  natsTest(`subscriptions and projections end at once by ${name} of the stream`, async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    {
      await using store = await JetStreamEventStore.open(connection, { namespace });
      await store.saveEvent(fact("a-1", 1));
      const { config } = await api<{ config: object }>(connection, `STREAM.INFO.${store.stream}`);
      await api(connection, `STREAM.DELETE.${store.stream}`);
      await api(connection, `STREAM.CREATE.${store.stream}`, { ...config, ...change });
    }
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await store.saveEvent(fact("a-1", 1));
    const taken = { name: "taken", ack_policy: "none", inactive_threshold: 1e9 };
    await api(connection, `CONSUMER.CREATE.${store.stream}.taken`, {
      stream_name: store.stream,
      config: taken,
    });
    scene.keepConsumers("taken");
    const subscription = store.subscribe();
    const reading = async () => {
      for await (const _ of subscription) break;
    };
    await refused(reading, code, advice);
    await refused(() => subscription.caughtUp, code, advice);
    const checkpoints = new InMemoryCheckpointStore();
    await using projection = new Projection({ name: "p", store, checkpoints, handler: () => {} });
    await refused(() => projection.run(), code, advice);
    // Reads need no consumer.
    assertEquals((await store.getEvents("a-1")).length, 1);
  });
}

natsTest("a projection whose checkpoint outgrew its store halts, and says so", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, { namespace });
  await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
  for (const at of range(20)) await store.saveEvent(fact(`a-${at}`, 1));
  await update(connection, `KV_${checkpoints.bucket}`, { max_msg_size: 2_000 });
  await using projection = new Projection({
    name: "p",
    store,
    checkpoints,
    handler: () => Promise.reject(new Error("broken")),
    retry: { attempts: 1 },
    onPoison: "park",
    onError: () => {},
  });
  await refused(() => projection.run(), 10054, /unpark actors or lower maxParked/);
});
