/** Histories read whole, by their length. */
import { createEvent, type Event, InMemoryEventStore } from "../../mod.ts";
import { eventIn, eventOf, fill, fillTogether, Scene, subjectOf } from "../scene.ts";
import { type Chapter, type Comparison, pointsOf } from "./chapter.ts";
import type { Way } from "./measure.ts";

/** More than there are: the whole history by one pull. */
const ALL = 10_000;

export const reads: Chapter = {
  name: "reads",
  async run(context) {
    await using scene = await Scene.open();
    const { store, connection } = scene;

    const check = (events: readonly unknown[], count: number) => {
      if (events.length !== count) throw new Error(`${events.length} of ${count} events`);
    };
    const ordered = (
      name: string,
      actorId: string,
      count: number,
      messages: number,
      prefetch?: number,
    ): Way => ({
      name,
      run: async () => {
        const events: Event[] = [];
        const ms = await scene.consume(subjectOf(actorId), messages, prefetch, (text) => {
          if (messages === count) events.push(eventIn(text));
          else for (const line of text.trimEnd().split("\n")) events.push(eventIn(line));
        });
        check(events, count);
        return ms;
      },
    });
    const direct = (actorId: string, count: number): Way => ({
      name: "raw direct batch",
      run: async () => {
        const events: Event[] = [];
        const query = { seq: 1, next_by_subj: subjectOf(actorId), batch: count };
        await scene.collect(query, (message) => events.push(eventIn(message.string())));
        check(events, count);
      },
    });
    const own = (actorId: string, count: number): Way => ({
      name: "getEvents",
      run: async () => check(await store.getEvents(actorId), count),
    });

    const single: Comparison[] = [];
    for (const count of context.size([10, 100, 1_000, 10_000], [10, 100])) {
      const actorId = `order-${count}`;
      await fill(connection, actorId, count);
      const ways = [
        ordered("ordered consumer, large prefetch", actorId, count, count, ALL),
        ordered("ordered consumer", actorId, count, count),
        direct(actorId, count),
        own(actorId, count),
      ];
      single.push(
        await context.compare(`a history of ${count.toLocaleString("en")} saves`, ways, count),
      );
    }

    const together: Comparison[] = [];
    const count = context.size(1_000, 50);
    for (let first = 1; first <= count; first += 10) {
      await store.saveEvents(
        Array.from({ length: 10 }, (_, at) => eventOf("tens", first + at)),
      );
    }
    together.push(
      await context.compare(`a history of ${count.toLocaleString("en")} events in commits of ten`, [
        ordered("ordered consumer, large prefetch", "tens", count, count / 10, ALL),
        own("tens", count),
      ]),
    );
    const most = context.size(10_000, 500);
    await fillTogether(store, "together", most);
    together.push(
      await context.compare(
        `a history of ${most.toLocaleString("en")} events in commits of 1,000`,
        [
          ordered("ordered consumer, large prefetch", "together", most, Math.ceil(most / 250), ALL),
          own("together", most),
        ],
      ),
    );

    await using memory = new InMemoryEventStore();
    const { eventType, data } = eventOf("order-1", 1);
    for (let version = 1; version <= most; version += 500) {
      await memory.saveEvents(
        Array.from(
          { length: 500 },
          (_, at) => createEvent({ eventType, actorId: "order-1", version: version + at, data }),
        ),
      );
    }
    const kept = await memory.getEvents("order-1");
    const inMemory = await context.compare(`${most.toLocaleString("en")} events in memory`, [
      {
        name: "structuredClone",
        run: () => Promise.resolve(check(structuredClone(kept), most)),
      },
      { name: "getEvents", run: async () => check(await memory.getEvents("order-1"), most) },
    ]);
    return [{
      title: "Histories",
      about:
        "All ways parse the same JSON and its date. Beside that, the store proves that nothing " +
        "is missing and that nothing acknowledged is left out. The ordered consumer is that of " +
        `nats.js, with its default prefetch and with one of ${
          ALL.toLocaleString("en")
        }; its end is ` +
        "not counted. Each reader of the store in memory gets copies of its own.",
      comparisons: [...single, ...together, inMemory],
      charts: [{
        file: "histories",
        title: "A history of single saves, read whole",
        x: "events",
        y: "median, µs",
        points: pointsOf(single, ({ run }) => run.p50 * 1000),
      }],
    }];
  },
};
