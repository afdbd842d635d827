/**
 * Commits by the number of events in them: 1, 2, 10, 100 and 1,000 events of one actor, one after
 * the other and 64 in flight, beside raw nats.js that stores one message of the same bytes. On one
 * server, and on three with as many replicas.
 */
import { headers } from "@nats-io/nats-core";
import type { Event } from "../mod.ts";
import { eventOf, Scene, subjectOf } from "./scene.ts";

const IN_FLIGHT = 64;
const COMMITS = 640;

for (const replicas of [1, 3] as const) {
  const { store, js } = await Scene.open({ replicas });
  const place = replicas === 1 ? "one server" : "three servers";
  let actors = 0;

  /** Events of a new actor. */
  const commit = (size: number): Event[] => {
    const actorId = `order-${++actors}`;
    return Array.from({ length: size }, (_, at) => eventOf(actorId, at + 1));
  };

  for (const size of [1, 2, 10, 100, 1000]) {
    const group = `${size} events, ${place}`;
    Deno.bench(`a commit of ${group}`, { group }, async (bench) => {
      const events = commit(size);
      bench.start();
      await store.saveEvents(events);
      bench.end();
    });
    if (size > 100) continue; // A raw message of that size would be over the payload limit.
    Deno.bench(
      `raw publish of as many bytes, ${group}`,
      { group, baseline: true },
      async (bench) => {
        const events = commit(size);
        const body = events.map((event) => JSON.stringify(event)).join("\n");
        const expected = headers();
        expected.set("Nats-Expected-Last-Subject-Sequence", "0");
        bench.start();
        await js.publish(subjectOf(events[0]!.actorId), body, { headers: expected });
        bench.end();
      },
    );
  }

  for (const size of [1, 2, 10]) {
    const group = `${COMMITS} commits, ${IN_FLIGHT} in flight, ${place}`;
    const name = `${COMMITS} commits of ${size} events, ${IN_FLIGHT} in flight, ${place}`;
    Deno.bench(name, { group, n: 20, warmup: 3 }, async (bench) => {
      const commits = Array.from({ length: COMMITS }, () => commit(size));
      bench.start();
      await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
        for (let events = commits.pop(); events !== undefined; events = commits.pop()) {
          await store.saveEvents(events);
        }
      }));
      bench.end();
    });
  }
}
