import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { ViewStore } from "../../cluster/membership/view_store.ts";
import { clusterBucket, nodeSubject } from "../../cluster/subjects.ts";
import { Layout } from "../../store/format/layout.ts";
import { Bucket } from "../../store/kv/bucket.ts";
import { Cluster } from "../../cluster/mod.ts";
import { isAetherError } from "../../store/errors.ts";
import { join, QUICK, settled } from "./bed.ts";
import { natsTest } from "../support/fixture.ts";
import { api } from "../support/jetstream_api.ts";

natsTest("a node that was taken for gone answers by its new incarnation alone", async (scene) => {
  const connection = await scene.connect();
  const a = await join(scene, "a");
  await settled(a);
  const { nodeId, incarnation } = a;
  const ask = (verb: string, incarnation: string) =>
    connection.request(nodeSubject(scene.namespace, { nodeId, incarnation }, verb), "{}");
  for (const verb of ["status", "release"]) await ask(verb, incarnation);
  const bucket = await Bucket.open(connection, { bucket: clusterBucket(scene.namespace) });
  const store = new ViewStore(bucket, "test");
  await store.write(() => [{ type: "depart", nodeId, incarnation, how: "crashed" }]);
  while (a.incarnation === incarnation || a.view.members.length === 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await settled(a);
  for (const verb of ["ping", "status", "release", "command"]) {
    await assertRejects(() => ask(verb, incarnation), Error, "no responders", verb);
  }
  assert(a.incarnation > incarnation);
  assertEquals(await a.send("counter-1", 1), 1);
  await bucket.close();
  await a.leave();
});

/** Holds that the operator was told once that the node leaves, and why, and its callers are too. */
async function assertRefused(
  node: Cluster,
  errors: readonly unknown[],
  why: RegExp,
): Promise<void> {
  const refusals = errors.filter((error) => isAetherError(error, "StoreRefusedError"));
  assertEquals(refusals.length, 1, errors.join());
  assertEquals(node.signal.reason, refusals[0]);
  assertEquals(await assertRejects(() => node.send("counter-1", 1)), refusals[0]);
  assertEquals(await assertRejects(() => node.changes().next()), refusals[0]);
  assertMatch(refusals[0]!.message, /^Cannot come back as node "b", [^]* so it leaves: /);
  assertMatch(refusals[0]!.message, why);
}

natsTest(
  "a node that was taken for gone leaves if the server does not let it come back",
  async (scene) => {
    const { namespace } = scene;
    const a = await join(scene, "a");
    let isDeaf = false;
    const connection = new Proxy(await scene.connect(), {
      get(target, name): unknown {
        const value = Reflect.get(target, name, target);
        if (name !== "subscribe") return typeof value === "function" ? value.bind(target) : value;
        return (...[subject, options]: Parameters<typeof target.subscribe>) => {
          if (!isDeaf || !subject.endsWith(".status")) return target.subscribe(subject, options);
          const error = new Error(`Permissions Violation for Subscription to "${subject}"`);
          queueMicrotask(() => options!.callback!(error, undefined as never));
          return target.subscribe("nothing", options);
        };
      },
    });
    const errors: unknown[] = [];
    const onError = (error: unknown) => errors.push(error);
    const b = await Cluster.join(connection, { ...QUICK, namespace, nodeId: "b", onError });
    b.handle(() => {});
    await settled(a, b);
    isDeaf = true;
    const { nodeId, incarnation } = b;
    const bucket = await Bucket.open(await scene.connect(), { bucket: clusterBucket(namespace) });
    const store = new ViewStore(bucket, "test");
    await store.write(() => [{ type: "depart", nodeId, incarnation, how: "crashed" }]);
    if (!b.signal.aborted) {
      await new Promise((resolve) => b.signal.addEventListener("abort", resolve, { once: true }));
    }
    await assertRefused(b, errors, /subscribe to the node's subjects/);
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, at) => a.send(`counter-${at}`, 1)),
    );
    assertEquals(new Set(replies), new Set([1]));
    await bucket.close();
    await b.leave();
    await a.leave();
  },
);

natsTest(
  "a node that was taken for gone leaves if the stream would lose events by now",
  async (scene) => {
    const { namespace } = scene;
    const a = await join(scene, "a");
    const errors: unknown[] = [];
    const b = await join(scene, "b", { onError: (error) => errors.push(error) });
    await settled(a, b);
    const connection = await scene.connect();
    const { stream } = new Layout(namespace);
    const { config } = await api<{ config: object }>(connection, `STREAM.INFO.${stream}`);
    await api(connection, `STREAM.UPDATE.${stream}`, { ...config, max_age: 3_600e9 });
    const { nodeId, incarnation } = b;
    const bucket = await Bucket.open(connection, { bucket: clusterBucket(namespace) });
    const store = new ViewStore(bucket, "test");
    await store.write(() => [{ type: "depart", nodeId, incarnation, how: "crashed" }]);
    if (!b.signal.aborted) {
      await new Promise((resolve) => b.signal.addEventListener("abort", resolve, { once: true }));
    }
    await assertRefused(b, errors, /max_age is 3600000000000 and must be 0; mend that/);
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, at) => a.send(`counter-${at}`, 1)),
    );
    assertEquals(new Set(replies), new Set([1]));
    await bucket.close();
    await b.leave();
    await a.leave();
  },
);
