/**
 * Replays of 10, 1,000 and 10,000 events beside nats.js's ordered consumer that parses the same
 * JSON: of events that were saved one by one, each a message, and of those that were saved
 * together. The store also proves that nothing is missing.
 */
import type { Event } from "../mod.ts";
import { fill, fillTogether, Scene, subjectOf } from "./scene.ts";

const { connection, js, store } = await Scene.open();

for (
  const [count, together] of [10, 1_000, 10_000].flatMap((count) =>
    [[count, false], [count, true]] as const
  )
) {
  const actorId = `order-${count}${together ? "-together" : ""}`;
  const filter = subjectOf(actorId);
  if (together) await fillTogether(store, actorId, count);
  else await fill(connection, actorId, count);

  const group = `replay of ${count.toLocaleString("en")}${together ? ", saved together" : ""}`;
  Deno.bench(`ordered consumer, ${group}`, { group, baseline: true }, async (bench) => {
    bench.start();
    const consumer = await js.consumers.get(store.stream, { filter_subjects: [filter] });
    const events: Event[] = [];
    for await (const message of await consumer.consume()) {
      for (const line of message.string().trimEnd().split("\n")) events.push(JSON.parse(line));
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
