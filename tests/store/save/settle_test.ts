import { assertEquals } from "@std/assert";
import { JetStreamEventStore } from "../../../store/mod.ts";
import { attempt, fact, unknownError } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";

natsTest("settle() returns saved if the same events were saved again since", async (scene) => {
  const { namespace } = scene;
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 1_500 });
  await using other = await JetStreamEventStore.open(await scene.connect(), { namespace });
  const [event, batch] = [fact("order-1", 1), [fact("order-2", 1), fact("order-3", 1)]];
  const meal = proxy.eatFromClient(({ subject }) => subject.includes(".event."));
  const errors = [unknownError(await attempt(store, event))];
  errors.push(unknownError(await attempt(store, ...batch)));
  meal.stop();
  await other.saveEvent(event);
  for (const part of batch) await other.saveEvent(part);
  for (const error of errors) assertEquals(await error.settle(), "saved");
});

natsTest("settle() returns not-saved if another event took the place", async (scene) => {
  const { namespace } = scene;
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  await using store = await JetStreamEventStore.open(connection, { namespace, timeout: 1_500 });
  await using other = await JetStreamEventStore.open(await scene.connect(), { namespace });
  const meal = proxy.eatFromClient(({ subject }) => subject.includes(".event."));
  const error = unknownError(await attempt(store, fact("order-1", 1)));
  meal.stop();
  await other.saveEvent(fact("order-1", 1));
  assertEquals(await error.settle(), "not-saved");
});
