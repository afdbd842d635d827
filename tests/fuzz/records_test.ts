import { assert, assertEquals } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import { NatsEventBus } from "../../bus/mod.ts";
import {
  createEvent,
  JetStreamEventStore,
  KvCheckpointStore,
  Projection,
} from "../../store/mod.ts";
import { facts } from "../support/fault.ts";
import { natsTest } from "../support/fixture.ts";
import { assertClear, assertUnpolluted, Hostile, SEED } from "./hostile.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;
const RECORDS = LONG ? 2_000 : 60;
const MESSAGES = LONG ? 100_000 : 2_000;

/** The values of a bucket, as the server has them. */
async function valuesOf(
  connection: NatsConnection,
  bucket: string,
): Promise<Map<string, Uint8Array>> {
  const values = new Map<string, Uint8Array>();
  for (let sequence = 1;; sequence++) {
    const query = JSON.stringify({ seq: sequence, next_by_subj: `$KV.${bucket}.>` });
    const answer = await connection.request(`$JS.API.DIRECT.GET.KV_${bucket}`, query);
    const subject = answer.headers?.get("Nats-Subject");
    if (!subject) return values;
    sequence = Number(answer.headers!.get("Nats-Sequence"));
    values.set(subject, new Uint8Array(answer.data));
  }
}

natsTest(
  "A projection with hostile records runs, or says in our words why it does not",
  async (scene) => {
    const connection = await scene.connect();
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await store.saveEvents(facts("order-1", 1, 5));
    await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
    /** Told as passing; damage does not pass. */
    const errors: unknown[] = [];
    const make = () => {
      let handled = 0;
      const projection = new Projection({
        ...{ name: "orders", store, checkpoints, handler: () => void handled++ },
        onError: (error) => void errors.push(error),
      });
      return { projection, handled: () => handled };
    };
    const runOnce = async () => {
      const { projection, handled } = make();
      const ending = new AbortController();
      const running = projection.run({ signal: ending.signal });
      running.catch(() => {}); // Looked at below.
      const timer = setTimeout(() => ending.abort(), 2_000);
      await Promise.race([projection.caughtUp.catch(() => {}), running.catch(() => {})]);
      ending.abort();
      clearTimeout(timer);
      await running.catch(() => {});
      await projection[Symbol.asyncDispose]();
      return { running, handled: handled() };
    };
    await runOnce();
    const good = await valuesOf(connection, `AETHER_PROJECTION_${namespace}`);
    assert(good.size >= 2, [...good.keys()].join());
    const hostile = new Hostile(SEED);
    let refused = 0;
    for (let at = 0; at < RECORDS; at++) {
      const [subject, value] = hostile.pick([...good]);
      await connection.request(subject, hostile.bytes(value));
      const { running } = await runOnce();
      await running.catch((error) => {
        refused++;
        assertClear(error, `a projection with a record of ${subject} (seed ${SEED}, ${at})`);
      });
      for (const [subject, value] of good) await connection.request(subject, value);
    }
    assertUnpolluted();
    assert(refused > 0);
    assertEquals(errors, []);
    // Good records are read again.
    await (await runOnce()).running;
  },
);

natsTest(`A bus drops hostile messages, and hands out the others`, async (scene) => {
  const connection = await scene.connect();
  await using bus = new NatsEventBus(connection);
  const heard: string[] = [];
  const end = Promise.withResolvers<void>();
  const subscription = bus.on("shop", (event) => {
    heard.push(event.id);
    if (event.id === "last") end.resolve();
  });
  const sender = await scene.connect();
  await using other = new NatsEventBus(sender);
  const happened = { eventType: "Happened", actorId: "order-1", version: 1, data: { a: 1 } };
  const event = (id: string) => ({ ...createEvent(happened), id });
  await subscription.ready;
  const spied = Promise.withResolvers<{ subject: string; data: Uint8Array }>();
  const spy = sender.subscribe("aether-bus.>", {
    max: 1,
    callback: (_error, message) => spied.resolve(message),
  });
  await sender.flush();
  await other.publish("shop", event("first"));
  const { subject, data } = await spied.promise;
  assertEquals(spy.isClosed(), true);
  const hostile = new Hostile(SEED);
  for (let at = 0; at < MESSAGES; at++) {
    sender.publish(subject, hostile.bytes(data));
    if (at % 50 === 0) await sender.flush(); // Some are taken for events: the queue has to keep up.
  }
  await other.publish("shop", event("last"));
  await end.promise;
  assertEquals([heard[0], heard.at(-1)], ["first", "last"]);
  assert(bus.metrics.malformed > MESSAGES / 4, `${bus.metrics.malformed} malformed`);
  assertUnpolluted();
});
