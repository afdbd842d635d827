import { assertEquals, assertRejects } from "@std/assert";
import { JetStreamEventStore, StoreUnavailableError } from "../../../store/mod.ts";
import { facts } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";

natsTest("The leader fills the pages that no replica answers for", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const { namespace } = scene;
  await using writer = await JetStreamEventStore.open(connection, { namespace });
  for (const event of facts("order-1", 1, 2)) await writer.saveEvent(event);
  await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 3_000 });
  const isPage = (frame: { subject?: string; payload: Uint8Array }) =>
    frame.subject?.startsWith("$JS.API.DIRECT.GET.") === true &&
    new TextDecoder().decode(frame.payload).includes("batch");
  proxy.eatFromClient(isPage, Infinity);
  assertEquals((await store.getEvents("order-1")).map(({ version }) => version), [1, 2]);
  // Where the leader is silent, too, the read ends with an error.
  proxy.eatFromClient(({ subject }) => subject?.startsWith("$JS.API.") === true, Infinity);
  await assertRejects(() => store.getEvents("order-1"), StoreUnavailableError);
});
