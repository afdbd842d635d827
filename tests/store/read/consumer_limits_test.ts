import { assert, assertEquals, assertRejects } from "@std/assert";
import { isAetherError, JetStreamEventStore } from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { clusterTest, natsTest } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";

const LOOKUPS = 300;

clusterTest("Every lookup by a consumer ends well on replicas", async (scene) => {
  const { namespace, servers } = scene;
  const options = { namespace, replicas: 3, versionLookup: "deliver-last" } as const;
  let count = 0;
  for (const { url } of servers) {
    await using store = await JetStreamEventStore.open(
      await scene.connect({ servers: url }),
      options,
    );
    await store.saveEvent(fact(`order-${count}`, 1));
    for (let time = 0; time < LOOKUPS / servers.length; time++) {
      assertEquals(await store.getLatestVersion(`order-${count}`, { fresh: true }), 1);
    }
    count++;
  }
});

natsTest(
  "A subscription over the server's limit of consumers is refused for good",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await store.saveEvent(fact("order-1", 1));
    const config = {
      ...{ deliver_policy: "all", ack_policy: "none", mem_storage: true, num_replicas: 1 },
      inactive_threshold: 60_000_000_000,
    };
    const names = Array.from({ length: 1000 }, (_, at) => `other-${at}`);
    scene.keepConsumers(...names);
    for (const name of names) {
      const query = { stream_name: store.stream, action: "create", config: { ...config, name } };
      await api(connection, `CONSUMER.CREATE.${store.stream}.${name}`, query);
    }
    const subscription = store.subscribe();
    const error = await assertRejects(() => subscription[Symbol.asyncIterator]().next());
    assert(isAetherError(error, "StoreRefusedError"), String(error));
    assert(/max_consumers/.test(error.advice), error.message);
    // Control: one fewer, and it is taken.
    await api(connection, `CONSUMER.DELETE.${store.stream}.${names[0]}`);
    await using next = store.subscribe();
    assertEquals((await next[Symbol.asyncIterator]().next()).value?.version, 1);
  },
);
