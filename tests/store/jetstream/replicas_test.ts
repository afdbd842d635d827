import { assertEquals } from "@std/assert";
import { watchReplicas } from "../../../store/jetstream/replicas.ts";
import { JetStreamEventStore } from "../../../store/mod.ts";
import type { StreamApi } from "../../../store/nats/stream_api.ts";
import { clusterTest, natsTest } from "../../support/fixture.ts";
import { Telemetry } from "../../support/telemetry.ts";

const telemetry = new Telemetry();

function measured(namespace: string): Promise<Record<string, number>> {
  const by = ["aether.replica.name", "aether.replica.state"];
  return telemetry.measured(["db.namespace", namespace], by);
}

clusterTest("a store on three servers shows both of its followers", async (scene) => {
  const { namespace } = scene;
  const options = { namespace, replicas: 3 };
  await using _store = await JetStreamEventStore.open(await scene.connect(), options);
  for (;;) {
    const found = await measured(namespace);
    // Right after the stream is made, a follower may not have all of it yet.
    if (found["aether.store.replicas {replica} current"] !== 2) continue;
    const lags = Object.entries(found).filter(([name]) => name.includes("replica.lag {message}"));
    assertEquals(lags.map(([, lag]) => lag), [0, 0]);
    return;
  }
});

natsTest("a store on one server shows none", async (scene) => {
  const { namespace } = scene;
  await using _store = await JetStreamEventStore.open(await scene.connect(), { namespace });
  const names = Object.keys(await measured(namespace)).filter((name) => name.includes("replica"));
  assertEquals(names, []);
});

Deno.test("followers that are behind, and that are away, are counted as such", async () => {
  const replicas = [
    { name: "b", current: false, lag: 7 },
    { name: "c", current: false, offline: true, lag: 40 },
    { name: "d", current: true },
  ];
  const api = { info: () => Promise.resolve({ cluster: { replicas } }) } as unknown as StreamApi;
  const attributes = { "db.system.name": "nats", "db.namespace": "shop" };
  const unwatch = watchReplicas(api, attributes, 1_000);
  assertEquals(await measured("shop"), {
    "aether.store.replica.lag {message} b": 7,
    "aether.store.replica.lag {message} c": 40,
    "aether.store.replica.lag {message} d": 0,
    "aether.store.replicas {replica} current": 1,
    "aether.store.replicas {replica} behind": 1,
    "aether.store.replicas {replica} offline": 1,
  });
  await unwatch();
  for (const value of Object.values(await measured("shop"))) assertEquals(value, 0);
});

Deno.test("what cannot be asked now is left out, and asked again", async () => {
  let isAway = true;
  const info = () =>
    isAway
      ? Promise.reject(new Error("no answer"))
      : Promise.resolve({ cluster: { replicas: [{ name: "b", current: true }] } });
  const attributes = { "db.system.name": "nats", "db.namespace": "away" };
  const unwatch = watchReplicas({ info } as unknown as StreamApi, attributes, 1_000);
  assertEquals(await measured("away"), {});
  isAway = false;
  assertEquals((await measured("away"))["aether.store.replica.lag {message} b"], 0);
  await unwatch();
});
