/**
 * Subscriptions beside nats.js's ordered consumer that parses the same JSON: a replay of 10,000
 * events, and the time from the beginning of a save to the event's arrival.
 */
import type { JsMsg } from "@nats-io/jetstream";
import type { Event, RecordedEvent } from "../mod.ts";
import { eventOf, fill, Scene, subjectOf } from "./scene.ts";

const COUNT = 10_000;
const actorId = `order-${COUNT}`;

const { connection, js, store } = await Scene.open();
await fill(connection, actorId, COUNT);

const group = "replay of 10,000";
Deno.bench(`ordered consumer, ${group}`, { group, baseline: true }, async (bench) => {
  bench.start();
  const consumer = await js.consumers.get(store.stream, { filter_subjects: [subjectOf(actorId)] });
  let count = 0;
  for await (const message of await consumer.consume()) {
    if (message.json<Event>().actorId === actorId) count++;
    if (message.info.pending === 0) break;
  }
  bench.end();
  await consumer.delete();
  if (count !== COUNT) throw new Error(`${count} of ${COUNT} events`);
});

Deno.bench(`subscribe, ${group}`, { group }, async (bench) => {
  bench.start();
  const subscription = store.subscribe({ filter: { actorId } });
  let count = 0;
  for await (const event of subscription) {
    if (event.actorId === actorId && ++count === COUNT) {
      bench.end();
      break;
    }
  }
});

Deno.bench(`readAll, ${group}`, { group }, async () => {
  let count = 0;
  for await (const event of store.readAll({ filter: { actorId } })) {
    if (event.actorId === actorId) count++;
  }
  if (count !== COUNT) throw new Error(`${count} of ${COUNT} events`);
});

/** Saves one event at a time and waits until `next` returns it. */
function arrivals(id: string, next: () => Promise<Event | undefined>): () => Promise<void> {
  let version = 0;
  return async () => {
    const arrived = next();
    await store.saveEvent(eventOf(id, ++version));
    const event = await arrived;
    if (event?.version !== version) throw new Error(`version ${event?.version}, not ${version}`);
  };
}

const raw = await js.consumers.get(store.stream, { filter_subjects: [subjectOf("live-1")] });
const messages = (await raw.consume())[Symbol.asyncIterator]();
const rawArrival = arrivals("live-1", async () => {
  const { value }: { value?: JsMsg } = await messages.next();
  return value?.json<Event>();
});
const events = store.subscribe({ filter: { actorId: "live-2" } })[Symbol.asyncIterator]();
const arrival = arrivals(
  "live-2",
  async () => (await events.next()).value as RecordedEvent | undefined,
);

Deno.bench("ordered consumer, save to arrival", { group: "live", baseline: true }, rawArrival);
Deno.bench("subscribe, save to arrival", { group: "live" }, arrival);
