import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { SqliteCheckpointStore } from "../../../adapters/sqlite/mod.ts";
import { type CheckpointStore, KvCheckpointStore, Projection } from "../../../store/mod.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { range } from "./bed.ts";
import {
  assertComplete,
  type Effect,
  effectsIn,
  effectsOf,
  folder,
  Worker,
  Writer,
} from "./crew.ts";
import type { ProcessOptions } from "./process.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;
const ACTORS = range(1, 40).map((number) => `order-${number}`);
/** Only the server deletes the consumers of a killed process, after a while. */
const KILLED = { leakCheck: false };
const BATCH = 20;
const PARTITIONS = 8;

/** Three processes that share a projection while events are saved. */
interface Scenario {
  readonly effects: () => Effect[] | Promise<Effect[]>;
  readonly options: ProcessOptions;
  readonly checkpoints: CheckpointStore<unknown>;
}

/**
 * Has three workers share the work, does `harm` to the first while events are saved, and gives
 * the effects that come more than once when all is handled.
 */
async function repeatedBy(
  scene: Scene,
  { effects, options, checkpoints }: Scenario,
  harm: (workers: Worker[], writer: Writer) => Promise<void>,
): Promise<{ readonly repeated: Effect[]; readonly all: Effect[] }> {
  await using writer = await Writer.start(scene, ACTORS);
  const workers = [0, 1, 2].map(() => new Worker(scene, options));
  await Promise.all(workers.map(({ ready }) => ready));
  await harm(workers, writer);
  await writer.further(20);
  const count = await writer.stop();
  const { store } = writer;
  const observer = new Projection({ name: "effects", store, checkpoints, handler() {} });
  await observer.caughtUp;
  await observer[Symbol.asyncDispose]();
  for (const worker of workers) await worker[Symbol.asyncDispose]();
  const all = await effects();
  return { repeated: assertComplete(all, ACTORS, count), all };
}

async function withSqlite(
  run: (scenario: Scenario) => Promise<void>,
  options: ProcessOptions = {},
): Promise<void> {
  await using place = await folder();
  const database = `${place.path}/model.db`;
  const db = new DatabaseSync(database);
  await run({
    effects: () => effectsIn(database),
    options: { database, lease: 2_000, partitions: PARTITIONS, batch: BATCH, ...options },
    checkpoints: new SqliteCheckpointStore(db) as CheckpointStore<unknown>,
  });
  db.close();
}

async function withKv(scene: Scene, run: (scenario: Scenario) => Promise<void>): Promise<void> {
  await using place = await folder();
  const { namespace } = scene;
  await using checkpoints = await KvCheckpointStore.open(await scene.connect(), { namespace });
  const effects = `${place.path}/effects`;
  await run({
    effects: () => effectsOf(effects),
    options: { effects, lease: 2_000, partitions: PARTITIONS, batch: BATCH },
    checkpoints,
  });
}

/** Kills a worker again and again, with another one in its place. */
async function kill(
  scene: Scene,
  options: ProcessOptions,
  workers: Worker[],
  writer: Writer,
): Promise<void> {
  for (let time = 0; time < (LONG ? 10 : 2); time++) {
    await workers.shift()!.kill();
    await writer.further(10);
    const next = new Worker(scene, options);
    workers.push(next);
    await next.ready;
  }
}

/** Freezes a worker for so long that the others take over; then it goes on where it was. */
async function freeze([first]: Worker[], writer: Writer, effects: Scenario["effects"]) {
  await first!.stop();
  try {
    const before = new Set(await partitionsOf(effects, first!.name));
    const taken = async () => {
      const later = (await effects()).filter(({ worker }) => worker !== first!.name);
      return [...before].every((partition) => later.some((it) => it.partition === partition));
    };
    assert(before.size > 0);
    while (!await taken()) await writer.further(5);
  } finally {
    first!.resume();
  }
}

async function partitionsOf(effects: Scenario["effects"], name: string): Promise<number[]> {
  return (await effects()).filter(({ worker }) => worker === name).map((it) => it.partition);
}

/** Events of one partition that one worker repeated. */
function assertAtMostABatch(repeated: readonly Effect[]): void {
  const key = ({ worker, partition }: Effect) => `${worker} in partition ${partition}`;
  for (const [by, own] of Map.groupBy(repeated, key)) {
    assert(own.length <= BATCH, `${own.length} events were repeated by ${by}`);
  }
}

natsTest("Workers killed, checkpoints in SQLite: one effect for each event", async (scene) => {
  await withSqlite(async (scenario) => {
    const { repeated, all } = await repeatedBy(
      scene,
      scenario,
      (workers, writer) => kill(scene, scenario.options, workers, writer),
    );
    assertEquals(repeated, []);
    assert(new Set(all.map(({ worker }) => worker)).size >= 4, "Others have taken part");
  });
}, KILLED);

natsTest("Workers killed, checkpoints in KV: at most a batch is repeated", async (scene) => {
  await withKv(scene, async (scenario) => {
    const { repeated } = await repeatedBy(
      scene,
      scenario,
      (workers, writer) => kill(scene, scenario.options, workers, writer),
    );
    assertAtMostABatch(repeated);
  });
}, KILLED);

natsTest("A worker that wakes up late, checkpoints in KV: it is fenced", async (scene) => {
  await withKv(scene, async (scenario) => {
    const { repeated } = await repeatedBy(
      scene,
      scenario,
      (workers, writer) => freeze(workers, writer, scenario.effects),
    );
    assertAtMostABatch(repeated);
  });
}, KILLED);
