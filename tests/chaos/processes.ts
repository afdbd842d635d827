/**
 * Processes: orders of ten steps, run by three programs on three NATS servers. Programs and servers
 * are killed and frozen, stock runs out and comes back, and half-way all programs get new code.
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import {
  appendEvents,
  type EventDraft,
  execute,
  InMemoryCheckpointStore,
  isAetherError,
  JetStreamEventStore,
  ProcessManager,
} from "../../store/mod.ts";
import { NatsCluster } from "../../tools/nats_cluster.ts";
import type { NatsServer } from "../../tools/nats_server.ts";
import { assertVerified } from "../support/verified.ts";
import { Crew, type CrewNote } from "./crew.ts";
import { type Chaos, type Findings, pause, type Scenario } from "./scenario.ts";
import { readLog } from "./stored_log.ts";
import { stock, TARGETS, tradeProcess, WAITS } from "./trade/trade.ts";
import { entriesOf, type Entry, judge } from "./trade/trade_log.ts";
import type { TraderOptions } from "./trade/trader.ts";

const NAMESPACE = "chaos";
const PROGRAMS = ["a", "b", "c"];
const SKUS = ["pen", "ink", "pad", "cap", "bag"];
/** How long none of the orders may come further when nothing harms them any more, in ms. */
const PATIENCE = 60_000;

/** What came of a storm. */
export interface Trading {
  readonly findings: Findings;
  /** The ids of the orders. */
  readonly placed: readonly string[];
  /** All that is stored. */
  readonly entries: readonly Entry[];
}

/** Has `orders` orders placed while `chaos` lasts; throws where a promise is broken. */
export async function trading(chaos: Chaos, orders: number): Promise<Trading> {
  await using nats = await NatsCluster.start(3);
  const connection = await connect({ servers: nats.urls, maxReconnectAttempts: -1 });
  const shared = { namespace: NAMESPACE, replicas: 3 };
  const store = await JetStreamEventStore.open(connection, shared);
  const crew = new Crew<TraderOptions, CrewNote>(new URL("trade/trader.ts", import.meta.url), {
    ...{ ...shared, servers: nats.urls, deploy: 1 },
  });
  try {
    for (const nodeId of PROGRAMS) crew.start(nodeId);
    await Promise.all(PROGRAMS.map((nodeId) => crew.of(nodeId, "runs")));
    const over = performance.now() + chaos.duration;
    const harm = { "programs killed": 0, "programs frozen": 0, "servers killed": 0, "frozen": 0 };
    const storm = harmAll(chaos, crew, nats, over, harm);
    const placed = await trade(chaos, store, orders, over);
    await storm;
    for (const nodeId of PROGRAMS) crew.resume(nodeId);
    await nats.waitHealthy();
    const slowest = await ended(store, placed);
    await Promise.all(PROGRAMS.map((nodeId) => crew.end(nodeId)));
    const log = await readLog(connection, NAMESPACE);
    await assertVerified(connection, NAMESPACE);
    const entries = entriesOf(log, NAMESPACE);
    const { problems, counts } = judge(entries, placed);
    if (problems.length > 0) throw new Error(problems.slice(0, 20).join("\n"));
    const { late, ...rest } = counts;
    const findings = {
      ...{ orders: placed.length, ...rest, "late p99 ms": late },
      ...{ "until all ended ms": Math.round(slowest), ...harm },
    };
    return { findings, placed, entries };
  } finally {
    await crew[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
    await connection.close();
  }
}

/** Places orders, has some paid, and supplies stock; gives the orders' ids. */
async function trade(
  chaos: Chaos,
  store: JetStreamEventStore,
  orders: number,
  over: number,
): Promise<string[]> {
  const placed: string[] = [];
  const customers: Promise<void>[] = [];
  let supplies = 0;
  const supply = async (sku: string, by: number) => {
    const commandId = `supply-${++supplies}`;
    await persist(() => execute(store, `stock-${sku}`, stock, { by }, { commandId }));
  };
  // There is enough for half of the orders, at first for few.
  const each = Math.ceil(orders * 3 / SKUS.length / 2 / 10);
  for (const sku of SKUS) await supply(sku, each);
  const every = (over - performance.now()) * 0.9 / orders;
  for (let at = 0; at < orders; at++) {
    const skus = [...SKUS].sort(() => chaos.random() - 0.5).slice(0, 3);
    const id = String(at);
    await save(store, `order-${id}`, { eventType: "OrderPlaced", data: { skus } });
    placed.push(id);
    const chance = chaos.random();
    // Some never pay, some at the last moment.
    if (chance < 0.8) {
      const wait = chance < 0.6
        ? chaos.between(0, 1_500)
        : WAITS.payment + chaos.between(-200, 200);
      customers.push((async () => {
        await pause(wait);
        await save(store, `customer-${id}`, { eventType: "CustomerPaid", data: null });
      })());
    }
    if (at % Math.ceil(orders / 10) === 0) {
      for (const sku of SKUS) customers.push(supply(sku, each));
    }
    await pause(every * 2 * chaos.random());
  }
  await Promise.all(customers);
  return placed;
}

/** Harms programs and servers until it is over; half-way programs get new code. */
async function harmAll(
  chaos: Chaos,
  crew: Crew<TraderOptions, CrewNote>,
  nats: NatsCluster,
  over: number,
  harm: Record<string, number>,
): Promise<void> {
  const half = over - chaos.duration / 2;
  const deploys = new Map<string, 1 | 2>(PROGRAMS.map((nodeId) => [nodeId, 1]));
  const again = async (nodeId: string) => {
    await crew.kill(nodeId);
    crew.start(nodeId, { deploy: deploys.get(nodeId)! });
    await crew.of(nodeId, "runs");
  };
  const frozen: Promise<void>[] = [];
  const server = (): NatsServer => chaos.pick(nats.servers);
  while (performance.now() < over) {
    await pause(chaos.between(300, 1_500));
    const old = PROGRAMS.find((nodeId) => deploys.get(nodeId) === 1);
    if (old !== undefined && performance.now() > half) {
      chaos.log(`"${old}" gets new code`);
      deploys.set(old, 2);
      await again(old);
      continue;
    }
    const program = chaos.pick(PROGRAMS);
    const chance = chaos.random();
    if (chance < 0.4) {
      chaos.log(`"${program}" is killed`);
      harm["programs killed"]!++;
      await again(program);
    } else if (chance < 0.7) {
      if (!await crew.stop(program)) continue;
      const ms = chaos.between(200, 6_000);
      chaos.log(`"${program}" is frozen for ${ms.toFixed()} ms`);
      harm["programs frozen"]!++;
      frozen.push(pause(ms).then(() => crew.resume(program)));
    } else if (chance < 0.9) {
      const victim = server();
      chaos.log(`server ${victim.name} is killed`);
      harm["servers killed"]!++;
      await victim.kill();
      await pause(chaos.between(100, 1_500));
      await victim.restart();
      await nats.waitHealthy();
    } else {
      const victim = server();
      const ms = chaos.between(200, 3_000);
      chaos.log(`server ${victim.name} is frozen for ${ms.toFixed()} ms`);
      harm["frozen"]!++;
      await victim.pause();
      await pause(ms);
      victim.resume();
      await nats.waitHealthy();
    }
  }
  await Promise.all(frozen);
}

/** Waits until all orders have ended, and all that they issued is settled; gives how long that took. */
async function ended(store: JetStreamEventStore, placed: readonly string[]): Promise<number> {
  const manager = new ProcessManager({
    ...{ process: tradeProcess(2), store, checkpoints: new InMemoryCheckpointStore() },
    ...{ deciders: TARGETS, from: "start" },
  });
  const start = performance.now();
  // A machine that is busy takes its time; a process that nobody wakes comes no further at all.
  let [end, movedAt, looks] = [await versionsOf(store, placed), start, 0];
  for (const id of placed) {
    for (;;) {
      const found = await persist(() => manager.describe(id));
      if (found.ended !== undefined && found.commands.length === 0) break;
      if (++looks % 100 === 0) {
        const before = end;
        end = await versionsOf(store, placed);
        if (end > before) movedAt = performance.now();
      }
      if (performance.now() - movedAt > PATIENCE) {
        const rest = await Promise.all(
          placed.map((other) => persist(() => manager.describe(other))),
        );
        const open = rest.filter((it) => it.ended === undefined || it.commands.length > 0);
        throw new Error(
          `${open.length} orders come no further: ${
            open.map(({ id }) => id).slice(0, 20)
          }; order ${id} ` +
            `at ${new Date().toISOString()}: ${Deno.inspect(found)}`,
        );
      }
      await pause(50);
    }
  }
  return performance.now() - start;
}

/** The versions of all orders together: they grow with each input that is taken. */
async function versionsOf(
  store: JetStreamEventStore,
  placed: readonly string[],
): Promise<number> {
  const actors = placed.map((id) => `process:trade-${id}`);
  const versions = await persist(() => store.getLatestVersions(actors, { fresh: true }));
  return [...versions.values()].reduce((sum, version) => sum + version, 0);
}

/** Saves the first event of an actor, as often as it takes. */
async function save(store: JetStreamEventStore, actorId: string, draft: EventDraft) {
  const id = crypto.randomUUID(); // The same at each try.
  await persist(() => appendEvents(store, actorId, 0, [{ ...draft, id }]));
}

/** Does `work` until the servers answer. */
async function persist<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const isPassing = isAetherError(error, "StoreUnavailableError") ||
        isAetherError(error, "SaveOutcomeUnknownError");
      if (!isPassing) throw error;
      await pause(20);
    }
  }
}

/** See above. */
export const processesScenario: Scenario = {
  description:
    "orders of ten steps while programs and servers are killed and frozen, and get new " +
    "code: paid or cancelled, stock conserved, each command once, no deadline early or lost",
  minutes: 3,
  run: async (chaos) => {
    const orders = Math.max(20, Math.round(1_000 * chaos.duration / 180_000));
    return (await trading(chaos, orders)).findings;
  },
};
