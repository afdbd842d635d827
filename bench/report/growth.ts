/** One server as actors become many. */
import { connect } from "@nats-io/transport-node";
import { eventOf, fillWith, Scene, subjectOf } from "../scene.ts";
import { JetStreamEventStore } from "../../mod.ts";
import { type Chapter, type Comparison, pointsOf } from "./chapter.ts";

/** How long a server with many actors may take to start, in ms. */
const RESTART = 600_000;

/** `AETHER_LONG` asks for more actors than one would wait for in a report of twenty minutes. */
const LONG = Deno.env.get("AETHER_LONG") !== undefined;
const COUNTS = [1_000, 100_000, 1_000_000, ...LONG ? [5_000_000, 10_000_000] : []];

export const growth: Chapter = {
  name: "growth",
  async run(context) {
    const comparisons: Comparison[] = [];
    const facts: { what: string; value: string }[] = [];
    const memory: { x: number; y: number; way: string }[] = [];
    await using scene = await Scene.open({ timeout: RESTART });
    const { store, connection } = scene;
    const [server] = scene.servers;
    const heapBefore = Deno.memoryUsage().heapUsed;
    let there = 0;
    let saved = 0;
    for (const count of context.size(COUNTS, [500])) {
      const how = `${count.toLocaleString("en")} actors`;
      context.say(`${how} are made`);
      const first = there;
      await fillWith(connection, count - first, (at) => {
        const actorId = `actor-${first + at}`;
        return { subject: subjectOf(actorId), event: eventOf(actorId, 1) };
      });
      there = count;
      const random = () => `actor-${Math.floor(Math.random() * count)}`;
      comparisons.push(
        await context.compare(how, [
          {
            name: "raw direct get, random actor",
            run: async () => void await scene.lastMessage(subjectOf(random())),
          },
          {
            name: "lookup, random actor",
            run: async () => void await store.getLatestVersion(random(), { fresh: true }),
          },
          {
            name: "save",
            run: async () => void await store.saveEvent(eventOf("order-1", ++saved)),
          },
        ], count),
      );
      const listed = performance.now();
      let actors = 0;
      for await (const _actor of store.listActors()) actors++;
      facts.push({ what: `listActors(), ${how}`, value: `${ms(listed)} ms for ${actors}` });
      const resident = residentOf(server!.pid!);
      memory.push({ x: count, y: resident, way: "server, MiB" });
      facts.push({ what: `Server's memory, ${how}`, value: `${resident.toFixed(0)} MiB` });
      await server!.kill();
      const started = performance.now();
      await server!.restart();
      await firstAnswer(server!.url, store.namespace, random());
      facts.push({
        what: `Start after kill -9 to the first answer, ${how}`,
        value: `${ms(started)} ms`,
      });
      // The store that was open goes on.
      await store.getLatestVersion("order-1", { fresh: true });
    }
    const heap = (Deno.memoryUsage().heapUsed - heapBefore) / 2 ** 20;
    facts.push({ what: "Growth of this process's heap in all", value: `${heap.toFixed(0)} MiB` });
    return [{
      title: "Growth",
      about:
        "One server, one event for each actor. Lookups are of random actors, so that most are " +
        "read from the disk's cache by the server.",
      comparisons,
      facts,
      charts: [{
        file: "growth",
        title: "One lookup and one save by number of actors",
        x: "actors",
        y: "median, µs",
        points: pointsOf(comparisons, ({ run }) => run.p50 * 1000),
      }, {
        file: "growth-p99",
        title: "The slowest of a hundred",
        x: "actors",
        y: "p99, µs",
        points: pointsOf(comparisons, ({ run }) => run.p99 * 1000),
      }, {
        file: "growth-memory",
        title: "Memory of the server",
        x: "actors",
        y: "MiB",
        points: memory,
      }],
    }];
  },
};

function ms(begun: number): string {
  return Math.round(performance.now() - begun).toLocaleString("en");
}

/** MiB that a process has in memory. */
function residentOf(pid: number): number {
  const line = /VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`));
  return Number(line?.[1] ?? NaN) / 1024;
}

/** Looks an actor up over a new connection; resolves when the server answers. */
async function firstAnswer(servers: string, namespace: string, actorId: string): Promise<void> {
  const connection = await connect({ servers });
  const store = await JetStreamEventStore.open(connection, { namespace, timeout: 60_000 });
  await store.getLatestVersion(actorId, { fresh: true });
  await store[Symbol.asyncDispose]();
  await connection.close();
}
