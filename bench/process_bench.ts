/**
 * Commands with ids, decisions over several actors, processes and deadlines, on one nats-server or
 * on three. A script that prints one JSON object for each part that is named:
 *
 *     deno task deno run -A bench/process_bench.ts commands joint hot steps idle deadlines due
 *         [--replicas=3] [--count=N]
 *
 * As a bench it compares commands with and without ids; an iteration is 1,000 commands.
 */
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
  type ProcessReaction,
} from "../mod.ts";
import { entriesOf } from "../tests/chaos/trade/trade_log.ts";
import { readLog } from "../tests/chaos/stored_log.ts";
import { eventOf, Scene } from "./scene.ts";

const NAMESPACE = "bench";
const CAUSES = 1000;

type Added = Event<"Added", { by: number; customer: string; address: string }>;

const counter: Decider<number, number, Added> = {
  initialState: () => 0,
  evolve: (total, event) => total + event.data.by,
  decide: (by) => ({
    eventType: "Added",
    data: { by, customer: "customer-4711", address: "1 Main Street" },
  }),
};

const PARTS: Record<string, (scene: Scene, count: number | undefined) => Promise<object>> = {
  ...{ commands, joint, hot, steps, idle, deadlines, due },
};

if (import.meta.main) {
  const [replicas, count] = ["replicas", "count"].map((name) => {
    const found = Deno.args.find((arg) => arg.startsWith(`--${name}=`));
    return found === undefined ? undefined : Number(found.slice(name.length + 3));
  });
  for (const name of Deno.args.filter((arg) => !arg.startsWith("--"))) {
    const part = PARTS[name];
    if (part === undefined) {
      throw new RangeError(`Cannot measure ${name}: there is ${Object.keys(PARTS)}`);
    }
    await using scene = await Scene.open({ replicas: replicas === 3 ? 3 : 1 });
    console.log(
      JSON.stringify({ part: name, replicas: replicas ?? 1, ...await part(scene, count) }),
    );
  }
  Deno.exit(0);
} else {
  const scene = await Scene.open();
  const run = await commandRuns(scene);
  const group = "1,000 commands on 500 known actors, 64 in flight";
  Deno.bench(group, { group, baseline: true }, async () => void await run.plain());
  Deno.bench(`${group}, with commandId and cause`, { group }, async () => void await run.named());
}

/** Calls `work` for each number below `count`, so many at a time; gives the rate a second. */
async function rate(
  count: number,
  inFlight: number,
  work: (at: number) => Promise<unknown>,
): Promise<number> {
  const start = performance.now();
  let next = 0;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    while (next < count) await work(next++);
  }));
  return Math.round(count / (performance.now() - start) * 1000);
}

/** A thousand commands with ids and without, the causes saved before. */
async function commandRuns({ store }: Scene) {
  const causes: CommandCause[] = [];
  const { identity } = store;
  for (let at = 0; at < CAUSES; at++) {
    const event = eventOf(`cause-${at}`, 1);
    const { sequence } = await store.saveEvent(event);
    causes.push({ identity, sequence, id: event.id });
  }
  const plain = (known: string = "known") =>
    rate(1000, 64, (at) => execute(store, `${known}-${at % 500}`, counter, 1));
  const named = (known: string = "named") =>
    rate(1000, 64, (at) => {
      const options = { commandId: crypto.randomUUID(), cause: causes[at % CAUSES]! };
      return execute(store, `${known}-${at % 500}`, counter, 1, options);
    });
  await plain();
  await named();
  return { plain, named };
}

/** The quietest of several rounds. */
async function commands(scene: Scene) {
  const { plain, named } = await commandRuns(scene);
  const best = { plain: 0, named: 0, plainCold: 0, namedCold: 0 };
  for (let round = 0; round < 10; round++) {
    best.plain = Math.max(best.plain, await plain());
    best.named = Math.max(best.named, await named());
    best.plainCold = Math.max(best.plainCold, await plain(`cold-${round}`));
    best.namedCold = Math.max(best.namedCold, await named(`chill-${round}`));
  }
  const ratio = (best.plain / best.named).toFixed(2);
  const ratioCold = (best.plainCold / best.namedCold).toFixed(2);
  return { ...best, ratio, ratioCold };
}

/** Decisions over three new actors, 64 in flight, beside the same by independent calls. */
async function joint({ store }: Scene, count = 3000) {
  const all = (name: string, at: number) =>
    ["a", "b", "c"].map((part) => ({
      ...{ actorId: `${name}-${at}-${part}`, decider: counter, command: 1 },
    }));
  await rate(200, 64, (at) => executeAll(store, all("warm", at)));
  const together = await rate(count, 64, (at) => executeAll(store, all("cold", at)));
  const named = await rate(
    count,
    64,
    (at) => executeAll(store, all("named", at), { commandId: `named-${at}` }),
  );
  const apart = await rate(
    count,
    64,
    (at) => Promise.all(all("apart", at).map((it) => execute(store, it.actorId, counter, 1))),
  );
  return { together, named, "as independent calls": apart };
}

/** Decisions over one hot actor and two new ones, 16 at once. */
async function hot({ store }: Scene, count = 2000) {
  let refused = 0;
  const call = (name: string) => async (at: number) => {
    const actors = ["hot", `${name}-${at}-a`, `${name}-${at}-b`];
    const all = actors.map((actorId) => ({ actorId, decider: counter, command: 1 }));
    await executeAll(store, all).catch(() => refused++);
  };
  await rate(100, 16, call("warm"));
  return { perSecond: await rate(count, 16, call("cold")), refused };
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

/** Resolves when as many events of a type as wanted are stored in a category. */
async function stored(scene: Scene, category: string, type: string, wanted: number): Promise<void> {
  const { store } = scene;
  await using subscription = store.subscribe({ filter: { category, eventTypes: [type] } });
  for await (const _ of subscription) if (--wanted === 0) return;
}

/** Five steps of each of many processes, placed before; a step is an input, and a command settled. */
async function steps(scene: Scene, count = 1000) {
  const { store, connection } = scene;
  const STEPS = 5;
  const checkpoints = await KvCheckpointStore.open(connection, { namespace: NAMESPACE });
  const place = (at: number) =>
    store.saveEvent(
      createEvent({ eventType: "Placed", actorId: `order-${at}`, version: 1, data: 1 }),
    );
  await rate(count, 64, place);
  const manager = new ProcessManager({
    ...{ process: stepping(STEPS), store, checkpoints, from: "start" },
    ...{ filter: { category: "order" }, deciders: { target: counter } },
  });
  const start = performance.now();
  const running = manager.run();
  await stored(scene, "process:step", "ProcessEnded", count);
  const elapsed = performance.now() - start;
  await manager[Symbol.asyncDispose]();
  await running;
  await checkpoints[Symbol.asyncDispose]();
  return { stepsPerSecond: Math.round(count * STEPS / elapsed * 1000) };
}

/** From a save to the first command's event, while nothing else is under way. */
async function idle(scene: Scene, count = 200) {
  const { store } = scene;
  const manager = new ProcessManager({
    ...{ process: stepping(1), store, checkpoints: new InMemoryCheckpointStore(), from: "now" },
    ...{ filter: { category: "order" }, deciders: { target: counter } },
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
  return { p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/** Deadlines over 60 s, each of a process of its own. */
function deadlines(scene: Scene, count = 100_000) {
  return fire(scene, count, 60_000);
}

/** Deadlines that are all due at one instant. */
function due(scene: Scene, count = 10_000) {
  return fire(scene, count, 0);
}

async function fire(scene: Scene, count: number, span: number) {
  const { store, connection } = scene;
  // By what one step takes on slow machines.
  const first = Date.now() + 5_000 + count;
  const process: Process<null, Placed, Event<"Fired", null>> = {
    ...{ name: "timed", correlate: ({ actorId }) => actorId.slice("order-".length) },
    ...{ initialState: () => null, evolve: (state) => state },
    react: (_state, input) => {
      if (!("kind" in input)) {
        return { deadlines: { end: new Date(Math.round(first + span * input.data / count)) } };
      }
      return { facts: [{ eventType: "Fired", data: null }], done: true };
    },
  };
  for (let start = 0; start < count; start += 1000) {
    await store.saveEvents(
      Array.from({ length: Math.min(1000, count - start) }, (_, at) => {
        const number = start + at;
        const facts = { eventType: "Placed", version: 1, data: number };
        return createEvent({ ...facts, actorId: `order-${number}` });
      }),
    );
  }
  const checkpoints = await KvCheckpointStore.open(connection, { namespace: NAMESPACE });
  const before = Deno.memoryUsage().rss;
  const manager = new ProcessManager({
    ...{ process, store, checkpoints, from: "start", filter: { category: "order" } },
  });
  const start = performance.now();
  const running = manager.run();
  await stored(scene, "process:timed", "DeadlineSet", count);
  const setPerSecond = Math.round(count / (performance.now() - start) * 1000);
  const isLate = Date.now() > first;
  const rss = Deno.memoryUsage().rss;
  await stored(scene, "process:timed", "Fired", count);
  await manager[Symbol.asyncDispose]();
  await running;
  const late: number[] = [];
  const dues = new Map<string, number>();
  let last = 0;
  for (
    const { actorId, type, data, time } of entriesOf(
      await readLog(connection, NAMESPACE),
      NAMESPACE,
    )
  ) {
    if (type === "DeadlineSet") dues.set(actorId, Date.parse((data as { at: string }).at));
    if (type !== "Fired") continue;
    late.push(time - dues.get(actorId)!);
    last = Math.max(last, time);
  }
  await checkpoints[Symbol.asyncDispose]();
  return {
    ...{ count, setPerSecond, "set in time": !isLate, fired: late.length },
    ...{ early: late.filter((ms) => ms < 0).length },
    ...{ "late p50 ms": quantile(late, 0.5), "late p99 ms": quantile(late, 0.99) },
    ...{ firedPerSecond: Math.round(count / (last - first) * 1000) },
    ...{ "rss MB": Math.round(rss / 1e6), "rss MB before": Math.round(before / 1e6) },
  };
}

function quantile(values: number[], part: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return Math.round((sorted[Math.floor(sorted.length * part)] ?? NaN) * 10) / 10;
}
