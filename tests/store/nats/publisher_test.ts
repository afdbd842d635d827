import { assertEquals } from "@std/assert";
import { headers } from "@nats-io/transport-node";
import { JetStreamEventStore } from "../../../store/mod.ts";
import { Layout } from "../../../store/format/layout.ts";
import { Publisher } from "../../../store/nats/publisher.ts";
import { StreamApi } from "../../../store/nats/stream_api.ts";
import { RequestMux } from "../../../store/nats/requests.ts";
import { messagesOf } from "../../support/jetstream_api.ts";
import { natsTest } from "../../support/fixture.ts";

natsTest("A message that could only be sent after its deadline is not sent", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, { namespace });
  const layout = new Layout(namespace);
  const requests = new RequestMux(connection);
  const publisher = new Publisher(new StreamApi(requests, layout, "$JS.API"));
  const messages = (count: number) =>
    Array.from({ length: count }, (_, at) => ({
      subject: layout.event(`order-${count}-${at}`, 256),
      headers: headers(),
      body: new Uint8Array(),
    }));
  for (const count of [1, 2]) {
    for (const late of [0, 1, 1_000]) {
      const outcome = await publisher.publish(messages(count), 1_000, performance.now() - late);
      assertEquals(outcome.kind, "absent");
    }
    const signal = AbortSignal.abort();
    const aborted = await publisher.publish(messages(count), 1_000, Infinity, signal);
    assertEquals(aborted.kind, "absent");
  }
  // Nothing but the genesis.
  assertEquals((await messagesOf(connection, store.stream)).length, 1);
  assertEquals((await publisher.publish(messages(2), 1_000, Infinity)).kind, "stored");
  assertEquals((await messagesOf(connection, store.stream)).length, 3);
  requests.close();
});
