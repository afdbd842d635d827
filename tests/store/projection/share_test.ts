import { assert, assertEquals, assertRejects } from "@std/assert";
import { shardOf } from "../../../store/actor.ts";
import {
  JetStreamEventStore,
  KvCheckpointStore,
  ProjectionLeases,
  type ProjectionOptions,
} from "../../../store/mod.ts";
import { unlessAborted } from "../../../store/base/abort.ts";
import { utf8 } from "../../../store/base/utf8.ts";
import { leveledQuotas, quotasOf } from "../../../store/projection/quota.ts";
import { holdingsIn } from "../../../store/projection/worker.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { fact, fill, Model, quick, range, Run } from "./bed.ts";

const FACT = fact("order-1", 1);
/** Nobody is killed here: a worker that a busy machine keeps from its signs of life stays one. */
const LEASE = { lease: 20_000 } as const;
const ACTORS = range(1, 40).map((number) => `order-${number}`);

/** Workers that each have everything of their own, as in processes of their own. */
class Crew implements AsyncDisposable {
  readonly model = new Model();
  /** Events that each worker handled. */
  readonly counts = new Map<string, number>();
  readonly #scene: Scene;
  readonly #stack = new AsyncDisposableStack();

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  async hire(
    name: string,
    partitions = 8,
    work: ProjectionOptions<unknown>["handler"] = () => {},
    options: Partial<ProjectionOptions<unknown>> = {},
  ): Promise<Run> {
    const { namespace } = this.#scene;
    const connection = await this.#scene.connect();
    const store = this.#stack.use(await JetStreamEventStore.open(connection, { namespace }));
    const checkpoints = this.#stack.use(await KvCheckpointStore.open(connection, { namespace }));
    const leases = this.#stack.use(
      await ProjectionLeases.open(connection, { namespace, ...LEASE }),
    );
    return new Run(quick({ store, checkpoints }, {
      leases,
      partitions,
      ...options,
      handler: async (event, context) => {
        await work(event, context);
        this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
        this.model.handle(event);
      },
    }));
  }

  /** Resolves when events were handled by just these workers since it was called. */
  async share(store: JetStreamEventStore, run: Run, names: string[]): Promise<void> {
    for (;;) {
      this.counts.clear();
      const version = await store.getLatestVersion(ACTORS[0]!) + 1;
      await fill(store, ACTORS, version, version);
      await run.projection.caughtUp;
      if (String([...this.counts.keys()].sort()) === String(names)) return;
    }
  }

  assertWhole(to: number): void {
    for (const actorId of ACTORS) assertEquals(this.model.of(actorId), range(1, to), actorId);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

natsTest("Workers that come and go share the partitions; each event comes once", async (scene) => {
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
  await using crew = new Crew(scene);
  let writing = true;
  const writer = (async () => {
    for (let version = 1; writing; version++) {
      await fill(store, ["stock-1", "stock-2"], version, version);
    }
  })();
  await using one = await crew.hire("one");
  await crew.share(store, one, ["one"]);
  {
    await using _two = await crew.hire("two");
    await using _three = await crew.hire("three");
    await crew.share(store, one, ["one", "three", "two"]);
  }
  await crew.share(store, one, ["one"]);
  writing = false;
  await writer;
  await one.projection.caughtUp;
  for (const actorId of ACTORS) {
    const versions = await store.getLatestVersion(actorId, { fresh: true });
    assertEquals(crew.model.of(actorId), range(1, versions), actorId);
  }
});

natsTest("One partition has one worker; another one takes its place", async (scene) => {
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
  await using crew = new Crew(scene);
  const one = await crew.hire("one", 1);
  await crew.share(store, one, ["one"]);
  await using two = await crew.hire("two", 1);
  await crew.share(store, two, ["one"]);
  await one[Symbol.asyncDispose]();
  await crew.share(store, two, ["two"]);
  crew.assertWhole(await store.getLatestVersion(ACTORS[0]!));
});

natsTest("Pause, unpark and rebuild hold for all workers", async (scene) => {
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
  await using crew = new Crew(scene);
  await using one = await crew.hire("one");
  await using two = await crew.hire("two");
  await crew.share(store, one, ["one", "two"]);
  await one.projection.pause();
  assertEquals((await two.projection.status()).paused, true);
  await two.projection.resume();
  await crew.share(store, two, ["one", "two"]);
  assertEquals(await two.projection.rebuild(), 2);
  assertEquals((await one.projection.status()).version, 2);
  await crew.share(store, one, ["one", "two"]);
  // Each event came once to version 1, and once to version 2, or only to that one.
  const seen = Map.groupBy(crew.model.seen, ({ id }) => id);
  assert([...seen.values()].every(({ length }) => length === 1 || length === 2));
});

natsTest("Impossible leases are refused", async (scene) => {
  const connection = await scene.connect();
  for (const lease of [0, 1_000, 2_500, NaN, Infinity]) {
    await assertRejects(() => ProjectionLeases.open(connection, { lease }), RangeError);
  }
});

Deno.test("Quotas are even, and the rest goes to workers that have most", () => {
  const quotas = (partitions: number, holdings: Record<string, number>) =>
    Object.fromEntries(quotasOf(partitions, new Map(Object.entries(holdings))));
  assertEquals(quotas(16, { a: 0 }), { a: 16 });
  assertEquals(quotas(16, { a: 16, b: 0, c: 0 }), { a: 6, b: 5, c: 5 });
  assertEquals(quotas(16, { a: 5, b: 6, c: 5 }), { a: 5, b: 6, c: 5 });
  assertEquals(quotas(1, { a: 0, b: 1 }), { a: 0, b: 1 });
  assertEquals(quotas(2, { c: 0, b: 0, a: 0 }), { a: 1, b: 1, c: 0 });
});

/** The process that should have each of some projections of one partition, by the process that has it. */
function planned(owners: string): string {
  const units = new Map([...owners].map((owner, at) => {
    const holdings = ["x", "y", "z"].map((process) =>
      [`${process}_${at}`, owner === process ? 1 : 0] as const
    );
    return [String.fromCodePoint(97 + at), { partitions: 1, holdings: new Map(holdings) }];
  }));
  return [...units.keys()].map((name) => {
    const [[worker = ""] = []] = [...leveledQuotas(name, units)!].filter(([, quota]) => quota > 0);
    return worker[0];
  }).join("");
}

Deno.test("Projections of one partition level out, and then none moves", () => {
  assertEquals(planned("xxxxxxxxxxxx"), "yzyzyzyzxxxx");
  assertEquals(planned("yzyzyzyzxxxx"), "yzyzyzyzxxxx");
});

Deno.test("Only the busiest process gives projections away", () => {
  assertEquals(planned("yyyyxxxxxxxx"), "yyyyzzzzxxxx");
});

Deno.test("A projection that nobody has yet counts as that of the process that will take it", () => {
  assertEquals(planned("..xxxxyyyyzz"), "zzxxxxyyyyzz");
});

Deno.test("A worker has no part in a version that it leaves to others", () => {
  const keys = {
    "lease.mail.worker.x_1": "",
    "lease.mail.worker.y_1": "2 3",
    "lease.mail.1.0": "y_1",
    "lease.mail.2.0": "x_1",
    "lease.mail.12.0": "",
    "lease.list.worker.y_2": "2",
    "lease.list.2.0": "",
  };
  const entries = Object.entries(keys).map(([key, value]) => {
    return { key, revision: 1, value: utf8(value) };
  });
  const units = [...holdingsIn(entries)].map(([unit, { holdings }]) =>
    [unit, Object.fromEntries(holdings)] as const
  );
  assertEquals(Object.fromEntries(units), {
    "lease.mail.1": { x_1: 0, y_1: 1 },
    "lease.mail.2": { x_1: 1 },
    "lease.mail.12": { x_1: 0, y_1: 0 },
  });
});

natsTest(
  "Projections of one partition spread over the workers, and move when one ends",
  async (scene) => {
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
    const names = range(1, 12).map((name) => `view-${name}`);
    /** A process that runs all projections. */
    const hire = async () => {
      const stack = new AsyncDisposableStack();
      const connection = await scene.connect();
      const own = stack.use(await JetStreamEventStore.open(connection, { namespace }));
      const checkpoints = stack.use(await KvCheckpointStore.open(connection, { namespace }));
      const leases = stack.use(await ProjectionLeases.open(connection, { namespace, ...LEASE }));
      const seen = new Set<string>();
      for (const name of names) {
        const handler = () => void seen.add(name);
        stack.use(
          new Run(quick({ store: own, checkpoints }, { name, leases, handler })),
        );
      }
      return { seen, [Symbol.asyncDispose]: () => stack.disposeAsync() };
    };
    type Process = Awaited<ReturnType<typeof hire>>;
    /** How many projections each process is seen to run, while some may move. */
    const shares = async (...processes: Process[]): Promise<number[]> => {
      const version = await store.getLatestVersion("order-1", { fresh: true }) + 1;
      for (const { seen } of processes) seen.clear();
      await store.saveEvents([{ ...FACT, id: crypto.randomUUID(), version }]);
      const all = () => new Set(processes.flatMap(({ seen }) => [...seen]));
      while (all().size < names.length) await new Promise((resolve) => setTimeout(resolve, 10));
      return processes.map(({ seen }) => seen.size);
    };
    /** Resolves when they have run so many ten times in a row: one look alone may find it by chance. */
    const until = async (wanted: number[], ...processes: Process[]) => {
      for (let round = 0, same = 0; same < 10; round++) {
        const actual = await shares(...processes);
        same = String(actual) === String(wanted) ? same + 1 : 0;
        assert(round < 1_000, `${actual} in place of ${wanted}`);
      }
    };
    await using first = await hire();
    await until([12], first);
    {
      await using second = await hire();
      await until([6, 6], first, second);
      await using third = await hire();
      await until([4, 4, 4], first, second, third);
    }
    await until([12], first);
  },
);

natsTest(
  "A handler that does not come back keeps no other partition from moving",
  async (scene) => {
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
    await using crew = new Crew(scene);
    const [moving, stuck] = [2, 3].map((partition) =>
      ACTORS.find((actorId) => shardOf(actorId, 4) === partition)!
    ) as [string, string];
    const begun = Promise.withResolvers<void>();
    const release = Promise.withResolvers<void>();
    await using one = await crew.hire("one", 4, async ({ actorId }) => {
      if (actorId !== stuck) return;
      begun.resolve();
      await release.promise;
    });
    await one.projection.caughtUp;
    await store.saveEvent(fact(stuck, 1));
    await begun.promise;
    try {
      let version = 0;
      const pass = () => new Promise((resolve) => setTimeout(resolve, 20));
      {
        // Both partitions are to move; only one of them can.
        await using _two = await crew.hire("two", 4);
        for (; !crew.counts.has("two"); await pass()) {
          await store.saveEvent(
            fact(moving, ++version),
          );
        }
      }
      await store.saveEvent(fact(moving, ++version));
      const deadline = performance.now() + 20_000;
      while (crew.model.of(moving).length < version && performance.now() < deadline) await pass();
      assertEquals(crew.model.of(moving), range(1, version));
    } finally {
      release.resolve();
    }
  },
);

natsTest(
  "A version for a changed filter is built only by processes that have the filter",
  async (scene) => {
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
    for (const actorId of ACTORS) {
      await store.saveEvents([fact(actorId, 1, "Old"), fact(actorId, 2, "New")]);
    }
    await using crew = new Crew(scene);
    const told = Promise.withResolvers<void>();
    const built: string[] = [];
    const hire = async (name: string, eventTypes: string[]): Promise<Run> =>
      await crew.hire(name, 4, ({ eventType }, { version }) => {
        if (version === 2) built.push(`${name}: ${eventType}`);
      }, {
        filter: { eventTypes },
        onFilterChange: "rebuild",
        onError: (error) => String(error).includes("another filter") && told.resolve(),
      });
    const old = await hire("old", ["Old"]);
    await old.projection.caughtUp;
    await using young = await hire("young", ["Old", "New"]);
    const switched = (async () => {
      const deadline = performance.now() + 30_000;
      while ((await young.projection.status()).version < 2 && performance.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    await Promise.race([told.promise, switched]);
    await old[Symbol.asyncDispose]();
    await switched;
    await young.projection.caughtUp;
    assertEquals([...new Set(built)].sort(), ["young: New", "young: Old"]);
    assertEquals(built.length, 2 * ACTORS.length);
  },
);

for (const when of ["caught-up", "now"] as const) {
  natsTest(
    `A version for another filter (${when}) is whole beside a process that leaves it to others`,
    async (scene) => {
      const { namespace } = scene;
      await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
      for (const actorId of ACTORS) await store.saveEvent(fact(actorId, 1, "New"));
      await using crew = new Crew(scene);
      const built = new Set<string>();
      const hire = async (name: string, eventTypes: string[]): Promise<Run> =>
        await crew.hire(name, 4, ({ actorId }, { version }) => {
          if (version === 2) built.add(`${name}: ${actorId}`);
        }, { filter: { eventTypes } });
      await using old = await hire("old", ["Happened"]);
      await crew.share(store, old, ["old"]);
      await using young = await hire("young", ["Happened", "New"]);
      await crew.share(store, young, ["old", "young"]);
      const signal = AbortSignal.timeout(30_000);
      assertEquals(await young.projection.rebuild({ switch: when, signal }), 2);
      await unlessAborted(signal, young.projection.caughtUp);
      assertEquals([...built].sort(), ACTORS.map((actorId) => `young: ${actorId}`).sort());
    },
  );
}
