/** Saves that carry an owner's claim, on three replicas. */
import { FencedEventStore } from "../../cluster/mod.ts";
import { type Event, JetStreamEventStore } from "../../mod.ts";
import { eventOf, Scene } from "../scene.ts";
import type { Chapter } from "./chapter.ts";
import { inFlight, type Way } from "./measure.ts";

const SHARDS = 64;

interface Saver extends AsyncDisposable {
  saveEvent(event: Event): Promise<unknown>;
}

export const fenced: Chapter = {
  name: "fenced",
  async run(context) {
    await using scene = await Scene.open({ replicas: 3 });
    await using stack = new AsyncDisposableStack();
    const settings = { shards: SHARDS, replicas: 3 };
    const stores: [string, Saver][] = [];
    const open = async (name: string, store: Promise<Saver>) => {
      stores.push([name, stack.use(await store)]);
    };
    const { connection } = scene;
    await open("plain", JetStreamEventStore.open(connection, { ...settings, namespace: "plain" }));
    for (const mode of ["optimistic", "fenced"] as const) {
      await open(
        mode,
        (async () => {
          const own = { ...settings, namespace: mode, nodeId: "a", mode };
          const store = await FencedEventStore.open(connection, own);
          await Promise.all([...Array(SHARDS).keys()].map((shard) => store.claim(shard, 1)));
          return store;
        })(),
      );
    }
    const comparisons = [];
    for (const most of context.size([1, 1000], [16])) {
      const ops = most === 1 ? 1 : context.size(2_000, 50);
      const ways = stores.map(([name, store]): Way => {
        let version = 0;
        return {
          name,
          ops,
          run: () => {
            version++;
            const events = [...Array(ops).keys()].map((at) => eventOf(`f${most}-${at}`, version));
            return inFlight(events, most, (event) => store.saveEvent(event));
          },
        };
      });
      const how = most === 1 ? "one at a time" : `${most.toLocaleString("en")} in flight`;
      comparisons.push(await context.compare(`saves, ${how}`, ways));
    }
    return [{
      title: "Fenced saves, three replicas",
      about:
        `An owner of ${SHARDS} shards. A fenced save proves in its commit that the shard is still ` +
        "the owner's; those that wait share a batch.",
      comparisons,
      charts: [{
        file: "fenced",
        title: "Saves on three replicas",
        x: "saves",
        y: "saves a second",
        mark: "bar",
        points: comparisons.flatMap(({ work, ways }) =>
          ways.map(({ name, perSecond }) => ({ x: work, y: perSecond, way: name }))
        ),
      }],
    }];
  },
};
