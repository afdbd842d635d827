/**
 * Reads beside a replica that says nothing: the servers give it its part of the direct requests all the same.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { JetStreamEventStore } from "../../../store/mod.ts";
import { fact, facts } from "../../support/fault.ts";
import { clusterTest } from "../../support/fixture.ts";

/** More than a read waits for one after the other if each may take its whole time. */
const LOST = 14;

clusterTest("a read outlasts direct requests that a silent replica gets", async (scene) => {
  const { namespace } = scene;
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const options = { namespace, replicas: 3, timeout: 5_000 };
  await using made = await JetStreamEventStore.open(connection, options);
  await made.saveEvents([...facts("order-1", 1, 5), fact("order-2", 1)]);
  await using opened = await JetStreamEventStore.open(connection, options);
  for (const store of [made, opened]) {
    const meal = proxy.eatFromClient(({ subject }) => subject.includes("DIRECT.GET"), LOST);
    assertEquals((await store.getEvents("order-1")).map(({ version }) => version), [1, 2, 3, 4, 5]);
    await meal.done;
  }
});
