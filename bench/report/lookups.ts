/** Latest versions: of one actor by the number of its events, and of a thousand actors. */
import { eventOf, fill, Scene, subjectOf } from "../scene.ts";
import { type Chapter, microseconds, pointsOf } from "./chapter.ts";

const BESIDE = 1000;

export const lookups: Chapter = {
  name: "lookups",
  async run(context) {
    await using scene = await Scene.open();
    const { store, connection } = scene;
    const cached = await scene.openStore({});
    const byConsumer = await scene.openStore({ versionLookup: "deliver-last" });
    const others = Array.from({ length: BESIDE }, (_, at) => `other-${at}`);
    await store.saveEvents(others.map((actorId) => eventOf(actorId, 1)));

    const one = [];
    for (const count of context.size([10, 1_000, 100_000, 1_000_000], [10, 100])) {
      const actorId = `order-${count}`;
      const subject = subjectOf(actorId);
      context.say(`${count.toLocaleString("en")} events of one actor`);
      await fill(connection, actorId, count);
      const all = [actorId, ...others];
      const few = count > 10_000 ? { most: count > 100_000 ? 1 : 3 } : {};
      const among = `among ${count.toLocaleString("en")} events`;
      // Slow ways apart: what they leave behind them would fall on the next one of a round.
      one.push(
        await context.compare(`latest version ${among}`, [
          { name: "raw direct get", run: async () => void await scene.lastMessage(subject) },
          {
            name: "uncached",
            run: async () => void await store.getLatestVersion(actorId, { fresh: true }),
          },
        ], count),
        await context.compare(`latest version ${among}, from memory`, [{
          name: "cached",
          ops: all.length,
          run: async () => {
            await cached.getLatestVersions(all, { fresh: true });
            const begun = performance.now();
            for (const id of all) await cached.getLatestVersion(id);
            return performance.now() - begun;
          },
        }], count),
        await context.compare(`latest version ${among}, by a consumer`, [
          {
            name: "lean deliver-last consumer",
            run: async () => void await scene.lastByConsumer(subject),
          },
          {
            name: "deliver-last",
            run: async () => void await byConsumer.getLatestVersion(actorId, { fresh: true }),
          },
        ], count),
        await context.compare(`latest version ${among}, by reading all`, [
          { name: "full scan", ...few, run: async () => void await store.getEvents(actorId) },
        ], count),
      );
    }

    const ids = others.slice(0, context.size(1000, 50));
    const subjects = ids.map(subjectOf);
    const many = [
      await context.compare(`latest versions of ${ids.length.toLocaleString("en")} actors`, [
        {
          name: "lookups in parallel",
          run: async () => {
            await Promise.all(ids.map((id) => store.getLatestVersion(id, { fresh: true })));
          },
        },
        {
          name: "getLatestVersions",
          run: async () => void await store.getLatestVersions(ids, { fresh: true }),
        },
        {
          name: "raw multi_last, nothing parsed",
          run: () => scene.collect({ multi_last: subjects }, () => {}),
        },
      ]),
      await context.compare(`events of ${ids.length.toLocaleString("en")} actors with one event`, [
        {
          name: "getEvents in parallel",
          run: async () => void await Promise.all(ids.map((id) => store.getEvents(id))),
        },
        { name: "getEventsOf", run: async () => void await store.getEventsOf(ids) },
      ]),
    ];
    for (const it of [cached, byConsumer]) await it[Symbol.asyncDispose]();

    await using three = await Scene.open({ replicas: 3 });
    await three.store.saveEvent(eventOf("order-1", 1));
    const subject = subjectOf("order-1");
    const replicated = await context.compare("latest version, three replicas", [
      {
        name: "raw get from the leader",
        run: async () => void await three.leadersLastMessage(subject),
      },
      {
        name: "uncached",
        run: async () => void await three.store.getLatestVersion("order-1", { fresh: true }),
      },
    ]);
    return [{
      title: "Latest versions",
      about:
        "The raw request is a direct get of the last message, as the store's own is; the lean " +
        "consumer takes two requests and no library. `cached` is a store with default options that " +
        `was told of ${BESIDE} actors within the last second, each looked up once. On replicas a ` +
        "fresh lookup asks the leader, and a replica for the proof.",
      comparisons: [...one, ...many, replicated],
      charts: [{
        file: "lookups",
        title: "Latest version of an actor",
        x: "events of the actor",
        y: "median, µs",
        points: pointsOf(one, microseconds),
      }],
    }];
  },
};
