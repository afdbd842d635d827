/**
 * Replays of 10, 1,000 and 10,000 events beside nats.js's ordered consumer that parses the same
 * JSON. The store also proves that nothing is missing.
 */
import type { Event } from "../mod.ts";
import { fill, Scene, subjectOf } from "./scene.ts";

const { js, store } = await Scene.open();

for (const count of [10, 1_000, 10_000]) {
  const actorId = `order-${count}`;
  const filter = subjectOf(actorId);
  await fill(store, actorId, count);

  const group = `replay of ${count.toLocaleString("en")}`;
  Deno.bench(`ordered consumer, ${group}`, { group, baseline: true }, async (bench) => {
    bench.start();
    const consumer = await js.consumers.get(store.stream, { filter_subjects: [filter] });
    const events: Event[] = [];
    for await (const message of await consumer.consume()) {
      events.push(message.json<Event>());
      if (message.info.pending === 0) break;
    }
    bench.end();
    await consumer.delete();
    if (events.length !== count) throw new Error(`${events.length} of ${count} events`);
  });

  Deno.bench(`getEvents, ${group}`, { group }, async () => {
    const events = await store.getEvents(actorId);
    if (events.length !== count) throw new Error(`${events.length} of ${count} events`);
  });
}
