/** Subscriptions and projections: catching up, and live. */
import { DatabaseSync } from "node:sqlite";
import { SqliteCheckpointStore } from "../../adapters/sqlite/mod.ts";
import type { Event } from "../../mod.ts";
import { InMemoryCheckpointStore, KvCheckpointStore, Projection } from "../../mod.ts";
import type { CheckpointStore } from "../../mod.ts";
import { eventIn, eventOf, fillWith, Scene, subjectOf } from "../scene.ts";
import type { Chapter } from "./chapter.ts";

const ACTORS = 100;
const EVERYTHING = "aether.bench.event.>";

export const subscriptions: Chapter = {
  name: "subscriptions",
  async run(context) {
    await using scene = await Scene.open();
    const { store, connection, js } = scene;
    const count = context.size(20_000, 500);
    await fillWith(connection, count, (at) => {
      const actorId = `order-${at % ACTORS}`;
      return { subject: subjectOf(actorId), event: eventOf(actorId, Math.floor(at / ACTORS) + 1) };
    });
    const kv = await KvCheckpointStore.open(connection, { namespace: "bench" });
    let runs = 0;
    const project = async <Tx>(
      checkpoints: CheckpointStore<Tx>,
      partitions = 1,
    ): Promise<number> => {
      let seen = 0;
      const all = Promise.withResolvers<void>();
      const projection = new Projection<Tx>({
        ...{ name: `bench-${++runs}`, store, checkpoints, partitions },
        handler: () => {
          if (++seen === count) all.resolve();
        },
      });
      const begun = performance.now();
      const done = projection.run();
      await Promise.race([all.promise, done]);
      const ms = performance.now() - begun;
      await projection[Symbol.asyncDispose]();
      await done;
      return ms;
    };
    const ordered = (name: string, prefetch?: number) => ({
      name,
      ops: count,
      run: () => scene.consume(EVERYTHING, count, prefetch, eventIn),
    });
    const replay = await context.compare(`${count.toLocaleString("en")} events replayed`, [
      ordered("ordered consumer, large prefetch", 10_000),
      ordered("ordered consumer"),
      {
        name: "readAll",
        ops: count,
        run: async () => {
          let seen = 0;
          for await (const _event of store.readAll()) seen++;
          if (seen !== count) throw new Error(`${seen} of ${count} events`);
        },
      },
      {
        name: "subscribe",
        ops: count,
        run: async () => {
          const begun = performance.now();
          let seen = 0;
          let ms = 0;
          for await (const _event of store.subscribe()) {
            if (++seen < count) continue;
            ms = performance.now() - begun;
            break;
          }
          return ms;
        },
      },
      {
        name: "projection, checkpoints in memory",
        ops: count,
        run: () => project(new InMemoryCheckpointStore()),
      },
      { name: "projection, checkpoints in KV", ops: count, run: () => project(kv) },
      {
        name: "projection, checkpoints in SQLite",
        ops: count,
        run: async () => {
          const db = new DatabaseSync(":memory:");
          const ms = await project(new SqliteCheckpointStore(db));
          db.close();
          return ms;
        },
      },
      {
        name: "projection, 8 partitions in one process",
        ops: count,
        run: () => project(new InMemoryCheckpointStore(), 8),
      },
    ]);

    const arrivals = (actorId: string, next: () => Promise<Event | undefined>) => {
      let version = 0;
      return async () => {
        const arrived = next();
        await store.saveEvent(eventOf(actorId, ++version));
        const event = await arrived;
        if (event?.version !== version) throw new Error(`version ${event?.version}`);
      };
    };
    const consumer = await js.consumers.get(store.stream, {
      filter_subjects: [subjectOf("live-1")],
    });
    const messages = await consumer.consume();
    const raw = messages[Symbol.asyncIterator]();
    const subscription = store.subscribe({ filter: { actorId: "live-2" } });
    const events = subscription[Symbol.asyncIterator]();
    const live = await context.compare("a save, until it arrives", [
      {
        name: "ordered consumer",
        run: arrivals("live-1", async () => {
          const { value } = await raw.next();
          return eventIn(value.string());
        }),
      },
      { name: "subscribe", run: arrivals("live-2", async () => (await events.next()).value) },
    ]);
    await subscription[Symbol.asyncDispose]();
    messages.stop();
    await consumer.delete();
    return [{
      title: "Subscriptions and projections",
      about:
        "Replays of events of 100 actors; all ways parse the JSON and its date. The handler of " +
        "the projections does nothing.",
      comparisons: [replay, live],
      charts: [{
        file: "subscriptions",
        title: "Replay of the store",
        x: "way",
        y: "events a second",
        mark: "bar",
        points: replay.ways.map(({ name, perSecond }) => ({ x: name, y: perSecond, way: name })),
      }],
    }];
  },
};
