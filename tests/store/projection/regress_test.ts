import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import {
  InMemoryCheckpointStore,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
  KvCheckpointStore,
} from "../../../store/mod.ts";
import { backup, restore } from "../../support/backup.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { fact, fill, Model, quick, Run } from "./bed.ts";
import { api } from "../../support/jetstream_api.ts";

const ACTORS = ["order-1", "order-2"];

/** A projection that has handled ten events, and its end after `harm` to the stream. */
async function harmed(
  scene: Scene,
  harm: (operator: NatsConnection, stream: string, grow: Grow) => Promise<void>,
): Promise<{ readonly run: Run; readonly model: Model; readonly done: () => Promise<void> }> {
  const { namespace } = scene;
  const operator = await scene.connect();
  const stack = new AsyncDisposableStack();
  const checkpoints = stack.use(await KvCheckpointStore.open(operator, { namespace }));
  let stream = "";
  {
    await using store = await JetStreamEventStore.open(operator, { namespace });
    stream = store.stream;
    await fill(store, ACTORS, 1, 5);
    await using run = new Run(quick({ store, checkpoints }, { handler: () => {} }));
    await run.projection.caughtUp;
  }
  await harm(operator, stream, async (actors, from, to) => {
    await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
    for (let version = from; version <= to; version++) {
      for (const actorId of actors) await store.saveEvent(fact(actorId, version));
    }
  });
  const model = new Model();
  const store = stack.use(await JetStreamEventStore.open(operator, { namespace }));
  const run = new Run(quick({ store, checkpoints }, { handler: model.handle }));
  return { run, model, done: () => stack.disposeAsync() };
}

type Grow = (actors: readonly string[], from: number, to: number) => Promise<void>;

async function assertRegressed(run: Run, model: Model, reason: RegExp): Promise<void> {
  const error = await run.end;
  assert(isAetherError(error, "StreamRegressedError"), `It ended with ${error}`);
  assertMatch(error.message, reason);
  assertEquals(model.seen.length, 0, "Nothing is handled");
}

natsTest("A stream that was made again by the same name halts a projection", async (scene) => {
  const { run, model, done } = await harmed(scene, async (operator, stream, grow) => {
    await api(operator, `STREAM.DELETE.${stream}`);
    await grow(ACTORS, 1, 20);
  });
  await assertRegressed(run, model, /its checkpoint is about another store/);
  const error = await assertRejects(() => run.projection.lag());
  assert(isAetherError(error, "StreamRegressedError"));
  await done();
});

natsTest("A stream restored without its tail halts a projection", async (scene) => {
  const { run, model, done } = await harmed(scene, async (operator, stream, grow) => {
    await restore(operator, stream, await backup(operator, stream));
    await grow(ACTORS, 1, 2);
  });
  await assertRegressed(run, model, /where the store has none/);
  await done();
});

natsTest("A stream restored without any event halts a projection", async (scene) => {
  const { run, model, done } = await harmed(scene, async (operator, stream) => {
    await restore(operator, stream, await backup(operator, stream));
  });
  await assertRegressed(run, model, /where the store has none/);
  await done();
});

natsTest("A restored stream that grew past the checkpoint halts a projection", async (scene) => {
  const { run, model, done } = await harmed(scene, async (operator, stream, grow) => {
    await restore(operator, stream, await backup(operator, stream));
    await grow(["order-2"], 1, 20);
  });
  await assertRegressed(run, model, /where the store has event/);
  await done();
});

natsTest("A restored stream with others in the tail halts a projection", async (scene) => {
  const { run, model, done } = await harmed(scene, async (operator, stream, grow) => {
    await restore(operator, stream, await backup(operator, stream));
    await grow(["other-1"], 1, 20);
  });
  await assertRegressed(run, model, /where the store has none/);
  await done();
});

natsTest("A stream exchanged under a running projection halts it", async (scene) => {
  const { namespace } = scene;
  const operator = await scene.connect();
  await using store = await JetStreamEventStore.open(operator, { namespace, timeout: 1_000 });
  await using checkpoints = await KvCheckpointStore.open(operator, { namespace });
  await fill(store, ACTORS, 1, 5);
  const model = new Model();
  const run = new Run(quick({ store, checkpoints }, { handler: model.handle }));
  await run.projection.caughtUp;
  await api(operator, `STREAM.DELETE.${store.stream}`);
  await using other = await JetStreamEventStore.open(await scene.connect(), { namespace });
  await fill(other, ACTORS, 1, 20);
  const error = await run.end;
  assert(isAetherError(error, "StreamRegressedError"), `It ended with ${error}`);
  assertEquals(model.seen.length, 10);
});

Deno.test("A projection refuses another store, and a rebuild makes it take the new one", async () => {
  const checkpoints = new InMemoryCheckpointStore();
  await using lost = new InMemoryEventStore();
  await fill(lost, ACTORS, 1, 5);
  {
    await using run = new Run(quick({ store: lost, checkpoints }, { handler: () => {} }));
    await run.projection.caughtUp;
  }
  await using store = new InMemoryEventStore();
  await fill(store, ACTORS, 1, 9);
  const model = new Model();
  const options = quick({ store, checkpoints }, { handler: model.handle });
  const halted = new Run(options);
  await assertRegressed(halted, model, /its checkpoint is about another store/);
  assertEquals(await halted.projection.rebuild({ switch: "now" }), 2);
  await using run = new Run(options);
  await run.projection.caughtUp;
  assertEquals(model.seen.length, 18);
});
