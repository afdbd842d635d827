/**
 * Steady load: every part of the library is at work on one connection, for long and at one pace. Once
 * the caches are full, the heap must not grow; and when all is closed, nothing may be left.
 *
 * @module
 */

import { Cluster, Election } from "../../../cluster/mod.ts";
import {
  createEvent,
  execute,
  JetStreamEventStore,
  KvCheckpointStore,
  NatsEventBus,
  ProcessManager,
  Projection,
  ProjectionLeases,
  Reactor,
} from "../../../mod.ts";
import { count, QUICK } from "../../cluster/bed.ts";
import { Desk } from "../../inspector/bed.ts";
import { type Chaos, type Findings, pause, type Scenario } from "../scenario.ts";
import { LeakBed } from "./leaks.ts";
import { counter, timed } from "./parts.ts";

/** Between one round of the load and the next, in ms. */
const PACE = 50;
/**
 * Actors that get commands: few, as the last 1,000 commands of each are remembered. Each round also has
 * a new actor, for which a process begins and ends.
 */
const ACTORS = 5;
/** How often the heap is measured in each third of the time; in the first one, caches fill. */
const SAMPLES = 12;
/** Bytes by which the least heap of the last third may exceed that of the second. */
const NOISE = 1024 * 1024;
const NAMESPACE = "steady";
/** Versions that the store remembers: few, so that they are soon that many. */
const CACHE_SIZE = 1_000;

/** All parts, at work until they are closed. */
interface Works extends AsyncDisposable {
  /** Gives each part something to do. */
  round(): Promise<void>;
  /** Resolves when the parts have done what was given to them. */
  settled(): Promise<void>;
}

async function openWorks({ connection, chaos }: LeakBed): Promise<Works> {
  await using rest = new AsyncDisposableStack();
  const own = { namespace: NAMESPACE };
  const bus = rest.use(new NatsEventBus(connection));
  const store = rest.use(
    await JetStreamEventStore.open(connection, { ...own, broadcaster: bus, cacheSize: CACHE_SIZE }),
  );
  const checkpoints = rest.use(await KvCheckpointStore.open(connection, own));
  const leases = rest.use(await ProjectionLeases.open(connection, own));
  const shared = { store, checkpoints, leases, from: "start" } as const;
  const workers = [
    new Projection({ ...shared, name: "all", partitions: 4, handler: () => {} }),
    new ProcessManager({ ...shared, process: timed, filter: { category: "order" } }),
    new Reactor({
      ...{ ...shared, name: "counts", filter: { category: "order" } },
      react: ({ id }) => ({ actorId: `counter-${id}`, decider: counter, command: 1 }),
    }),
  ];
  const stop = new AbortController();
  const { signal } = stop;
  const running = workers.map((worker) => rest.use(worker).run({ signal }));
  const election = rest.use(await Election.open(connection, { ...own, nodeId: "node-1" }));
  await election.campaign({ signal });
  const cluster = rest.use(
    await Cluster.join(connection, { ...QUICK, namespace: `${NAMESPACE}-nodes`, nodeId: "node-1" }),
  );
  count(cluster);
  let heard = 0;
  await bus.on(NAMESPACE, () => void heard++, { signal }).ready;
  const desk = new Desk({ store, signal });
  // Not the list of actors, which the inspector keeps: there are new ones in each round.
  const views = ["projections"];
  const shown = [
    rest.use(await desk.live("live", { views })),
    rest.use(await desk.live("tail")),
  ];
  const looks = shown.map(async (live) => {
    while (await live.next() !== undefined);
  });
  const parts = rest.move();
  return {
    async round() {
      const at = Math.floor(chaos.between(0, ACTORS));
      const order = createEvent({
        ...{
          eventType: "Ordered",
          actorId: `order-${crypto.randomUUID()}`,
          version: 1,
          data: "it",
        },
      });
      await Promise.all([
        store.saveEvent(order),
        execute(store, `counter-${at}`, counter, 1, { commandId: crypto.randomUUID() }),
        cluster.send(`counter-${at}`, { by: 1 }),
      ]);
      await store.getEvents(order.actorId);
      await store.getLatestVersion(`counter-${at}`, { fresh: true });
    },
    async settled() {
      for (const worker of workers) await worker.caughtUp;
      if (heard === 0) throw new Error("The bus brought no notification");
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await parts.disposeAsync();
      await Promise.all([...looks, ...running]);
    },
  };
}

/** How steady load is given and judged. */
export interface SteadyOptions {
  /** Bytes that each round may add, where the time is too short for the caches to be full. @default {0} */
  readonly filling?: number;
  /** How often the heap is measured in each third of the time. @default {12} */
  readonly samples?: number;
  /** Done in each round. */
  readonly also?: () => void;
}

/** Loads the parts for the time of `chaos`; throws if the heap grows, or something is left in the end. */
export async function steadily(
  chaos: Chaos,
  { filling = 0, samples = SAMPLES, also = () => {} }: SteadyOptions = {},
): Promise<Findings> {
  await using bed = await LeakBed.open(chaos);
  const before = await bed.held();
  const heaps: number[] = [];
  let rounds = 0;
  {
    await using works = await openWorks(bed);
    const start = performance.now();
    for (let sample = 1; sample <= 3 * samples; sample++) {
      const end = start + chaos.duration * sample / (3 * samples);
      do {
        const next = performance.now() + PACE;
        await works.round();
        also();
        rounds++;
        await pause(Math.max(0, next - performance.now()));
      } while (performance.now() < end);
      await works.settled();
      heaps.push(await bed.heap());
      chaos.log(`${rounds} rounds, heap ${megabytes(heaps.at(-1)!)} MB`);
    }
  }
  // The streams stay, with what was stored.
  const left = (await bed.left(before)).filter((kind) => !kind.includes("× stream "));
  if (left.length > 0) throw new Error(`The parts leak: there are left ${left.join(", ")}`);
  const [second, last] = [heaps.slice(samples, 2 * samples), heaps.slice(2 * samples)];
  const growth = Math.min(...last) - Math.min(...second);
  const course = [heaps[0]!, Math.min(...second), Math.min(...last)].map(megabytes).join(" -> ");
  if (growth > NOISE + filling * rounds) {
    throw new Error(`The heap grows under steady load: ${course} MB in ${rounds} rounds`);
  }
  return { rounds, "heap, MB": course };
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(2);
}

/** See the module. */
export const steady: Scenario = {
  description:
    "all parts are at work at one pace: once the caches are full, the heap stays as it is",
  minutes: 60,
  run: (chaos) => steadily(chaos),
};
