import { assert, assertEquals, assertRejects } from "@std/assert";
import { jetstreamManager } from "@nats-io/jetstream";
import { Cluster } from "../../cluster/cluster.ts";
import { Discovery } from "../../cluster/membership/discovery.ts";
import {
  CommandFailedError,
  isAetherError,
  StoreRefusedError,
  StoreUnavailableError,
} from "../../store/errors.ts";
import { count, join, QUICK, settled } from "./bed.ts";
import { until } from "./election/bed.ts";
import { natsTest, type Scene } from "../support/fixture.ts";

const small = { server: { config: "max_payload: 65536" } };

natsTest(
  "nodes whose metadata outgrow the view are refused, and the others go on",
  async (scene) => {
    const { namespace } = scene;
    const { heartbeatTtl, ping, crash, outage } = QUICK as Required<typeof QUICK>;
    const metadata = { text: "m".repeat(6_000) };
    const tryJoin = async (nodeId: string) =>
      await Discovery.join(await scene.connect(), {
        ...{ namespace, nodeId, metadata, heartbeatTtl, ping, crash, outage },
      });
    const first = await tryJoin("n0");
    const results = await Promise.allSettled(
      Array.from({ length: 9 }, (_, at) => tryJoin(`n${at + 1}`)),
    );
    const members = [first];
    for (const result of results) {
      if (result.status === "fulfilled") members.push(result.value);
      else assert(isAetherError(result.reason, "StoreRefusedError"), String(result.reason));
    }
    assertEquals(members.length, 5); // Of 32 KiB, with what else a member takes.
    const refused = await assertRejects(() => tryJoin("late"), StoreRefusedError);
    assert(/takes \d+ bytes, and 32768 fit/.test(refused.message), refused.message);
    await members.pop()!.leave();
    members.push(await tryJoin("late"));
    for (const member of members) await member.leave();
  },
  small,
);

natsTest("a node that shares more shards than a map can hold is refused", async (scene) => {
  const { message } = await assertRejects(
    () => join(scene, "a", { shards: 32_768 }),
    StoreRefusedError,
  );
  assert(/map of 32768 shards takes \d+ bytes, and 32768 fit/.test(message), message);
}, small);

/** A user who may not publish to `subjects`. */
function without(...subjects: string[]): string {
  const deny = subjects.map((subject) => `"${subject}"`).join();
  return `authorization { users: [
    { user: a, password: a, permissions: { publish: { deny: [${deny}] } } },
  ] }`;
}

async function joinAs(scene: Scene, errors: unknown[]): Promise<Cluster> {
  const connection = await scene.connect({ user: "a", pass: "a" });
  const cluster = await Cluster.join(connection, {
    ...QUICK,
    namespace: "limits",
    nodeId: "a",
    onError: (error) => errors.push(error),
  });
  count(cluster);
  return cluster;
}

const BUCKET = "AETHER_CLUSTER_limits";

natsTest("a map that the server refuses is the cause of what a sender hears", async (scene) => {
  const errors: unknown[] = [];
  const cluster = await joinAs(scene, errors);
  const { cause } = await assertRejects(
    () => cluster.send("x-1", 1, { timeout: 2_000 }),
    StoreUnavailableError,
  );
  assert(isAetherError(cause, "StoreRefusedError"), String(cause));
  assert(errors.some((error) => isAetherError(error, "StoreRefusedError")), errors.join());
  await cluster.leave();
}, { server: { config: without(`$KV.${BUCKET}.map`) }, leakCheck: false });

natsTest("a claim that the server refuses is the cause of what a sender hears", async (scene) => {
  const errors: unknown[] = [];
  const cluster = await joinAs(scene, errors);
  const { cause } = await assertRejects(
    () => cluster.send("x-1", 1, { timeout: 5_000 }),
    StoreUnavailableError,
  );
  assert(isAetherError(cause, "StoreRefusedError"), String(cause));
  assert(errors.some((error) => String(error).includes('as node "a"')), errors.join());
  await cluster.leave();
}, { server: { config: without("aether.limits.fence.>") }, leakCheck: false });

natsTest("a node that may not show that it lives does not join", async (scene) => {
  const { message } = await assertRejects(() => joinAs(scene, []), StoreRefusedError);
  assert(message.includes("heartbeat"), message);
}, { server: { config: without(`$KV.${BUCKET}.node.>`) }, leakCheck: false });

for (
  const [what, subject] of [
    ["watch the bucket", `$JS.API.CONSUMER.CREATE.KV_${BUCKET}.>`],
    ["take the lease", `$KV.${BUCKET}.leader`],
  ]
) {
  natsTest(`a node that may not ${what} is told`, async (scene) => {
    const errors: unknown[] = [];
    const cluster = await joinAs(scene, errors);
    await until(() => errors.some((error) => isAetherError(error, "StoreRefusedError")));
    await cluster.leave();
  }, { server: { config: without(subject!) }, leakCheck: false });
}

natsTest(
  "a full store is the cause of what a sender hears, and the node is told",
  async (scene) => {
    const errors: unknown[] = [];
    const cluster = await join(scene, "a", { onError: (error) => errors.push(error) });
    await settled(cluster);
    await cluster.send("x-1", 1);
    const manager = await jetstreamManager(await scene.connect());
    const names = await manager.streams.names().next();
    const stream = names.find((name) => name.startsWith("AETHER"))!;
    const { state: { bytes } } = await manager.streams.info(stream);
    await manager.streams.update(stream, { max_bytes: bytes });
    const error = await assertRejects(() => cluster.send("x-1", 2), CommandFailedError);
    assert(isAetherError(error.cause, "StoreRefusedError"), String(error.cause));
    assertEquals(error.cause.serverCode, 10077);
    assert(errors.some((error) => String(error).includes("maximum bytes")), errors.join());
    await manager.streams.update(stream, { max_bytes: -1 });
    assertEquals(await cluster.send("x-1", 3), 2);
    await cluster.leave();
  },
);

natsTest(
  "a number, a name or a choice that cannot be is refused before anything is made",
  async (scene) => {
    const connection = await scene.connect();
    const impossible: Record<string, unknown>[] = [
      ...[0, 65_537, 1.5, "8"].map((shards) => ({ shards })),
      ...[0, 6].map((replicas) => ({ replicas })),
      ...[{ mode: "quick" }, { reads: "none" }, { versionLookup: "scan" }],
      ...[{ timeout: 0 }, { cacheSize: 0 }, { cacheMaxAge: -1 }, { acceptedLosses: -1 }],
      ...[{ nodeId: "" }, { capacity: -1 }, { maxMoves: 0 }, { namespace: "" }, { lease: 1 }],
    ];
    const before = connection.stats().outMsgs;
    for (const options of impossible) {
      const refused = () => Cluster.join(connection, { namespace: scene.namespace, ...options });
      await assertRejects(refused, RangeError, undefined, JSON.stringify(options));
    }
    assertEquals(connection.stats().outMsgs, before);
  },
);

for (const [most, what] of [[5, "its pings"], [10, "commands"], [12, "requests for its status"]]) {
  natsTest(`a node is refused if its connection has no room for ${what}`, async (scene) => {
    // With the fixture's own inbox; without it, one less.
    const connection = await scene.connect();
    const refused = await assertRejects(
      () => Cluster.join(connection, { ...QUICK, namespace: scene.namespace, timeout: 2_000 }),
      StoreRefusedError,
    );
    assert(refused.message.includes("the node cannot be reached"), refused.message);
    assert(refused.advice.includes("max_subscriptions"), refused.advice);
  }, { server: { config: `max_subscriptions: ${most}` } });
}

natsTest("a node that may not answer another one says so", async (scene) => {
  const { namespace } = scene;
  const heard = Promise.withResolvers<StoreRefusedError>();
  const connect = (user: string) =>
    scene.connect({ user, pass: user, inboxPrefix: `_INBOX_${user}` });
  const onError = (error: unknown) => {
    if (isAetherError(error, "StoreRefusedError")) heard.resolve(error);
  };
  const options = { ...QUICK, namespace, leaveTimeout: 1_000 };
  const a = await Cluster.join(await connect("a"), { ...options, onError });
  // It pings the other one, asks it for its status, and sends it commands.
  const b = await Cluster.join(await connect("b"), { ...options, onError: () => {} });
  const sending = b.send("a-1", null, { timeout: 1_000 }).catch(() => {});
  const error = await heard.promise;
  assert(error.message.includes('takes nothing for "_INBOX_b.>"'), error.message);
  await sending;
  for (const node of [b, a]) await node.leave();
}, {
  server: {
    config: `authorization { users: [
      { user: a, password: a, permissions: { publish: { deny: ["_INBOX_b.>"] } } },
      { user: b, password: b },
    ] }`,
  },
  leakCheck: false, // Nobody may ask this server without a login.
});
