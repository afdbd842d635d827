/** Commits by the number of events of one actor in them. */
import { headers } from "@nats-io/nats-core";
import { bodyOf, eventOf, Scene, subjectOf } from "../scene.ts";
import type { Chapter, Comparison } from "./chapter.ts";

/** A raw message of more events would be over the payload limit. */
const MOST_RAW = 1000;

export const commits: Chapter = {
  name: "commits",
  async run(context) {
    await using scene = await Scene.open();
    const { store, js } = scene;
    const comparisons: Comparison[] = [];
    let actors = 0;
    for (const size of context.size([1, 2, 10, 100, 1000], [1, 10])) {
      const make = () => {
        const actorId = `order-${++actors}`;
        return Array.from({ length: size }, (_, at) => eventOf(actorId, at + 1));
      };
      const raw = {
        name: "raw message of as many bytes",
        run: async () => {
          const events = make();
          const expected = headers();
          expected.set("Nats-Expected-Last-Subject-Sequence", "0");
          const begun = performance.now();
          const body = events.map(bodyOf).join("");
          await js.publish(subjectOf(events[0]!.actorId), body, { headers: expected });
          return performance.now() - begun;
        },
      };
      const own = {
        name: "saveEvents",
        run: async () => {
          const events = make();
          const begun = performance.now();
          await store.saveEvents(events);
          return performance.now() - begun;
        },
      };
      const ways = size <= MOST_RAW ? [raw, own] : [own];
      comparisons.push(
        await context.compare(`a commit of ${size.toLocaleString("en")} events`, ways, size),
      );
    }
    return [{
      title: "Commits by events in them",
      about:
        "All events of a commit are of one new actor. Beside a raw message that holds the same " +
        "JSON; up to 256 events take one message of the store, 1,000 take a batch of four.",
      comparisons,
      charts: [{
        file: "commits",
        title: "Events a second by events in a commit, one commit at a time",
        x: "events in a commit",
        y: "events a second",
        points: comparisons.flatMap(({ x = 1, ways }) =>
          ways.map(({ name, perSecond }) => ({ x, y: perSecond * x, way: name }))
        ),
      }],
    }];
  },
};
