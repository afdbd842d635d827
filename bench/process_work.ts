/** The work of benches of commands with ids, joint decisions, processes and deadlines. */
import {
  type CommandCause,
  createEvent,
  type Decider,
  type Event,
  execute,
  executeAll,
  InMemoryCheckpointStore,
  KvCheckpointStore,
  type Process,
  ProcessManager,
  type ProcessManagerOptions,
  type ProcessReaction,
} from "../mod.ts";
import { readLog } from "../tests/chaos/stored_log.ts";
import { entriesOf } from "../tests/chaos/trade/trade_log.ts";
import { Child } from "../tests/support/child.ts";
import { eventOf, type Scene } from "./scene.ts";

const NAMESPACE = "bench";
const CAUSES = 1000;
/** Steps of each process: a step is an input, and a command that is settled. */
const STEPS = 5;

type Added = Event<"Added", { by: number; customer: string; address: string }>;

const counter: Decider<number, number, Added> = {
  initialState: () => 0,
  evolve: (total, event) => total + event.data.by,
  decide: (by) => ({
    eventType: "Added",
    data: { by, customer: "customer-4711", address: "1 Main Street" },
  }),
};

/** Calls `work` for each number below `count`, so many at a time; gives how long that took, in ms. */
async function spent(
  count: number,
  inFlight: number,
  work: (at: number) => Promise<unknown>,
): Promise<number> {
  const start = performance.now();
  let next = 0;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (next < count) await work(next++);
  }));
  return performance.now() - start;
}

/** Commands with ids and without, the causes saved before; each gives how long a thousand took. */
export async function commandRuns({ store }: Scene, count = 1000) {
  const causes: CommandCause[] = [];
  const { identity } = store;
  for (let at = 0; at < CAUSES; at++) {
    const event = eventOf(`cause-${at}`, 1);
    const { sequence } = await store.saveEvent(event);
    causes.push({ identity, sequence, id: event.id });
  }
  const plain = (known: string = "known") =>
    spent(count, 64, (at) => execute(store, `${known}-${at % 500}`, counter, 1));
  const named = (known: string = "named") =>
    spent(count, 64, (at) => {
      const options = { commandId: crypto.randomUUID(), cause: causes[at % CAUSES]! };
      return execute(store, `${known}-${at % 500}`, counter, 1, options);
    });
  await plain();
  await named();
  return { plain, named };
}

/** Decisions over three new actors, 64 in flight, beside the same by independent calls. */
export function jointRuns({ store }: Scene, count: number) {
  let rounds = 0;
  const all = (name: string, at: number) =>
    ["a", "b", "c"].map((part) => ({
      ...{ actorId: `${name}-${at}-${part}`, decider: counter, command: 1 },
    }));
  const run = (name: string, work: (name: string, at: number) => Promise<unknown>) => () => {
    const round = `${name}${rounds++}`;
    return spent(count, 64, (at) => work(round, at));
  };
  return {
    apart: run(
      "apart",
      (name, at) => Promise.all(all(name, at).map((it) => execute(store, it.actorId, counter, 1))),
    ),
    together: run("cold", (name, at) => executeAll(store, all(name, at))),
    named: run(
      "named",
      (name, at) => executeAll(store, all(name, at), { commandId: `${name}-${at}` }),
    ),
  };
}

/** Decisions over one hot actor and two new ones, 16 at once; counts those that are refused. */
export function hotRun({ store }: Scene, count: number, onRefused: () => void) {
  let rounds = 0;
  return () => {
    const round = rounds++;
    return spent(count, 16, async (at) => {
      const actors = ["hot", `hot${round}-${at}-a`, `hot${round}-${at}-b`];
      const all = actors.map((actorId) => ({ actorId, decider: counter, command: 1 }));
      await executeAll(store, all).catch(onRefused);
    });
  };
}

type Placed = Event<"Placed", number>;

/** A process that issues a command at each step, until it has done so many. */
function stepping(steps: number): Process<number, Placed, Event<"Stepped", null>> {
  return {
    name: "step",
    correlate: ({ actorId }) => actorId.slice("order-".length),
    initialState: () => 0,
    evolve: (step) => step + 1,
    react: (step, _input, { id }): ProcessReaction<Event<"Stepped", null>> => {
      const facts = [{ eventType: "Stepped" as const, data: null }];
      if (step === steps) return { facts, done: true };
      return { facts, commands: [{ actorId: `target-${id}`, command: 1 }] };
    },
  };
}

/** The options of a manager whose processes step. */
export function steppingOptions(steps: number = STEPS) {
  return {
    ...{ process: stepping(steps), from: "start", filter: { category: "order" } },
    deciders: { target: counter },
  } satisfies Partial<ProcessManagerOptions<number, Placed, Event<"Stepped", null>>>;
}

/** Resolves when as many events of a type as wanted are stored in a category. */
async function stored(scene: Scene, category: string, type: string, wanted: number): Promise<void> {
  const { store } = scene;
  await using subscription = store.subscribe({ filter: { category, eventTypes: [type] } });
  for await (const _ of subscription) if (--wanted === 0) return;
}

/** Programs that run processes whose steps are measured. */
export class Steps implements AsyncDisposable {
  /** Steps in one run. */
  readonly ops: number;
  readonly #scene: Scene;
  readonly #programs: readonly Child[];
  readonly #count: number;
  #placed = 0;

  private constructor(scene: Scene, programs: readonly Child[], count: number) {
    this.#scene = scene;
    this.#programs = programs;
    this.#count = count;
    this.ops = count * STEPS;
  }

  /** Starts so many programs; each run is of `count` processes. */
  static async start(scene: Scene, programs: number, count: number): Promise<Steps> {
    const script = new URL("step_program.ts", import.meta.url);
    const servers = scene.servers.map(({ url }) => url);
    const replicas = servers.length;
    const args = [JSON.stringify({ servers, namespace: NAMESPACE, replicas })];
    const children = Array.from({ length: programs }, () => new Child(script, args));
    const steps = new Steps(scene, children, count);
    for (const child of children) await child.line();
    await steps.run(); // They share the partitions out meanwhile.
    return steps;
  }

  /** Places orders, and waits until their processes have ended. */
  async run(): Promise<void> {
    const { store } = this.#scene;
    const first = this.#placed;
    this.#placed += this.#count;
    const ended = stored(this.#scene, "process:step", "ProcessEnded", this.#placed);
    await spent(this.#count, 64, (at) => {
      const facts = { eventType: "Placed", version: 1, data: 1 };
      return store.saveEvent(createEvent({ ...facts, actorId: `order-${first + at}` }));
    });
    await ended;
  }

  /** Ends the programs. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#programs) await child.end();
  }
}

/** From a save to the first command's event, while nothing else is under way: so many times, in ms. */
export async function idleTimes(scene: Scene, count: number): Promise<number[]> {
  const { store } = scene;
  const manager = new ProcessManager({
    ...steppingOptions(1),
    ...{ store, checkpoints: new InMemoryCheckpointStore(), from: "now" },
  });
  const running = manager.run();
  await manager.caughtUp;
  const times: number[] = [];
  await using targets = store.subscribe({ filter: { category: "target" } });
  const arriving = targets[Symbol.asyncIterator]();
  for (let at = 0; at < count; at++) {
    await new Promise((resolve) => setTimeout(resolve, 20)); // Idle again.
    const actorId = `order-${at}`;
    const event = createEvent({ eventType: "Placed", actorId, version: 1, data: 1 });
    await store.saveEvent(event);
    const start = performance.now();
    await arriving.next();
    times.push(performance.now() - start);
  }
  await manager[Symbol.asyncDispose]();
  await running;
  return times;
}

/** How deadlines have come. */
export interface Fired {
  /** How late each was by the stored time, in ms. */
  readonly late: readonly number[];
  /** From the time of the first one until the last one was stored, in ms. */
  readonly ms: number;
  readonly setPerSecond: number;
  /** Whether all were set before the first one was due: else lateness says nothing. */
  readonly inTime: boolean;
  /** Memory that the process took for all of them, in MB. */
  readonly memory: number;
}

/** Fires deadlines that are due evenly over `span` ms, each of a process of its own. */
export async function fire(scene: Scene, count: number, span: number): Promise<Fired> {
  const { store, connection } = scene;
  let first = Infinity;
  let decided = 0;
  const allDecided = Promise.withResolvers<void>();
  const process: Process<null, Placed, Event<"Fired", null>> = {
    ...{ name: "timed", correlate: ({ actorId }) => actorId.slice("order-".length) },
    ...{ initialState: () => null, evolve: (state) => state },
    react: (_state, input, { now }) => {
      if (!("kind" in input)) {
        // The first ones show how long the others will take.
        const far = new Date(now.getTime() + 86_400_000);
        const end = input.data < 0 ? far : new Date(Math.round(first + span * input.data / count));
        return { deadlines: { end } };
      }
      if (++decided === count) allDecided.resolve();
      return { facts: [{ eventType: "Fired", data: null }], done: true };
    },
  };
  const place = async (name: string, from: number, to: number) => {
    for (let start = from; start < to; start += 1000) {
      const length = Math.min(1000, to - start);
      await store.saveEvents(Array.from({ length }, (_, at) => {
        const facts = { eventType: "Placed", version: 1, data: start + at };
        return createEvent({ ...facts, actorId: `order-${name}-${start + at}` });
      }));
    }
  };
  const warmUp = Math.min(count, 1000);
  await place("warm", -warmUp, 0);
  const checkpoints = await KvCheckpointStore.open(connection, { namespace: NAMESPACE });
  const manager = new ProcessManager({
    ...{ process, store, checkpoints, from: "start", filter: { category: "order" } },
  });
  let start = performance.now();
  const running = manager.run();
  await stored(scene, "process:timed", "DeadlineSet", warmUp);
  const each = (performance.now() - start) / warmUp;
  const before = Deno.memoryUsage().rss;
  first = Date.now() + 2_000 + 2 * each * count;
  start = performance.now();
  await place("timed", 0, count);
  await stored(scene, "process:timed", "DeadlineSet", warmUp + count);
  const setPerSecond = Math.round(count / (performance.now() - start) * 1000);
  const inTime = Date.now() < first;
  const memory = Math.round((Deno.memoryUsage().rss - before) / 1e6);
  await allDecided.promise; // A subscription meanwhile would take a tenth of this thread.
  await stored(scene, "process:timed", "Fired", count);
  await manager[Symbol.asyncDispose]();
  await running;
  const late: number[] = [];
  const dues = new Map<string, number>();
  let last = 0;
  const log = await readLog(connection, NAMESPACE);
  for (const { actorId, type, data, time } of entriesOf(log, NAMESPACE)) {
    if (type === "DeadlineSet") dues.set(actorId, Date.parse((data as { at: string }).at));
    if (type !== "Fired") continue;
    late.push(time - dues.get(actorId)!);
    last = Math.max(last, time);
  }
  await checkpoints[Symbol.asyncDispose]();
  return { late, ms: last - first, setPerSecond, inTime, memory };
}
