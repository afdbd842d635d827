import { assert, assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { SqliteCheckpointStore } from "../../../adapters/sqlite/mod.ts";
import { KvCheckpointStore, Projection } from "../../../store/mod.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { range } from "./bed.ts";
import { assertComplete, effectsIn, effectsOf, folder, Worker, Writer } from "./crew.ts";
import type { ProcessOptions } from "./process.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;
/** How often a process is killed. */
const KILLS = LONG ? 50 : 8;
/** Longest time that a process has before it is killed, in ms. */
const LIFE = 400;
const ACTORS = range(1, 20).map((number) => `order-${number}`);

/** Only the server deletes the consumers of a killed process, after a while. */
const KILLED = { leakCheck: false };

/** Runs one worker after the other, each of which is killed at any time after its first event. */
async function killAgainAndAgain(scene: Scene, options: ProcessOptions): Promise<void> {
  for (let kill = 0; kill < KILLS; kill++) {
    const worker = new Worker(scene, options);
    await worker.ready;
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, Math.random() * LIFE);
    await promise;
    await worker.kill();
  }
}

natsTest("A projection killed again and again: its effects equal the events", async (scene) => {
  await using place = await folder();
  const database = `${place.path}/model.db`;
  await using writer = await Writer.start(scene, ACTORS);
  const options: ProcessOptions = { database, batch: 25, partitions: 2 };
  await killAgainAndAgain(scene, options);
  const count = await writer.stop();
  {
    await using _last = new Worker(scene, options);
    const db = new DatabaseSync(database);
    const checkpoints = new SqliteCheckpointStore(db);
    const { store } = writer;
    await using observer = new Projection({ name: "effects", store, checkpoints, handler() {} });
    await observer.caughtUp;
    db.close();
  }
  const effects = effectsIn(database);
  assertEquals(assertComplete(effects, ACTORS, count), [], "No event has two effects");
  const db = new DatabaseSync(database);
  const totals = db.prepare("SELECT * FROM totals").all();
  db.close();
  assertEquals(totals.length, ACTORS.length);
  assert(totals.every(({ events }) => events === count), "The totals count each event once");
  assert(new Set(effects.map(({ worker }) => worker)).size > KILLS / 2, "Many have had a part");
}, KILLED);

natsTest("Killed with checkpoints in KV, at most a batch is repeated each time", async (scene) => {
  await using place = await folder();
  await using writer = await Writer.start(scene, ACTORS);
  const options: ProcessOptions = { effects: `${place.path}/effects`, batch: 25 };
  await killAgainAndAgain(scene, options);
  const count = await writer.stop();
  const { namespace } = scene;
  {
    await using _last = new Worker(scene, options);
    await using checkpoints = await KvCheckpointStore.open(await scene.connect(), { namespace });
    const { store } = writer;
    await using observer = new Projection({ name: "effects", store, checkpoints, handler() {} });
    await observer.caughtUp;
  }
  const repeated = assertComplete(await effectsOf(options.effects!), ACTORS, count);
  for (const [worker, own] of Map.groupBy(repeated, ({ worker }) => worker)) {
    assert(own.length <= 25, `${own.length} events were repeated by ${worker}`);
  }
}, KILLED);
