import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  appendEvents,
  createEvent,
  execute,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  JetStreamEventStore,
  KvCheckpointStore,
  Projection,
} from "../../../store/mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { type Bed, fact, fill, Model, projectionTest, quick, range, Run } from "./bed.ts";

const ACTORS = ["order-1", "order-2", "stock-1"];

/** A projection that nobody here runs: it sees what others have handled. */
function onlooker(bed: Bed, filter = {}): Projection<unknown> {
  return new Projection(quick(bed, { handler: () => {}, filter }));
}

projectionTest(
  "reached() resolves when what was saved is handled, here and elsewhere",
  async (bed) => {
    const model = new Model();
    await using run = new Run(quick(bed, { handler: model.handle, partitions: 4 }));
    const other = onlooker(bed);
    for (const version of range(1, 20)) {
      const { sequence } = await bed.store.saveEvents(ACTORS.map((actor) => fact(actor, version)));
      await Promise.all([run.projection.reached(sequence), other.reached(sequence)]);
      assertEquals(model.of("stock-1").length, version);
    }
  },
);

projectionTest("reached() waits for an event that is being handled", async (bed) => {
  const gate = Promise.withResolvers<void>();
  let isReached = false;
  await using _run = new Run(quick(bed, { handler: () => gate.promise }));
  const { sequence } = await bed.store.saveEvent(fact("order-1", 1));
  const reaching = onlooker(bed).reached(sequence).then(() => isReached = true);
  await assertRejects(
    () => onlooker(bed).reached(sequence, { timeout: 50 }),
    DOMException,
    "50 ms",
  );
  assertEquals(isReached, false);
  gate.resolve();
  await reaching;
});

projectionTest(
  "reached() hangs on no gap: filtered, before the first, and receipts",
  async (bed) => {
    const { store } = bed;
    const filter = { category: "order", eventTypes: ["Placed"] };
    await using run = new Run(quick(bed, { handler: () => {}, filter, partitions: 4 }));
    const other = onlooker(bed, filter);
    const both = async (sequence: number) => {
      await Promise.all([run.projection.reached(sequence), other.reached(sequence)]);
    };
    await both(0);
    await both((await store.saveEvent(fact("order-1", 1, "Placed"))).sequence);
    await both((await store.saveEvent(fact("order-1", 2, "Closed"))).sequence);
    const stock = await store.saveEvents([fact("stock-1", 1), fact("stock-1", 2)]);
    await both(stock.sequence);
    await both(stock.sequence - 1);
    const idle = { initialState: () => 0, evolve: (state: number) => state, decide: () => [] };
    const receipt = await execute(store, "order-9", idle, 0, { commandId: "one", record: true });
    assert(receipt.sequence > stock.sequence);
    await both(receipt.sequence);
  },
);

projectionTest("reached() waits for a position that the store has not come to yet", async (bed) => {
  await using run = new Run(quick(bed, { handler: () => {} }));
  const { sequence } = await bed.store.saveEvent(fact("order-1", 1));
  await run.projection.reached(sequence);
  await assertRejects(
    () => run.projection.reached(sequence + 1, { timeout: 100 }),
    DOMException,
    `does not reach position ${sequence + 1} within 100 ms`,
  );
  const later = run.projection.reached(sequence + 1);
  await bed.store.saveEvent(fact("order-1", 2));
  await later;
});

projectionTest("reached() goes on over a rebuild, and passes parked events", async (bed) => {
  const options = quick(bed, {
    onPoison: "park",
    partitions: 2,
    handler: ({ actorId }) => {
      if (actorId === "order-1") throw new Error("poison");
    },
  });
  await using run = new Run(options);
  await fill(bed.store, ACTORS, 1, 10);
  const { sequence } = await bed.store.saveEvent(fact("stock-1", 11));
  const reaching = onlooker(bed).reached(sequence);
  await run.projection.rebuild();
  await reaching;
  assertEquals((await run.projection.parked()).map(({ actorId }) => actorId), ["order-1"]);
});

projectionTest("reached() ends with its signal, the projection, and run()", async (bed) => {
  const { sequence } = await bed.store.saveEvent(fact("order-1", 1));
  const other = onlooker(bed);
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  assertEquals(await other.reached(sequence, { signal }).catch((error) => error), reason);
  const waiting = other.reached(sequence).catch((error) => error.name);
  await other[Symbol.asyncDispose]();
  assertEquals(await waiting, "AbortError");
  const run = new Run(quick(bed, {
    handler: () => {
      throw new Error("poison");
    },
  }));
  const failed = await run.projection.reached(sequence).catch((error) => error);
  assertEquals(failed, await run.end);
  assertEquals(failed.code, "PoisonEventError");
  for (const bad of [-1, 1.5, NaN]) {
    await assertRejects(() => run.projection.reached(bad), RangeError, "is no position");
  }
  await assertRejects(() => run.projection.reached(1, { timeout: 0 }), RangeError, "timeout is 0");
});

projectionTest("isReplay tells what was stored before from what comes since", async (bed) => {
  const seen: [number, boolean][] = [];
  const options = quick(bed, {
    handler: ({ sequence, version }, { isReplay }) =>
      void seen.push([sequence && version, isReplay]),
  });
  await fill(bed.store, ["order-1"], 1, 250);
  {
    await using run = new Run(options);
    await run.projection.caughtUp;
    await fill(bed.store, ["order-1"], 251, 252);
    await run.projection.caughtUp;
  }
  await fill(bed.store, ["order-1"], 253, 253);
  {
    await using run = new Run(options);
    await run.projection.caughtUp;
    await fill(bed.store, ["order-1"], 254, 254);
    await run.projection.caughtUp;
  }
  const live = seen.filter(([, isReplay]) => !isReplay).map(([version]) => version);
  assertEquals([seen.length, ...live], [254, 251, 252, 254]);
});

projectionTest("isReplay is true of parked events that are tried again", async (bed) => {
  const seen: boolean[] = [];
  let isBroken = true;
  await using run = new Run(quick(bed, {
    onPoison: "park",
    handler: ({ actorId }, { isReplay }) => {
      seen.push(isReplay);
      if (isBroken && actorId === "order-1") throw new Error("poison");
    },
  }));
  await fill(bed.store, ["order-2"], 1, 1);
  await run.projection.caughtUp;
  seen.length = 0;
  await fill(bed.store, ["order-1"], 1, 1);
  await run.projection.caughtUp;
  isBroken = false;
  assert(await run.projection.unpark("order-1"));
  assertEquals([...new Set(seen.slice(0, -1))], [false]);
  assertEquals(seen.at(-1), true);
});

/** Runs a projection with a filter until it has caught up; gives what `onError` was told. */
async function told(
  bed: Bed,
  filter: object,
  model: Model,
  onFilterChange = {},
): Promise<string[]> {
  const texts: string[] = [];
  await using run = new Run(quick(bed, {
    ...{ filter, handler: model.handle, ...onFilterChange },
    onError: (error) => void texts.push(String(error)),
  }));
  await run.projection.caughtUp;
  return texts;
}

projectionTest("A changed filter is told once", async (bed) => {
  await fill(bed.store, ACTORS, 1, 3);
  const model = new Model();
  assertEquals(await told(bed, { category: "order", eventTypes: ["A", "B"] }, model), []);
  assertEquals(await told(bed, { eventTypes: ["B", "A", "A"], category: "order" }, model), []);
  const [text, ...more] = await told(bed, { category: "stock" }, model);
  assert(text?.includes('the filter of projection "model" has changed'), text);
  assertEquals(more, []);
  assertEquals(await told(bed, { category: "stock" }, model), []);
});

Deno.test("parked events that a changed filter leaves out are not handled", async () => {
  for (const filter of [{ actorId: "order-2" }, { category: "stock" }]) {
    await using store = new InMemoryEventStore();
    const bed = { store, checkpoints: new InMemoryCheckpointStore() };
    await store.saveEvent(fact("order-1", 1));
    const fails = () => {
      throw new Error("it is bad");
    };
    {
      await using run = new Run(quick(bed, { onPoison: "park", handler: fails }));
      await run.projection.caughtUp;
      assertEquals((await run.projection.parked()).length, 1);
    }
    const model = new Model();
    await using run = new Run(quick(bed, { filter, onPoison: "park", handler: model.handle }));
    assert(await run.projection.unpark("order-1"));
    assertEquals([model.seen, await run.projection.parked()], [[], []]);
  }
});

projectionTest("A changed filter can end run(), until a rebuild", async (bed) => {
  await fill(bed.store, ACTORS, 1, 3);
  const model = new Model();
  const error = { onFilterChange: "error" } as const;
  assertEquals(await told(bed, { category: "order" }, model, error), []);
  const changed = quick(bed, { filter: { category: "stock" }, handler: model.handle, ...error });
  await assertRejects(() => new Projection(changed).run(), TypeError, "has changed");
  assertEquals(model.seen.length, 6);
  await new Projection(changed).rebuild({ switch: "now" });
  await using run = new Run(changed);
  await run.projection.caughtUp;
  assertEquals(model.of("stock-1"), [1, 2, 3]);
});

Deno.test("a rebuild that a program with another filter left behind holds up no later one", async () => {
  await using store = new InMemoryEventStore();
  const bed = { store, checkpoints: new InMemoryCheckpointStore() };
  await store.saveEvent(fact("order-1", 1));
  {
    const gone = new Run(quick(bed, {
      filter: { category: "order" },
      handler: (_event, { version, signal }) => {
        if (version === 1) return;
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
      },
    }));
    await gone.projection.caughtUp;
    const left = assertRejects(() => gone.projection.rebuild(), DOMException, "disposed");
    while ((await gone.projection.status()).rebuilding === undefined);
    await gone[Symbol.asyncDispose]();
    await left;
  }
  const model = new Model();
  await using run = new Run(quick(bed, { filter: { actorId: "order-1" }, handler: model.handle }));
  await run.projection.caughtUp;
  assertEquals((await run.projection.status()).rebuilding, 2);
  assertEquals(await run.projection.rebuild(), 3);
  assertEquals(model.of("order-1"), [1]);
  const { version, rebuilding } = await run.projection.status();
  assertEquals([version, rebuilding], [3, undefined]);
});

projectionTest("A changed filter can begin a rebuild, once", async (bed) => {
  await fill(bed.store, ACTORS, 1, 3);
  const rebuild = { onFilterChange: "rebuild" } as const;
  await told(bed, { category: "order" }, new Model(), rebuild);
  const models = new Map<number, Model>();
  const texts: string[] = [];
  const options = quick(bed, {
    ...{ filter: { category: "stock" }, ...rebuild },
    handler: (event, { version }) => {
      const model = models.get(version) ?? new Model();
      models.set(version, model);
      model.handle(event);
    },
    onError: (error) => void texts.push(String(error)),
  });
  {
    await using run = new Run(options);
    while ((await run.projection.status()).version === 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await run.projection.caughtUp;
  }
  assertEquals(models.get(2)?.of("stock-1"), [1, 2, 3]);
  assertEquals(texts.length, 1);
  await using again = new Run(options);
  await again.projection.caughtUp;
  const { version, rebuilding } = await again.projection.status();
  assertEquals([version, rebuilding, texts.length], [2, undefined, 1]);
});

projectionTest(
  "A control that older code has saved has no filter, and tells of none",
  async (bed) => {
    const model = new Model();
    assertEquals(await told(bed, { category: "order" }, model), []);
    const { revision = 0, body = "" } = await bed.checkpoints.load("model.control") ?? {};
    const control = JSON.parse(body);
    delete control.active.filter;
    await bed.checkpoints.save("model.control", {
      revision: revision + 1,
      body: JSON.stringify(control),
    });
    assertEquals(await told(bed, { category: "stock" }, model), []);
    assertEquals((await told(bed, { category: "order" }, model)).length, 1);
  },
);

projectionTest("from begins a new projection, in all partitions, and is kept", async (bed) => {
  const { store } = bed;
  await fill(store, ACTORS, 1, 3);
  await fill(store, ACTORS, 4, 4);
  const stored = await Array.fromAsync(store.readAll());
  const first = stored.find(({ version }) => version === 4)!.sequence;
  await new Promise((resolve) => setTimeout(resolve, 20));
  const time = new Date();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await fill(store, ACTORS, 5, 6);
  const expected = { start: range(1, 7), now: [7], first: range(4, 7), date: range(5, 7) };
  const from = { start: "start", now: "now", first, date: time } as const;
  const models: Record<string, Model> = {};
  for (const key of ["start", "now", "first", "date"] as const) {
    const model = models[key] = new Model();
    const options = { name: key, handler: model.handle, partitions: 3 };
    // Settled before it ever runs, by any call.
    await new Projection(quick(bed, { ...options, from: from[key] })).status();
  }
  await fill(store, ACTORS, 7, 7);
  for (const key of ["start", "now", "first", "date"] as const) {
    const model = models[key]!;
    // Where it would begin now is not asked any more.
    const options = quick(bed, { name: key, handler: model.handle, partitions: 3, from: "start" });
    await using run = new Run(options);
    await run.projection.caughtUp;
    for (const actorId of ACTORS) assertEquals(model.of(actorId), expected[key], key);
  }
});

natsTest("reached() sees what another connection's projection has handled", async (scene) => {
  const { namespace } = scene;
  const open = async () => {
    const connection = await scene.connect();
    const store = await JetStreamEventStore.open(connection, { namespace });
    return { store, checkpoints: await KvCheckpointStore.open(connection, { namespace }) };
  };
  const here = await open();
  const there = await open();
  {
    await using _run = new Run(quick(there as Bed, { handler: () => {}, partitions: 8 }));
    const projection = new Projection(quick(here as Bed, { handler: () => {}, partitions: 8 }));
    const drafts = [{ eventType: "Happened", data: 1 }];
    const waits = range(1, 30).map(async (number) => {
      const { sequence } = await appendEvents(here.store, `order-${number}`, 0, drafts);
      await projection.reached(sequence);
    });
    await Promise.all(waits);
    assertEquals(await projection.lag(), { events: 0, seconds: 0 });
    await here.store.saveEvent(createEvent({ ...drafts[0]!, actorId: "order-1", version: 2 }));
  }
  for (const { store, checkpoints } of [here, there]) {
    await checkpoints[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  }
});
