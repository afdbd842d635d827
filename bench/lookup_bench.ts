/**
 * The latest version of an actor with 10, 1,000 and 100,000 events, by each way there is: the raw
 * direct get that nothing can be quicker than, the store's own lookup without and with its cache, a
 * consumer with deliver policy *last*, and reading all events. `deno task bench` runs this; the
 * report (`bench/report.ts`) compares more, in rounds.
 */
import { eventOf, fill, Scene, subjectOf } from "./scene.ts";

const scene = await Scene.open();
const { store, connection } = scene;
// Kept for longer than the default second, so that every turn of the bench finds it in memory.
const cached = await scene.openStore({ cacheMaxAge: 3_600_000 });
const byConsumer = await scene.openStore({ versionLookup: "deliver-last" });
// A cache with one actor in it would be quicker than any that is in use.
const others = Array.from({ length: 1_000 }, (_, at) => eventOf(`other-${at}`, 1));
await cached.saveEvents(others);

for (const count of [10, 1_000, 100_000]) {
  const actorId = `order-${count}`;
  const subject = subjectOf(actorId);
  await fill(connection, actorId, count);
  await cached.getLatestVersion(actorId);

  const group = `${count.toLocaleString("en")} events`;
  Deno.bench(`raw direct get, ${group}`, { group, baseline: true }, async () => {
    await scene.lastMessage(subject);
  });

  Deno.bench(`uncached, ${group}`, { group }, async () => {
    await store.getLatestVersion(actorId, { fresh: true });
  });

  Deno.bench(`cached, ${group}`, { group }, async () => {
    await cached.getLatestVersion(actorId);
  });

  Deno.bench(`deliver-last, ${group}`, { group }, async () => {
    await byConsumer.getLatestVersion(actorId, { fresh: true });
  });

  const few = count > 10_000 ? { n: 3, warmup: 1 } : {};
  Deno.bench(`full scan, ${group}`, { group, ...few }, async () => {
    (await store.getEvents(actorId)).at(-1)?.version;
  });
}
