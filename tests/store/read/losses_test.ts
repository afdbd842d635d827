import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import { streamSequenceOf } from "../../../store/format/position.ts";
import {
  type EventFilter,
  type EventStore,
  InMemoryCheckpointStore,
  isAetherError,
  JetStreamEventStore,
  Projection,
  type RecordedEvent,
} from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";

/** Sets a limit by mistake, which deletes messages at once, and puts it right. */
async function mistake(
  connection: NatsConnection,
  stream: string,
  limit: Record<string, unknown> = { max_msgs_per_subject: 2 },
): Promise<void> {
  const { config } = await api<{ config: Record<string, unknown> }>(
    connection,
    `STREAM.INFO.${stream}`,
  );
  await api(connection, `STREAM.UPDATE.${stream}`, { ...config, ...limit });
  await api(connection, `STREAM.UPDATE.${stream}`, config);
}

/** A store with six events each of two actors, one after the other. */
async function filled(scene: Scene, options = {}): Promise<JetStreamEventStore> {
  const { namespace } = scene;
  const store = await JetStreamEventStore.open(await scene.connect(), { namespace, ...options });
  for (let version = 1; version <= 6; version++) {
    for (const actorId of ["order-1", "stock-1"]) await store.saveEvent(fact(actorId, version));
  }
  return store;
}

async function first(events: AsyncIterable<RecordedEvent>): Promise<RecordedEvent | undefined> {
  for await (const event of events) return event;
  return undefined;
}

/** Reads until `count` events have come. */
async function take(events: AsyncIterable<RecordedEvent>, count: number): Promise<RecordedEvent[]> {
  const taken: RecordedEvent[] = [];
  for await (const event of events) if (taken.push(event) === count) break;
  return taken;
}

async function corruptAt(read: () => Promise<unknown>, what: string): Promise<number> {
  const error = await assertRejects(read, Error, undefined, what);
  assert(isAetherError(error, "CorruptEventError"), `${what}: ${error}`);
  assertMatch(error.message, /lost/, what);
  return error.sequence;
}

const FILTERS: Record<string, EventFilter> = {
  "all": {},
  "a category": { category: "order" },
  "an actor": { actorId: "order-1" },
  "a type": { eventTypes: ["Happened"] },
};

natsTest(
  "open() refuses a stream that has lost messages, unless the losses are accepted",
  async (scene) => {
    await using store = await filled(scene);
    const { namespace } = scene;
    const operator = await scene.connect();
    await mistake(operator, store.stream);
    for (const acceptedLosses of [undefined, 7]) {
      const options = { namespace, ...acceptedLosses !== undefined && { acceptedLosses } };
      const error = await assertRejects(() => JetStreamEventStore.open(operator, options));
      assert(isAetherError(error, "StreamConfigError"), String(error));
      assertMatch(error.message, /has lost 8 of its messages \(stream sequences 2 to 9\)/);
    }
    for (const acceptedLosses of [8, Infinity]) {
      await using salvaged = await JetStreamEventStore.open(operator, {
        namespace,
        acceptedLosses,
      });
      for (const [what, filter] of Object.entries(FILTERS)) {
        const count = filter.category ?? filter.actorId ? 2 : 4;
        const events = await Array.fromAsync(salvaged.readAll({ filter }));
        assertEquals(events.length, count, what);
        assertEquals((await take(salvaged.subscribe({ filter }), count)).length, count, what);
      }
      const { events, errors } = await salvaged.getEventsWithErrors("order-1");
      assertEquals([events.length, errors.length], [2, 1]);
      await corruptAt(() => salvaged.getEvents("order-1"), "a history");
    }
    await using salvaged = await JetStreamEventStore.open(operator, {
      namespace,
      acceptedLosses: 8,
    });
    await salvaged.saveEvent(fact("order-1", 7));
    // A later loss is not accepted.
    await mistake(operator, store.stream, { max_msgs_per_subject: 1 });
    await corruptAt(() => Array.fromAsync(salvaged.readAll()), "the whole store");
    await corruptAt(() => first(salvaged.subscribe()), "a subscription");
  },
);

natsTest("A stream that has lost its beginning says so", async (scene) => {
  await using store = await filled(scene);
  const operator = await scene.connect();
  await mistake(operator, store.stream, { max_msgs: 5, discard: "old" });
  const { namespace } = scene;
  const error = await assertRejects(() => JetStreamEventStore.open(operator, { namespace }));
  assert(isAetherError(error, "StreamConfigError"), String(error));
  assertMatch(error.message, /has lost its first messages, up to stream sequence 8/);
  for (const read of [() => Array.fromAsync(store.readAll()), () => first(store.subscribe())]) {
    const lost = await assertRejects(read);
    assert(isAetherError(lost, "StreamRegressedError"), String(lost));
  }
});

for (const [what, filter] of Object.entries(FILTERS)) {
  natsTest(
    `A reader of ${what} fails behind a hole, and passes over it from there`,
    async (scene) => {
      await using store = await filled(scene);
      const operator = await scene.connect();
      await mistake(operator, store.stream);
      const reads: Record<string, (from?: number) => AsyncIterable<RecordedEvent>> = {
        "readAll()": (from = 0) => store.readAll({ filter, from }),
        "subscribe()": (from) => store.subscribe({ filter, from: from ?? "start" }),
      };
      for (const [way, read] of Object.entries(reads)) {
        const at = await corruptAt(() => take(read(), 9), way);
        assertEquals(streamSequenceOf(at), 10, way);
        const event = await first(read(at));
        assertEquals([event?.sequence, event?.version], [at, 5], way);
        // From before the hole it fails in the same place.
        assertEquals(await corruptAt(() => take(read(256 * 5), 9), way), at, way);
      }
    },
  );

  natsTest(`A reader of ${what} notices a hole that comes while it reads`, async (scene) => {
    await using store = await filled(scene);
    const operator = await scene.connect();
    const count = filter.category ?? filter.actorId ? 6 : 12;
    const subscription = store.subscribe({ filter })[Symbol.asyncIterator]();
    for (let at = 0; at < count; at++) await subscription.next();
    // More than a subscription reads ahead.
    const versions = Array.from({ length: 1_500 }, (_, at) => at + 7);
    await using other = await JetStreamEventStore.open(operator, { namespace: scene.namespace });
    for (const version of versions) await other.saveEvent(fact("order-1", version));
    await mistake(operator, store.stream);
    const at = await corruptAt(async () => {
      for (;;) {
        const { value } = await subscription.next();
        if (value?.version === versions.at(-1)) return;
      }
    }, "a subscription");
    const from = store.subscribe({ filter, from: at });
    assertEquals((await first(from))?.sequence, at);
  });
}

natsTest("A projection halts at a hole, also when it is run again", async (scene) => {
  await using store = await filled(scene);
  await mistake(await scene.connect(), store.stream);
  const checkpoints = new InMemoryCheckpointStore();
  for (let time = 0; time < 2; time++) {
    const seen: number[] = [];
    const projection = new Projection({
      ...{ name: "p", store: store as EventStore, checkpoints },
      handler: ({ sequence }: RecordedEvent) => void seen.push(sequence),
    });
    const running = projection.run();
    await corruptAt(() => Promise.race([projection.caughtUp, running]), "a projection");
    await running.catch(() => {});
    await projection[Symbol.asyncDispose]();
    assertEquals(seen, []);
  }
});

natsTest("Events behind a hole are unhandled, and the wait for them goes on", async (scene) => {
  await using store = await filled(scene);
  await mistake(await scene.connect(), store.stream);
  await using projection = new Projection({
    ...{ name: "p", store: store as EventStore, checkpoints: new InMemoryCheckpointStore() },
    handler: () => {},
  });
  assertEquals((await projection.lag()).events, 4);
  const behind = await corruptAt(() => Array.fromAsync(store.readAll()), "the whole store");
  const error = await assertRejects(() => projection.reached(behind, { timeout: 500 }));
  assert(error instanceof DOMException && error.name === "TimeoutError", String(error));
});

natsTest(
  "A parked actor that has lost events stays parked until that is accepted",
  async (scene) => {
    const { namespace } = scene;
    await using store = await filled(scene);
    const checkpoints = new InMemoryCheckpointStore();
    const seen: string[] = [];
    let isBroken = true;
    const errors: unknown[] = [];
    const run = (own: EventStore) => {
      const projection = new Projection({
        ...{ name: "p", store: own, checkpoints, onPoison: "park", retry: { attempts: 1 } },
        onError: (error: unknown) => void errors.push(error),
        handler: ({ actorId, version }: RecordedEvent) => {
          if (isBroken && actorId === "order-1") throw new Error("no");
          seen.push(`${actorId} ${version}`);
        },
      });
      const running = projection.run();
      const end = async () => {
        await projection[Symbol.asyncDispose]();
        await running;
      };
      return { projection, [Symbol.asyncDispose]: end };
    };
    {
      await using own = run(store);
      await own.projection.caughtUp;
      const [before] = await own.projection.parked();
      assertEquals([before?.version, before?.events], [1, 6]);
      await mistake(await scene.connect(), store.stream);
      isBroken = false;
      seen.length = errors.length = 0;
      for (const attempts of [2, 3]) {
        assertEquals(await own.projection.unpark("order-1"), false);
        const [parked] = await own.projection.parked();
        assertMatch(parked!.reason, /lost/);
        assertEquals({ ...parked, reason: "" }, { ...before!, attempts, reason: "" });
      }
      assertEquals(seen, []);
      assertEquals(errors.length, 2);
    }
    await using accepting = await JetStreamEventStore.open(await scene.connect(), {
      ...{ namespace, acceptedLosses: Infinity },
    });
    await using own = run(accepting);
    assertEquals(await own.projection.unpark("order-1"), true);
    assertEquals(seen, ["order-1 5", "order-1 6"]);
    assertEquals(await own.projection.parked(), []);
  },
);

clusterTest(
  "Control: replicas that lose their leader lose no message and report none",
  async (scene) => {
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(await scene.connect(), {
      ...{ namespace, replicas: 3 },
    });
    const operator = await scene.connect();
    for (let round = 1; round <= 3; round++) {
      const saves = Array.from(
        { length: 200 },
        (_, at) =>
          store.saveEvents([fact(`order-${at}`, 2 * round - 1), fact(`stock-${at}`, 2 * round)]),
      );
      await api(operator, `STREAM.LEADER.STEPDOWN.${store.stream}`).catch(() => {}); // Its answer may be lost.
      await Promise.all(saves);
      await using other = await JetStreamEventStore.open(operator, { namespace });
      assertEquals((await Array.fromAsync(other.readAll())).length, 400 * round);
      assertEquals((await take(other.subscribe(), 400 * round)).length, 400 * round);
    }
  },
);
