/**
 * 1,000 saves of one actor: one after the other, each when the one before is done, and all at
 * once, which the store puts together. On one server, and on three with as many replicas.
 */
import { eventOf, Scene } from "./scene.ts";

const COUNT = 1000;

for (const replicas of [1, 3] as const) {
  const { store } = await Scene.open({ replicas });
  const group = replicas === 1 ? "one server" : "three servers";
  const few = { group, n: 5, warmup: 2 };
  let version = 0;

  Deno.bench(`1,000 saves of one actor in turn, ${group}`, few, async () => {
    for (let at = 0; at < COUNT; at++) await store.saveEvent(eventOf("order-turn", ++version));
  });

  let queued = 0;
  Deno.bench(`1,000 saves of one actor at once, ${group}`, { ...few, n: 20 }, async (bench) => {
    const events = Array.from({ length: COUNT }, () => eventOf("order-queue", ++queued));
    bench.start();
    await Promise.all(events.map((event) => store.saveEvent(event)));
    bench.end();
  });
}
