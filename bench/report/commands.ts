/** Commands: loaded, decided and saved as one event; from one process, and through a cluster. */
import { connect } from "@nats-io/transport-node";
import { appendEvents, type Decider, type Event, execute } from "../../mod.ts";
import { Cluster } from "../../cluster/mod.ts";
import { deno } from "../../tools/command.ts";
import { eventOf, Scene } from "../scene.ts";
import type { Chapter, Context, Section } from "./chapter.ts";
import { inFlight, type Way } from "./measure.ts";

type Added = Event<"Added", { by: number; customer: string; address: string }>;

const data = { by: 1, customer: "customer-4711", address: "1 Main Street" };

const counter: Decider<number, number, Added> = {
  initialState: () => 0,
  evolve: (total, event) => total + event.data.by,
  decide: (by) => ({ eventType: "Added", data: { ...data, by } }),
};

export const commands: Chapter = {
  name: "commands",
  async run(context) {
    return [await alone(context), await inCluster(context)];
  },
};

async function alone(context: Context): Promise<Section> {
  await using scene = await Scene.open();
  const { store } = scene;
  const count = context.size(1000, 20);
  const numbers = Array.from({ length: count }, (_, at) => at);
  const versions = new Map<string, number>();
  const saves = (name: string, most: number, actors: number): Way => ({
    name: "saveEvent",
    ops: count,
    run: () =>
      inFlight(numbers, most, (at) => {
        const actorId = `${name}-${at % actors}`;
        const version = (versions.get(actorId) ?? 0) + 1;
        versions.set(actorId, version);
        return store.saveEvent(eventOf(actorId, version));
      }),
  });
  const commands = (name: string, most: number, actors: number): Way => ({
    name: "execute",
    ops: count,
    run: () =>
      inFlight(numbers, most, (at) => execute(store, `${name}-${at % actors}`, counter, 1)),
  });
  const kinds = [
    ["on one actor, one at a time", 1, 1],
    ["on one actor, 8 in flight", 8, 1],
    ["on 500 actors, 64 in flight", 64, 500],
  ] as const;
  const comparisons = [];
  for (const [at, [how, most, actors]] of kinds.entries()) {
    const ways = [saves(`save${at}`, most, actors), commands(`execute${at}`, most, actors)];
    comparisons.push(await context.compare(`commands ${how}`, ways));
  }
  const facts = context.short ? [] : [await fourProcesses(), ...await allocations()];
  return {
    title: "Commands of one process",
    about:
      "A command loads the actor's state, decides, and saves one event. Beside bare saves of " +
      "events that were decided already. The slowest command is shown too.",
    comparisons,
    facts,
  };
}

async function fourProcesses() {
  const { stdout } = await deno(["run", "-A", "bench/four_processes.ts", "8"]);
  const { perSecond, slowestMs, refused } = JSON.parse(stdout);
  return {
    what: "Commands of four processes on one actor, 8 in flight each",
    value: `${perSecond.toLocaleString("en")}/s; slowest ${slowestMs} ms; ${refused} refused`,
  };
}

async function allocations() {
  const flags = "--v8-flags=--expose-gc,--min-semi-space-size=64,--max-semi-space-size=64";
  const { stdout } = await deno(["run", "-A", flags, "bench/allocation.ts"]);
  const names: Record<string, string> = {
    rawRequest: "raw direct get",
    uncached: "uncached lookup",
    cached: "cached lookup",
  };
  return Object.entries<number>(JSON.parse(stdout)).map(([name, bytes]) => ({
    what: `Bytes that one ${names[name] ?? name} allocates`,
    value: bytes.toLocaleString("en"),
  }));
}

async function inCluster(context: Context): Promise<Section> {
  await using scene = await Scene.open({ replicas: 3 });
  await using stack = new AsyncDisposableStack();
  const nodes: Cluster[] = [];
  for (const [at, { url }] of scene.servers.entries()) {
    const connection = await connect({ servers: url, maxReconnectAttempts: -1 });
    stack.defer(() => connection.close());
    const nodeId = `node-${at}`;
    const node = await Cluster.join(connection, { namespace: "send", nodeId, replicas: 3 });
    stack.defer(() => node.leave());
    node.handle(async (_command, { actorId, store }) => {
      const version = await store.getLatestVersion(actorId);
      await appendEvents(store, actorId, version, [{ eventType: "Added", data }]);
      return version + 1;
    });
    nodes.push(node);
  }
  const actors = 300;
  context.say("the cluster shares its shards out");
  const numbers = Array.from({ length: actors }, (_, at) => at);
  const send = (at: number) => nodes[at % 3]!.send(`counter-${at % actors}`, { by: 1 });
  await inFlight(numbers, 16, send);
  const plain = await scene.openStore({ replicas: 3 });
  stack.use(plain);
  const versions = new Map<string, number>();
  const comparisons = [];
  for (const most of context.size([1, 16, 128], [16])) {
    const ops = context.size(most === 1 ? 100 : 1_000, 20);
    const items = Array.from({ length: ops }, (_, at) => at);
    comparisons.push(
      await context.compare(`commands through a cluster, ${most} in flight`, [
        {
          name: "saveEvent, plain store",
          ops,
          run: () =>
            inFlight(items, most, (at) => {
              const actorId = `plain${most}-${at % actors}`;
              const version = (versions.get(actorId) ?? 0) + 1;
              versions.set(actorId, version);
              return plain.saveEvent(eventOf(actorId, version));
            }),
        },
        { name: "send", ops, run: () => inFlight(items, most, send) },
      ], most),
    );
  }
  return {
    title: "Commands through a cluster",
    about: "Three nodes in one process, each on another one of three servers; replicas 3. Each " +
      "command goes to the owner of its actor, is handled there, and its event is saved once, under " +
      "the owner's fence. Beside bare saves of a plain store. All seven share the machine.",
    comparisons,
    charts: [{
      file: "cluster",
      title: "Commands through a cluster",
      x: "commands in flight",
      y: "a second",
      points: comparisons.flatMap(({ x = 1, ways }) =>
        ways.map(({ name, perSecond }) => ({ x, y: perSecond, way: name }))
      ),
    }],
  };
}
