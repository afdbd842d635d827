/**
 * Saves beside raw publishes of the same bodies with the same headers, compare-and-set included:
 * one at a time against a publish that awaits its ack, and 1,000 in flight over 500 actors
 * against `js.publish`, where each actor's second event needs the ack of its first.
 */
import { eventOf, saveHeaders, Scene, subjectOf } from "./scene.ts";

const ACTORS = 500;
const TIMEOUT = 30_000;

const { connection, js, store } = await Scene.open();

let version = 0;
Deno.bench("save", { group: "one at a time" }, async () => {
  await store.saveEvent(eventOf("order-saved", ++version));
});

const subject = subjectOf("order-raw");
let rawVersion = 0;
let sequence = 0;
Deno.bench("raw publish", { group: "one at a time", baseline: true }, async () => {
  const event = eventOf("order-raw", ++rawVersion);
  const headers = saveHeaders(event, sequence);
  const answer = await connection.request(subject, JSON.stringify(event), {
    headers,
    timeout: TIMEOUT,
  });
  sequence = answer.json<{ seq: number }>().seq;
});

const actors = Array.from({ length: ACTORS }, (_, at) => ({
  saved: `saved-${at}`,
  raw: `raw-${at}`,
  subject: subjectOf(`raw-${at}`),
  version: 0,
  rawVersion: 0,
  sequence: 0,
}));

Deno.bench("save, 1,000 in flight", { group: "in flight", n: 20 }, async () => {
  const saves: Promise<unknown>[] = [];
  for (let round = 0; round < 2; round++) {
    for (const actor of actors) saves.push(store.saveEvent(eventOf(actor.saved, ++actor.version)));
  }
  await Promise.all(saves);
});

async function publishNext(actor: typeof actors[number]): Promise<void> {
  const event = eventOf(actor.raw, ++actor.rawVersion);
  const headers = saveHeaders(event, actor.sequence);
  const ack = await js.publish(actor.subject, JSON.stringify(event), { headers, timeout: TIMEOUT });
  actor.sequence = ack.seq;
}

Deno.bench(
  "js.publish, 1,000 in flight",
  { group: "in flight", n: 20, baseline: true },
  async () => {
    await Promise.all(actors.map(async (actor) => {
      await publishNext(actor);
      await publishNext(actor);
    }));
  },
);
