/**
 * Saves beside raw publishes of the same bodies with the same headers, compare-and-set included:
 * one at a time against a publish that awaits its ack, and 1,000 in flight over 500 actors
 * against `js.publish`, as each actor's second event needs the ack of its first.
 */
import type { Event } from "../mod.ts";
import { bodyOf, eventOf, saveHeaders, Scene, subjectOf } from "./scene.ts";

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
  const answer = await connection.request(subject, bodyOf(event), {
    headers,
    timeout: TIMEOUT,
  });
  sequence = answer.json<{ seq: number }>().seq;
});

const actors = Array.from({ length: ACTORS }, (_, at) => ({
  actorId: `in-flight-${at}`,
  version: 0,
  subject: subjectOf(`raw-in-flight-${at}`),
  sequence: 0,
}));
const many = { group: "in flight", n: 100, warmup: 100 };

/** The next two events of each actor, the first ones first; made before the clock starts. */
function nextEvents(): { event: Event; actor: typeof actors[number] }[] {
  return [...actors, ...actors].map((actor) => (
    { event: eventOf(actor.actorId, ++actor.version), actor }
  ));
}

Deno.bench("save, 1,000 in flight", many, async (bench) => {
  const events = nextEvents();
  bench.start();
  await Promise.all(events.map(({ event }) => store.saveEvent(event)));
  bench.end();
});

Deno.bench("js.publish, 1,000 in flight", { ...many, baseline: true }, async (bench) => {
  const events = nextEvents();
  bench.start();
  const publish = async ({ event, actor }: typeof events[number]) => {
    const headers = saveHeaders(event, actor.sequence);
    const body = bodyOf(event);
    const ack = await js.publish(actor.subject, body, { headers, timeout: TIMEOUT });
    actor.sequence = ack.seq;
  };
  await Promise.all(actors.map(async (_, at) => {
    await publish(events[at]!);
    await publish(events[at + ACTORS]!);
  }));
  bench.end();
});
