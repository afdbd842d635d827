import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  InMemoryCheckpointStore,
  InMemoryEventStore,
  isAetherError,
  Projection,
  RebuildFailedError,
} from "../../../store/mod.ts";
import {
  assertWhole,
  type Bed,
  fact,
  fill,
  Model,
  projectionTest,
  quick,
  range,
  Run,
} from "./bed.ts";

const ACTORS = ["order-1", "order-2", "stock-1"];

projectionTest("A projection handles stored events, then new ones, in order", async (bed) => {
  const model = new Model();
  await fill(bed.store, ACTORS, 1, 40);
  await using run = new Run(quick(bed, { handler: model.handle }));
  await run.projection.caughtUp;
  assertWhole(model, ACTORS, 40);
  await fill(bed.store, ACTORS, 41, 60);
  await run.projection.caughtUp;
  assertWhole(model, ACTORS, 60);
  const sequences = model.seen.map(({ sequence }) => sequence);
  assertEquals(sequences, sequences.toSorted((one, other) => one - other));
  assertEquals(await run.projection.lag(), { events: 0, seconds: 0 });
});

projectionTest("A projection resumes at its checkpoint, and nothing comes twice", async (bed) => {
  const model = new Model();
  for (const round of range(1, 5)) {
    await fill(bed.store, ACTORS, 10 * round - 9, 10 * round);
    await using run = new Run(quick(bed, { handler: model.handle }));
    await run.projection.caughtUp;
    assertWhole(model, ACTORS, 10 * round);
  }
});

projectionTest("A projection stopped in the middle goes on with the next event", async (bed) => {
  const model = new Model();
  await fill(bed.store, ACTORS, 1, 50);
  while (model.seen.length < 150) {
    const stop = new AbortController();
    let left = 7;
    const projection = new Projection(quick(bed, {
      handler: (event) => {
        model.handle(event);
        if (--left === 0 || model.seen.length === 150) stop.abort();
      },
      batch: 5,
    }));
    await projection.run(stop);
  }
  // A transaction that is stopped in its middle is undone, and comes again as a whole.
  if (bed.checkpoints.transaction === undefined) assertWhole(model, ACTORS, 50);
});

projectionTest("Filters apply, and events that they leave out are no lag", async (bed) => {
  const { store } = bed;
  const model = new Model();
  const save = async (version: number): Promise<void> => {
    for (const actorId of ACTORS) {
      await store.saveEvent(fact(actorId, 2 * version - 1, "Placed"));
      await store.saveEvent(fact(actorId, 2 * version, "Closed"));
    }
  };
  for (const version of range(1, 5)) await save(version);
  const filter = { category: "order", eventTypes: ["Closed"] };
  const options = quick(bed, { handler: model.handle, filter });
  assertEquals((await new Projection(options).lag()).events, 10);
  {
    await using run = new Run(options);
    await run.projection.caughtUp;
  }
  assertEquals(model.of("order-1"), [2, 4, 6, 8, 10]);
  assertEquals(model.of("order-2"), [2, 4, 6, 8, 10]);
  assertEquals(model.seen.length, 10);
  await save(6);
  const { events, seconds } = await new Projection(options).lag();
  assertEquals(events, 2);
  assert(seconds >= 0 && seconds < 600, `${seconds} seconds`);
});

projectionTest("Partitions divide the actors; the order of each actor stays", async (bed) => {
  const model = new Model();
  const actors = range(1, 30).map((number) => `order-${number}`);
  const partitions = new Map<string, Set<number>>();
  await fill(bed.store, actors, 1, 10);
  for (const round of range(1, 3)) {
    await using run = new Run(quick(bed, {
      partitions: 4,
      handler: async (event, { partition }) => {
        const own = partitions.get(event.actorId) ?? new Set();
        partitions.set(event.actorId, own.add(partition));
        await Promise.resolve();
        model.handle(event);
      },
    }));
    await fill(bed.store, actors, 10 * round + 1, 10 * round + 10);
    await run.projection.caughtUp;
    assertWhole(model, actors, 10 * round + 10);
    assertEquals((await run.projection.status()).positions.length, 4);
  }
  assert([...partitions.values()].every(({ size }) => size === 1), "One partition for each actor");
  assertEquals(new Set([...partitions.values()].flatMap((own) => [...own])).size, 4);
});

projectionTest("Pause stops handling, also over a restart; resume goes on", async (bed) => {
  const model = new Model();
  const options = quick(bed, { handler: model.handle });
  await fill(bed.store, ACTORS, 1, 5);
  {
    await using run = new Run(options);
    await run.projection.caughtUp;
    await run.projection.pause();
    await fill(bed.store, ACTORS, 6, 10);
    assertEquals((await run.projection.lag()).events, 15);
  }
  await using run = new Run(options);
  assertEquals(await run.projection.status().then(({ paused }) => paused), true);
  assertWhole(model, ACTORS, 5);
  const { caughtUp } = run.projection;
  await run.projection.resume();
  await caughtUp;
  assertWhole(model, ACTORS, 10);
});

/** Handles all but `bad` events, while they are bad. */
function picky(bed: Bed, bad: Set<string>, model: Model, onPoison: "park" | "halt") {
  return quick(bed, {
    onPoison,
    handler: (event) => {
      if (bad.has(`${event.actorId} ${event.version}`)) throw new Error("it is bad");
      model.handle(event);
    },
  });
}

projectionTest(
  "A projection halts at an event that fails, and resumes with it",
  async (bed) => {
    const model = new Model();
    const bad = new Set(["order-2 3"]);
    await fill(bed.store, ACTORS, 1, 5);
    const options = picky(bed, bad, model, "halt");
    for (const _time of range(1, 2)) {
      const error = await new Run(options).end;
      assert(isAetherError(error, "PoisonEventError"), String(error));
      assertEquals([error.projection, error.actorId], ["model", "order-2"]);
      assertEquals((error.cause as Error).message, "it is bad");
    }
    const before = new Set(model.seen.map(({ id }) => id));
    assertEquals(before.size, 7, "All before it, in the order of the store");
    bad.clear();
    await using run = new Run(options);
    await run.projection.caughtUp;
    assertEquals(new Set(model.seen.map(({ id }) => id)).size, 15);
  },
);

projectionTest("Parking keeps the order of the actor; the others go on", async (bed) => {
  const model = new Model();
  const bad = new Set(["order-2 3", "order-2 6"]);
  await fill(bed.store, ACTORS, 1, 5);
  const options = { ...picky(bed, bad, model, "park"), batch: 1 };
  {
    await using run = new Run(options);
    await run.projection.caughtUp;
    assertEquals([model.of("order-1"), model.of("stock-1")], [range(1, 5), range(1, 5)]);
    assertEquals(model.of("order-2"), [1, 2]);
    const [parked, ...more] = await run.projection.parked();
    assertEquals(more, []);
    assertEquals([parked?.actorId, parked?.version, parked?.events], ["order-2", 3, 3]);
    assertEquals([parked?.attempts, parked?.reason], [3, "Error: it is bad"]);
    assertEquals(await run.projection.unpark("order-2"), false, "It is bad as before");
    assertEquals((await run.projection.parked())[0]?.attempts, 4);
  }
  await fill(bed.store, ACTORS, 6, 8);
  await using run = new Run(options);
  await run.projection.caughtUp;
  assertEquals(model.of("order-2"), [1, 2]);
  bad.delete("order-2 3");
  assertEquals(await run.projection.unpark("order-2"), false, "Another one is bad");
  assertEquals(model.of("order-2"), range(1, 5));
  const [parked] = await run.projection.parked();
  assertEquals([parked?.version, parked?.events, parked?.attempts], [6, 3, 1]);
  bad.clear();
  assertEquals(await run.projection.unpark("order-2"), true);
  assertEquals(await run.projection.parked(), []);
  await fill(bed.store, ACTORS, 9, 10);
  await run.projection.caughtUp;
  assertWhole(model, ACTORS, 10);
  assertEquals(await run.projection.unpark("nobody"), true);
});

projectionTest("Too many parked actors halt the projection", async (bed) => {
  const handler = () => {
    throw new Error("all is bad");
  };
  await fill(bed.store, range(1, 5).map((number) => `order-${number}`), 1, 2);
  const run = new Run(quick(bed, { handler, onPoison: "park", maxParked: 3 }));
  assert(isAetherError(await run.end, "PoisonEventError"));
  assertEquals((await run.projection.parked()).length, 3);
});

projectionTest("An event that fails for a while is tried again, before any other", async (bed) => {
  const model = new Model();
  const errors: (number | undefined)[] = [];
  let fails = 2;
  await fill(bed.store, ACTORS, 1, 3);
  await using run = new Run(quick(bed, {
    handler: (event) => {
      if (event.actorId === "order-2" && event.version === 2 && fails-- > 0) throw new Error("no");
      model.handle(event);
    },
    batch: 1,
    onError: (_error, event) => errors.push(event?.version),
  }));
  await run.projection.caughtUp;
  assertWhole(model, ACTORS, 3);
  assertEquals(errors, [2, 2]);
});

projectionTest(
  "A rebuild begins at zero beside the running version, and takes over",
  async (bed) => {
    const models = new Map<number, Model>();
    const switches: number[] = [];
    const options = quick(bed, {
      partitions: 2,
      handler: (event, { version }) => {
        const model = models.get(version) ?? new Model();
        models.set(version, model);
        model.handle(event);
      },
      onSwitch: (version) => void switches.push(version),
    });
    await fill(bed.store, ACTORS, 1, 20);
    {
      await using run = new Run(options);
      await run.projection.caughtUp;
      let version = 20;
      let writing = true;
      const writer = (async () => {
        for (; writing; version++) {
          await fill(bed.store, ACTORS, version + 1, version + 1);
          await new Promise((resolve) => setTimeout(resolve)); // Memory leaves no turn to timers.
        }
      })();
      const rebuilt = run.projection.rebuild();
      assertEquals(await rebuilt, 2);
      writing = false;
      await writer;
      await run.projection.caughtUp;
      assertWhole(models.get(2)!, ACTORS, version);
      const before = models.get(1)!.seen.length;
      assert(before <= 3 * version);
      await fill(bed.store, ACTORS, version + 1, version + 1);
      await run.projection.caughtUp;
      assertEquals(models.get(1)!.seen.length, before, "The version before has ended");
      const { version: active, rebuilding } = await run.projection.status();
      assertEquals([active, rebuilding, switches], [2, undefined, [2]]);
    }
    await using run = new Run(options);
    const count = models.get(2)!.seen.length;
    await fill(bed.store, ["order-9"], 1, 1);
    await run.projection.caughtUp;
    assertEquals(models.get(2)!.seen.length, count + 1, "It goes on after a restart");
  },
);

projectionTest("A rebuild that cannot go on leaves the running version alone", async (bed) => {
  const model = new Model();
  await fill(bed.store, ACTORS, 1, 5);
  await using run = new Run(quick(bed, {
    handler: (event, { version }) => {
      if (version === 2) throw new Error("version 2 is bad");
      if (version === 1) model.handle(event);
    },
  }));
  await run.projection.caughtUp;
  await assertRejects(() => run.projection.rebuild(), RebuildFailedError, "version 2 is bad");
  await fill(bed.store, ACTORS, 6, 10);
  await run.projection.caughtUp;
  assertWhole(model, ACTORS, 10);
  assertEquals(await run.projection.rebuild(), 3);
});

projectionTest(
  "A rebuild ends at the first failure of a handler that ignores versions",
  async (bed) => {
    const rows = new Set<string>();
    await fill(bed.store, ACTORS, 1, 5);
    const options = quick(bed, {
      retry: {}, // Ten tries, which take half a minute.
      handler: ({ id }) => {
        if (rows.has(id)) throw Object.assign(Object.create(null), { id });
        rows.add(id);
      },
    });
    await using run = new Run(options);
    await run.projection.caughtUp;
    const begun = performance.now();
    const error = await assertRejects(() => run.projection.rebuild(), RebuildFailedError);
    assert(performance.now() - begun < 5_000, "It is not tried again");
    assertEquals([error.projection, error.version], ["model", 2]);
    const { event, cause } = error;
    assertEquals([event?.actorId, (cause as { id: string }).id], ["order-1", event?.eventId]);
    assert(error.message.includes("context.version"), error.message);
    assertEquals((await run.projection.status()).rebuilding, undefined);
    // Another process knows the failure by its text.
    await using other = new Projection({ ...options, handler: () => {} });
    const failing = assertRejects(() => other.rebuild(), RebuildFailedError, "without text");
    assert((await failing).cause instanceof Error);
    await fill(bed.store, ACTORS, 6, 7);
    await run.projection.caughtUp;
    assertEquals(rows.size, 21, "The version that is read goes on");
  },
);

projectionTest("A rebuild with parking parks what fails, and takes over", async (bed) => {
  const model = new Model();
  await fill(bed.store, ACTORS, 1, 3);
  const bad = new Set(["order-2 2"]);
  await using run = new Run(picky(bed, bad, model, "park"));
  await run.projection.caughtUp;
  assertEquals(await run.projection.rebuild(), 2);
  assertEquals((await run.projection.parked()).map(({ actorId }) => actorId), ["order-2"]);
});

Deno.test("A projection that is taken over ends, and says so", async () => {
  await using store = new InMemoryEventStore();
  const bed = { store, checkpoints: new InMemoryCheckpointStore() };
  const one = new Run(quick(bed, { handler: () => {} }));
  await store.saveEvent(fact("order-1", 1));
  await one.projection.caughtUp;
  await using other = new Run(quick(bed, { handler: () => {} }));
  await other.projection.caughtUp;
  await store.saveEvent(fact("order-1", 2));
  assert(isAetherError(await one.end, "CheckpointConflictError"));
  await other.projection.caughtUp;
});

Deno.test("Impossible options are refused", () => {
  const bed = { store: new InMemoryEventStore(), checkpoints: new InMemoryCheckpointStore() };
  const handler = () => {};
  for (
    const wrong of [
      { name: "" },
      { partitions: 0 },
      { partitions: 0.5 },
      { batch: 0 },
      { retry: { attempts: 0 } },
      { retry: { delay: -1 } },
      { maxParked: 0 },
      { onPoison: "skip" as "park" },
      { filter: { category: "" } },
      { filter: { category: "shopping-cart" } },
    ]
  ) {
    assertThrows(() => new Projection(quick(bed, { handler, ...wrong })), RangeError);
  }
});

Deno.test("A projection runs once at a time, and never after disposal", async () => {
  const bed = { store: new InMemoryEventStore(), checkpoints: new InMemoryCheckpointStore() };
  const run = new Run(quick(bed, { handler: () => {} }));
  await assertRejects(() => run.projection.run(), TypeError, "is running already");
  const { caughtUp } = run.projection;
  await run[Symbol.asyncDispose]();
  await assertRejects(() => run.projection.run(), TypeError, "is disposed");
  await assertRejects(() => run.projection.caughtUp, DOMException);
  await caughtUp.catch(() => {});
});

projectionTest("a rebuild under way can be joined, from any process", async (bed) => {
  const { store } = bed;
  await fill(store, ["order-1", "order-2"], 1, 20);
  const handler = () => {};
  await using run = new Run(quick(bed, { handler }));
  const { projection } = run;
  await projection.caughtUp;
  await using other = new Projection(quick(bed, { handler }));
  // There is none: join begins one.
  assertEquals(await projection.rebuild({ join: true }), 2);
  await projection.pause(); // So that the next one is not built meanwhile.
  const ends = new AbortController();
  const begun = projection.rebuild({ signal: ends.signal });
  while ((await projection.status()).rebuilding !== 3) await projection.lag();
  await assertRejects(() => other.rebuild(), TypeError, "join it");
  const joined = [other.rebuild({ join: true }), projection.rebuild({ join: true })];
  ends.abort(); // Whoever began it no longer waits.
  await assertRejects(() => begun);
  assertEquals((await projection.status()).rebuilding, 3);
  await projection.resume();
  assertEquals(await Promise.all(joined), [3, 3]);
  assertEquals((await other.status()).version, 3);
});
