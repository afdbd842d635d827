import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type CheckpointStore,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
  KvCheckpointStore,
  Projection,
  ProjectionLeases,
  type ProjectionOptions,
  RebuildFailedError,
  type RecordedEvent,
  StoreUnavailableError,
} from "../../../store/mod.ts";
import type { PartitionState } from "../../../store/projection/state.ts";
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";
import { assertWhole, type Bed, fact, fill, Model, quick, range, Run } from "./bed.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;
const ACTORS = range(1, 10).map((number) => `order-${number}`);

/** A projection of two workers that goes on while `harm` is done again and again. */
async function endure(
  scene: Scene,
  replicas: number,
  harm: () => Promise<void>,
): Promise<void> {
  const { namespace } = scene;
  const model = new Model();
  await using stack = new AsyncDisposableStack();
  const work = async (): Promise<Run> => {
    const connection = await scene.connect();
    const options = { namespace, replicas, timeout: 30_000 };
    const store = stack.use(await JetStreamEventStore.open(connection, options));
    const checkpoints = stack.use(await KvCheckpointStore.open(connection, options));
    const leases = stack.use(
      await ProjectionLeases.open(connection, { ...options, lease: 15_000 }),
    );
    const parts = { leases, partitions: 4, handler: model.handle };
    return stack.use(new Run(quick({ store, checkpoints }, parts)));
  };
  const runs = [await work(), await work()];
  const writer = stack.use(
    await JetStreamEventStore.open(await scene.connect(), { namespace, timeout: 30_000 }),
  );
  let version = 0;
  let harming = true;
  const writing = (async () => {
    for (; harming; version++) await fill(writer, ACTORS, version + 1, version + 1);
  })();
  for (const _time of range(1, LONG ? 15 : 3)) {
    const seen = model.seen.length;
    await harm();
    while (model.seen.length < seen + 20) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  harming = false;
  await writing;
  await runs[0]!.projection.caughtUp;
  assertFirst(model, version);
}

/** Each actor's events came in order, none missing; some may have come again. */
function assertFirst(model: Model, to: number, actors = ACTORS): void {
  const once = new Model();
  const seen = new Set<string>();
  for (const event of model.seen) {
    if (!seen.has(event.id)) once.handle(event);
    seen.add(event.id);
  }
  assertWhole(once, actors, to);
}

natsTest("A server restarted again and again: a shared projection goes on", async (scene) => {
  await endure(scene, 1, async () => {
    await scene.server.kill();
    await scene.server.restart();
  });
});

clusterTest("Servers of a cluster killed in turn: a shared projection goes on", async (scene) => {
  let turn = 0;
  await endure(scene, 3, async () => {
    const server = scene.servers[turn++ % 3]!;
    await server.kill();
    await server.restart();
  });
}, { leakCheck: false }); // Consumers of watches that were out of reach end by themselves, later.

for (const harm of ["pause", "kill"] as const) {
  natsTest(
    `A shared projection ends soon while its leases are out of reach: ${harm}`,
    async (scene) => {
      await using store = new InMemoryEventStore();
      await fill(store, ["order-1"], 1, 3);
      const connection = await scene.connect();
      await using leases = await ProjectionLeases.open(connection, { namespace: scene.namespace });
      const bed = { store, checkpoints: new InMemoryCheckpointStore() };
      const model = new Model();
      await using run = new Run(
        quick(bed, { leases, partitions: 4, handler: model.handle, onError: () => {} }),
      );
      await run.projection.caughtUp;
      await scene.server[harm]();
      try {
        // Long enough for a look at the leases, and a sign of life, to be under way.
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        const begun = performance.now();
        await run[Symbol.asyncDispose]();
        const took = performance.now() - begun;
        assert(took < 2_000, `${took} ms`);
        await leases[Symbol.asyncDispose]();
        const closed = performance.now() - begun;
        assert(closed < 4_000, `${closed} ms`);
      } finally {
        await (harm === "pause" ? scene.server.resume() : scene.server.restart());
      }
      assertWhole(model, ["order-1"], 3);
    },
  );
}

Deno.test("A projection that begins while its store is out of reach waits for it", async () => {
  await using store = new InMemoryEventStore();
  const bed = { store, checkpoints: new InMemoryCheckpointStore() };
  const model = new Model();
  await fill(store, ["order-1"], 1, 3);
  {
    await using run = new Run(quick(bed, { handler: model.handle }));
    await run.projection.caughtUp;
  }
  const readAll = store.readAll.bind(store);
  let tries = 0;
  store.readAll = (options) => {
    if (++tries <= 2) throw new StoreUnavailableError("Cannot read the store: nobody answers");
    return readAll(options);
  };
  const errors: unknown[] = [];
  const options = { handler: model.handle, onError: (error: unknown) => void errors.push(error) };
  await using _run = new Run(quick(bed, options));
  await store.saveEvent(fact("order-1", 4));
  while (model.seen.length < 4) await new Promise((resolve) => setTimeout(resolve, 5));
  assertWhole(model, ["order-1"], 4);
  assertEquals(errors.map((error) => isAetherError(error, "StoreUnavailableError")), [true, true]);
});

Deno.test("An outage while an actor is unparked is waited out: each of its events is handled once", async () => {
  await using store = new InMemoryEventStore();
  const bed = { store, checkpoints: new InMemoryCheckpointStore() };
  const model = new Model();
  let isBroken = true;
  const handler = (event: RecordedEvent): void => {
    if (isBroken) throw new Error("a bug");
    model.handle(event);
  };
  const errors: unknown[] = [];
  const onError = (error: unknown): void => void errors.push(error);
  await fill(store, ["order-1"], 1, 6);
  await using run = new Run(quick(bed, { handler, onPoison: "park", onError }));
  await run.projection.caughtUp;
  isBroken = false;
  errors.length = 0;
  const readAll = store.readAll.bind(store);
  let outages = 2;
  store.readAll = async function* (options) {
    for await (const event of readAll(options)) {
      yield event;
      if (model.seen.length % 2 === 0 && outages > 0 && outages--) {
        throw new StoreUnavailableError("Cannot read the store: nobody answers");
      }
    }
  };
  const unparked = run.projection.unpark("order-1");
  assertEquals(await Promise.race([unparked, run.end]), true);
  assertWhole(model, ["order-1"], 6);
  assertEquals(errors.map((error) => isAetherError(error, "StoreUnavailableError")), [true, true]);
});

/** What a checkpoint store keeps of the only partition of version 1. */
async function stateOf({ checkpoints }: Bed): Promise<PartitionState> {
  return JSON.parse((await checkpoints.load("model.1.0"))!.body);
}

Deno.test(
  "A rebuild that fails after it retired the running version gives it back",
  async () => {
    await using store = new InMemoryEventStore();
    const bed = { store, checkpoints: new InMemoryCheckpointStore() };
    const model = new Model();
    const until = async (isThere: (state: PartitionState) => boolean): Promise<void> => {
      while (!isThere(await stateOf(bed))) await new Promise((resolve) => setTimeout(resolve, 1));
    };
    const handler: ProjectionOptions<unknown>["handler"] = async (event, { version }) => {
      if (version === 1) return model.handle(event);
      if (event.version === 1) return;
      if (event.actorId === "order-1") {
        // It comes while the new version is at the last event that it began with.
        const { sequence } = await store.saveEvent(fact("order-2", 2));
        await until((state) => state.sequence >= sequence);
      } else {
        await until(({ retired }) => retired);
        throw new Error("it cannot be rebuilt");
      }
    };
    await fill(store, ["order-2"], 1, 1);
    await fill(store, ["order-1"], 1, 2);
    const run = new Run(quick(bed, { handler }));
    await run.projection.caughtUp;
    await assertRejects(() => run.projection.rebuild(), RebuildFailedError);
    for (const version of [3, 4]) {
      await store.saveEvent(fact("order-1", version));
      const { sequence } = await store.saveEvent(fact("order-2", version));
      await run.projection.reached(sequence);
    }
    await run[Symbol.asyncDispose]();
    assertFirst(model, 4, ["order-1", "order-2"]);
    assertEquals((await stateOf(bed)).retired, false);
  },
);

Deno.test("A version that is retired though no other is there goes on", async () => {
  await using store = new InMemoryEventStore();
  const bed = { store, checkpoints: new InMemoryCheckpointStore() };
  const model = new Model();
  await fill(store, ["order-1"], 1, 2);
  {
    await using run = new Run(quick(bed, { handler: model.handle }));
    await run.projection.caughtUp;
  }
  const { revision } = (await bed.checkpoints.load("model.1.0"))!;
  const body = JSON.stringify({ ...await stateOf(bed), retired: true });
  assertEquals(await bed.checkpoints.save("model.1.0", { revision: revision + 1, body }), true);
  await using run = new Run(quick(bed, { handler: model.handle }));
  await store.saveEvent(fact("order-1", 3));
  const { sequence } = await store.saveEvent(fact("order-1", 4));
  await run.projection.reached(sequence);
  assertWhole(model, ["order-1"], 4);
});

/** A checkpoint store without transactions. */
function plainly(store: InMemoryCheckpointStore): CheckpointStore<unknown> {
  return {
    load: (key) => store.load(key),
    save: (key, saved) => store.save(key, saved),
  };
}

/** Never settles. */
const NEVER = new Promise<never>(() => {});

Deno.test("A checkpoint store that never answers holds up no stop", async () => {
  await Promise.all((["load", "save", "begin", "commit"] as const).map(async (hang) => {
    await using store = new InMemoryEventStore();
    await fill(store, ["order-1"], 1, 1);
    const inner = new InMemoryCheckpointStore();
    const hung = Promise.withResolvers<void>();
    const model = new Model();
    const meets = (what: typeof hang, key: string): boolean => {
      const isMet = what === hang && !key.endsWith("control") &&
        (what === "load" || model.seen.length > 0);
      if (isMet) hung.resolve();
      return isMet;
    };
    const checkpoints: CheckpointStore<unknown> = {
      load: (key) => meets("load", key) ? NEVER : inner.load(key),
      save: (key, saved) => meets("save", key) ? NEVER : inner.save(key, saved),
    };
    if (hang === "begin" || hang === "commit") {
      checkpoints.transaction = async <T>(work: (tx: unknown) => Promise<T>): Promise<T> => {
        if (hang === "begin") hung.resolve();
        const result = await (hang === "begin" ? NEVER : work({}));
        return meets("commit", "") ? await NEVER : result;
      };
    }
    const run = new Run(quick({ store, checkpoints }, { handler: model.handle }));
    await hung.promise;
    await run[Symbol.asyncDispose]();
  }));
});

Deno.test("A checkpoint store that never answers holds up no call once the projection is disposed", async () => {
  await using store = new InMemoryEventStore();
  await fill(store, ["order-1"], 1, 1);
  const inner = new InMemoryCheckpointStore();
  let isHung = false;
  const projection = new Projection(quick({
    store,
    checkpoints: {
      load: (key) => isHung ? NEVER : inner.load(key),
      save: (key, saved) => isHung ? NEVER : inner.save(key, saved),
    },
  }, { handler: () => {} }));
  const began = new Projection(quick({
    ...{ store, checkpoints: { ...plainly(inner), transaction: () => NEVER } },
  }, { handler: () => {} }));
  const late = projection.caughtUp;
  await new Promise((resolve) => setTimeout(resolve)); // It has begun to wait.
  isHung = true;
  const calls = () => [
    ...[projection.caughtUp, projection.pause(), projection.resume(), projection.status()],
    ...[projection.parked(), projection.lag(), projection.unpark("order-1"), projection.rebuild()],
  ];
  const before = [late, ...calls(), began.rebuild({ switch: "now" })];
  const ends = before.map((call) => assertRejects(() => call, DOMException, "disposed"));
  await Promise.all([projection, began].map((it) => it[Symbol.asyncDispose]()));
  await Promise.all(ends);
  await Promise.all(calls().map((call) => assertRejects(() => call, DOMException, "disposed")));
});

Deno.test("A signal ends a call whose checkpoint store never answers", async () => {
  await using store = new InMemoryEventStore();
  const inner = new InMemoryCheckpointStore();
  const reason = new Error("enough");
  const stores: CheckpointStore<unknown>[] = [
    { load: () => NEVER, save: () => NEVER },
    { ...plainly(inner), transaction: () => NEVER },
  ];
  await Promise.all(stores.map(async (checkpoints) => {
    const projection = new Projection(quick({ store, checkpoints }, { handler: () => {} }));
    const ending = new AbortController();
    const { signal } = ending;
    const calls: Promise<unknown>[] = [projection.rebuild({ switch: "now", signal })];
    if (checkpoints.transaction === undefined) {
      calls.push(projection.rebuild({ signal }), projection.lag({ signal }));
      calls.push(projection.unpark("order-1", { signal }));
    }
    const ends = calls.map((call) => assertRejects(() => call, Error, "enough"));
    ending.abort(reason);
    await Promise.all(ends);
  }));
});

Deno.test("A stop waits for a handler in a transaction, however long it takes", async () => {
  await using store = new InMemoryEventStore();
  await fill(store, ["order-1"], 1, 1);
  const inner = new InMemoryCheckpointStore();
  const checkpoints: CheckpointStore<unknown> = {
    load: (key) => inner.load(key),
    save: (key, saved) => inner.save(key, saved),
    transaction: (work) => work({}),
  };
  const begun = Promise.withResolvers<void>();
  const model = new Model();
  const handler = async (event: RecordedEvent): Promise<void> => {
    begun.resolve();
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    model.handle(event);
  };
  const run = new Run(quick({ store, checkpoints }, { handler }));
  await begun.promise;
  await run[Symbol.asyncDispose]();
  assertWhole(model, ["order-1"], 1);
  assertEquals(JSON.parse((await inner.load("model.1.0"))!.body).sequence, model.seen[0]!.sequence);
});
