import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { Cluster } from "../../../cluster/mod.ts";
import {
  isAetherError,
  JetStreamEventStore,
  JetStreamSnapshotStore,
  KvCheckpointStore,
} from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { clusterTest, natsTest } from "../../support/fixture.ts";
import { oldServerTest } from "../../support/old_server.ts";
import { configFor, create, refusal, snapshot } from "./open_streams.ts";

natsTest("open() refuses a stream that holds messages but no genesis", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await create(connection, configFor(namespace));
  await connection.request(`aether.${namespace}.event.1.order.order-1`, "foreign");
  const before = await snapshot(connection, `AETHER_${namespace}`);
  const { problems } = await refusal(connection, { namespace });
  assertMatch(problems.join(), /it was not made by this library/);
  assertEquals(await snapshot(connection, `AETHER_${namespace}`), before);
});

natsTest("A server that does not know yet of a new stream is asked again", async (scene) => {
  const connection = await scene.connect();
  const stream = `AETHER_${scene.namespace}`;
  let asked = 0;
  const publish: NatsConnection["publish"] = (subject, payload, options) => {
    // There is no stream of that name: the answer is a server's own.
    const isFirst = subject === `$JS.API.STREAM.MSG.GET.${stream}` && asked++ === 0;
    connection.publish(isFirst ? `${subject}-elsewhere` : subject, payload, options);
  };
  const through = new Proxy(connection, {
    get(target, key) {
      const own: unknown = key === "publish" ? publish : Reflect.get(target, key, target);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
  await using store = await JetStreamEventStore.open(through, { namespace: scene.namespace });
  assert(asked > 1, `asked ${asked} times`);
  assertEquals((await store.saveEvent(fact("order-1", 1))).duplicate, false);
});

const GENESIS = { format: 1, shards: 16, hash: "murmur3-x86-32", identity: "someone" };
const STRANGE: Record<string, { readonly genesis: unknown; readonly problem: RegExp }> = {
  "of a newer format": {
    genesis: { ...GENESIS, format: 2 },
    problem: /its format is 2, and 1 is what this version reads/,
  },
  "with another hash": {
    genesis: { ...GENESIS, hash: "xxh3" },
    problem: /its shard hash is "xxh3"/,
  },
  "without shards": { genesis: { ...GENESIS, shards: 0 }, problem: /its shard count is 0/ },
  "without identity": {
    genesis: { ...GENESIS, identity: undefined },
    problem: /it has no identity/,
  },
  "whose genesis is garbage": { genesis: "garbage", problem: /its format is undefined/ },
};

natsTest("open() refuses a stream that it cannot read", async (scene) => {
  const connection = await scene.connect();
  for (const [what, { genesis, problem }] of Object.entries(STRANGE)) {
    const namespace = `${scene.namespace}-${what.replaceAll(" ", "-")}`;
    await create(connection, configFor(namespace));
    await connection.request(`aether.${namespace}.genesis`, JSON.stringify(genesis));
    const before = await snapshot(connection, `AETHER_${namespace}`);
    const { problems } = await refusal(connection, { namespace });
    assertMatch(problems.join(), problem);
    assertEquals(await snapshot(connection, `AETHER_${namespace}`), before);
  }
});

natsTest(
  "A stream keeps shards and identity over reopening; other shards are refused",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using first = await JetStreamEventStore.open(connection, { namespace, shards: 16 });
    await first.saveEvent(fact("order-1", 1));
    for (const options of [{}, { shards: 16 }, { replicas: 3 }]) {
      await using again = await JetStreamEventStore.open(connection, { namespace, ...options });
      assertEquals([again.identity, again.shards], [first.identity, 16]);
      assertEquals((await again.getEvents("order-1")).length, 1);
    }
    const { problems } = await refusal(connection, { namespace, shards: 32 });
    assertEquals(problems, ["it has 16 shards, fixed when it was made, not 32"]);
  },
);

natsTest("Ten stores that open a new namespace at once agree on its identity", async (scene) => {
  const connections = await Promise.all(Array.from({ length: 10 }, () => scene.connect()));
  for (let round = 0; round < 5; round++) {
    const namespace = `${scene.namespace}-${round}`;
    const stores = await Promise.all(
      connections.map((connection) => JetStreamEventStore.open(connection, { namespace })),
    );
    assertEquals(new Set(stores.map(({ identity }) => identity)).size, 1);
    for (const store of stores) await store[Symbol.asyncDispose]();
  }
});

clusterTest("Ten stores on a cluster agree on the identity, too", async (scene) => {
  const { namespace } = scene;
  const connections = await Promise.all(
    Array.from({ length: 10 }, (_, at) => scene.connect({ servers: scene.servers[at % 3]!.url })),
  );
  const stores = await Promise.all(
    connections.map((connection) =>
      JetStreamEventStore.open(connection, { namespace, replicas: 3 })
    ),
  );
  assertEquals(new Set(stores.map(({ identity }) => identity)).size, 1);
  const manager = await jetstreamManager(connections[0]!);
  const { config } = await manager.streams.info(stores[0]!.stream);
  assertEquals((config as StreamConfig).num_replicas, 3);
  for (const store of stores) await store[Symbol.asyncDispose]();
});

natsTest("open() says that a single server cannot have three replicas", async (scene) => {
  const connection = await scene.connect();
  const { problems } = await refusal(connection, { namespace: scene.namespace, replicas: 3 });
  assertMatch(problems.join(), /^the server refuses: replicas > 1 not supported/);
});

/** Two accounts, of which only one has JetStream. */
const ACCOUNTS = `
accounts {
  FULL { jetstream: enabled, users: [{ user: full, password: p }] }
  PLAIN { users: [{ user: plain, password: p }] }
  SYS { users: [{ user: sys, password: p }] }
}
system_account: SYS
`;

/** Passes if opening anything tells within a second, of ten, that there is no JetStream. */
async function tellsNoJetStream(connection: NatsConnection, why: RegExp): Promise<void> {
  for (
    const open of [
      () => JetStreamEventStore.open(connection),
      () => JetStreamSnapshotStore.open(connection),
      () => KvCheckpointStore.open(connection),
      () => Cluster.join(connection),
    ]
  ) {
    const start = performance.now();
    const error = await assertRejects(open);
    const ms = performance.now() - start;
    assert(isAetherError(error, "StoreRefusedError"), String(error));
    assertMatch(error.message, why);
    assertMatch(error.advice, /turn JetStream on/);
    assert(ms < 1_000, `It took ${ms} ms`);
  }
}

natsTest("open() and join() tell at once that the server has no JetStream", async (scene) => {
  await tellsNoJetStream(await scene.connect(), /the server has no JetStream/);
}, { server: { jetstream: false } });

natsTest("open() and join() tell at once that the account has no JetStream", async (scene) => {
  const connection = await scene.connect({ user: "plain", pass: "p" });
  await tellsNoJetStream(connection, /the account has no JetStream/);
}, { server: { config: ACCOUNTS } });

oldServerTest(
  "open() refuses nats-server 2.10, which Debian has, before it writes anything",
  async (scene) => {
    const connection = await scene.connect();
    const error = await assertRejects(() => JetStreamEventStore.open(connection));
    assert(isAetherError(error, "UnsupportedServerError"), String(error));
    assertMatch(error.version, /^2\.10\./);
    assertEquals(error.required, "2.12.0");
  },
);
