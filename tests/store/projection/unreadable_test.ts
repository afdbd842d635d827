import { assert, assertEquals, assertRejects } from "@std/assert";
import { headers } from "@nats-io/nats-core";
import { DatabaseSync } from "node:sqlite";
import { SqliteCheckpointStore } from "../../../adapters/sqlite/mod.ts";
import {
  type CheckpointStore,
  type EventStore,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
  KvCheckpointStore,
  Projection,
  type RecordedEvent,
  type Upcaster,
} from "../../../store/mod.ts";
import { Layout } from "../../../store/format/layout.ts";
import { asStreamSequence, positionOf } from "../../../store/format/position.ts";
import { natsTest } from "../../support/fixture.ts";
import { type Bed, fact, Model, quick, Run } from "./bed.ts";

type Upcasters = Record<string, Upcaster[]>;

/** One set of events, opened by several versions of a program, one after the other. */
interface Deployments {
  readonly checkpoints: CheckpointStore<unknown>;
  /** The store as code with these upcasters sees it; in memory, each call replaces those before. */
  open(upcasters?: Upcasters): Promise<EventStore>;
}

function deploymentTest(name: string, run: (deployments: Deployments) => Promise<void>): void {
  Deno.test(`${name} (memory)`, async () => {
    const current: Upcasters = {};
    await using store = new InMemoryEventStore({ upcasters: current });
    const open = (upcasters: Upcasters = {}): Promise<EventStore> => {
      for (const type of Object.keys(current)) delete current[type];
      return Promise.resolve((Object.assign(current, upcasters), store));
    };
    await run({ checkpoints: new InMemoryCheckpointStore(), open });
  });
  for (const kind of ["KV", "SQLite"]) {
    natsTest(`${name} (${kind})`, async (scene) => {
      await using stack = new AsyncDisposableStack();
      const { namespace } = scene;
      const connection = await scene.connect();
      const db = stack.adopt(new DatabaseSync(":memory:"), (db) => db.close());
      const checkpoints = kind === "KV"
        ? stack.use(await KvCheckpointStore.open(connection, { namespace }))
        : new SqliteCheckpointStore(db) as CheckpointStore<unknown>;
      const open = async (upcasters: Upcasters = {}): Promise<EventStore> =>
        stack.use(await JetStreamEventStore.open(connection, { namespace, upcasters }));
      await run({ checkpoints, open });
    });
  }
}

const fails: Upcaster = () => {
  throw undefined;
};

/** Code that can read no event of type `T` which the first code saved, each in its own way. */
const UNREADABLE: readonly [name: string, saved: Upcasters, reads: Upcasters][] = [
  ["newer code saved it", { T: [fails] }, {}],
  ["its upcaster fails", {}, { T: [fails] }],
  ["its upcaster gives a promise", {}, { T: [() => Promise.resolve(1)] }],
];

for (const [why, saved, reads] of UNREADABLE) {
  deploymentTest(
    `A reader of its own types needs to read no other: ${why}`,
    async ({ checkpoints, open }) => {
      const first = await open(saved);
      await first.saveEvents([fact("a-1", 1, "T"), fact("a-1", 2, "Own"), fact("a-1", 3, "T")]);
      await first.saveEvent(fact("b-1", 1, "T"));
      await first.saveEvent(fact("a-2", 1, "Own"));
      const last = await first.saveEvent(fact("b-1", 2, "T"));
      const store = await open(reads);
      const filter = { eventTypes: ["Own"] };
      const wanted = ["a-1 2", "a-2 1"];
      assertEquals(await namesOf(store.readAll({ filter })), wanted);
      await using subscription = store.subscribe({ filter });
      assertEquals(await namesOf(subscription, 2), wanted);
      const model = new Model();
      for (const _round of [1, 2]) {
        await using run = new Run(quick({ store, checkpoints }, { handler: model.handle, filter }));
        await run.projection.caughtUp;
        assertEquals(model.seen.map(nameOf), wanted, "Once each, over a restart too");
        assertEquals(await run.projection.lag(), { events: 0, seconds: 0 });
        while ((await run.projection.status()).positions[0]! < last.sequence) {
          await new Promise((resolve) => setTimeout(resolve, 50)); // Unwanted events move it too.
        }
      }
      // The control: without the filter, the same events cannot be read.
      await assertRejects(() => namesOf(store.readAll()));
    },
  );

  deploymentTest(
    `An event that cannot be read is parked like one that cannot be handled: ${why}`,
    async ({ checkpoints, open }) => {
      const first = await open(saved);
      const model = new Model();
      const own = (version: number, type = "Own") => fact("a-1", version, type);
      await first.saveEvents([own(1), own(2, "T"), own(3), own(4)]);
      await first.saveEvents([fact("b-1", 1), fact("b-2", 1)]);
      const options = { handler: model.handle, onPoison: "park" } as const;
      const bed = { store: await open(reads), checkpoints };
      {
        await using run = new Run(quick(bed, options));
        await run.projection.caughtUp;
        assertEquals(model.seen.map(nameOf), ["a-1 1", "b-1 1", "b-2 1"]);
        const [parked, ...others] = await run.projection.parked();
        assertEquals(others, []);
        const { actorId, eventType, version, events, attempts } = parked!;
        assertEquals(
          { actorId, eventType, version, events, attempts },
          { actorId: "a-1", eventType: "T", version: 2, events: 3, attempts: 1 },
        );
        assertEquals(await run.projection.unpark("a-1"), false, "The code is the same");
        assertEquals((await run.projection.parked())[0]!.attempts, 2);
        assertEquals(run.projection.metrics.parked, 1);
      }
      // The control: without parking, it is where the projection ends.
      const halting = new Run(quick(bed, { handler: () => {}, name: "halting" }));
      const error = await halting.end;
      assert(
        isAetherError(error, "CorruptEventError") || isAetherError(error, "UnknownSchemaError"),
      );
      assertEquals(error.event, {
        actorId: "a-1",
        version: 2,
        id: parkedId(error),
        eventType: "T",
      });
      assertEquals((await halting.projection.status()).positions, [error.sequence - 1]);

      const fixed = await open({ T: [(data) => data] });
      await using run = new Run(quick({ ...bed, store: fixed }, options));
      assertEquals(await run.projection.unpark("a-1"), true);
      await run.projection.caughtUp;
      assertEquals(model.of("a-1"), [1, 2, 3, 4]);
      assertEquals(await run.projection.parked(), []);
      await fixed.saveEvent(own(5));
      await run.projection.caughtUp;
      assertEquals(model.of("a-1"), [1, 2, 3, 4, 5]);
      await using halted = new Run(
        quick({ ...bed, store: fixed }, { handler: () => {}, name: "halting" }),
      );
      await halted.projection.caughtUp;
    },
  );
}

deploymentTest(
  "A projection goes on at a checkpoint whose event cannot be read, and rebuilds over it",
  async ({ checkpoints, open }) => {
    const first = await open();
    await first.saveEvent(fact("a-1", 1, "T"));
    const store = await open({ T: [fails] });
    const model = new Model();
    const options = quick({ store, checkpoints }, {
      onPoison: "park",
      partitions: 3,
      handler: (event, { version }) => void (version === 1 && model.handle(event)),
    });
    await new Projection(options).status();
    {
      await using run = new Run(options);
      await run.projection.caughtUp;
    }
    await using run = new Run(options);
    await store.saveEvent(fact("a-2", 1));
    await run.projection.caughtUp;
    assertEquals(model.seen.map(nameOf), ["a-2 1"]);
    assertEquals(await run.projection.rebuild(), 2);
    assertEquals((await run.projection.parked()).map(({ actorId }) => actorId), ["a-1"]);
  },
);

Deno.test("A codec that fails for a while is tried again, and its event is not parked", async () => {
  let failures = 2;
  await using store = new InMemoryEventStore({
    codec: {
      encode: (event) => new TextEncoder().encode(JSON.stringify(event)),
      decode: (bytes) => {
        if (failures-- > 0) return Promise.reject(Object.create(null));
        return JSON.parse(new TextDecoder().decode(bytes));
      },
    },
  });
  await store.saveEvent(fact("a-1", 1));
  const model = new Model();
  const bed = { store, checkpoints: new InMemoryCheckpointStore() as CheckpointStore<unknown> };
  await using run = new Run(quick(bed, { handler: model.handle, onPoison: "park" }));
  while (model.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(await run.projection.parked(), []);
});

/** Messages on an actor's subject that are none of this library's, by header. */
const FORGERIES: readonly [
  name: string,
  forge: Record<string, string | undefined>,
  body?: string,
][] = [
  [
    "no header at all",
    Object.fromEntries(["Op", "Id", "Type", "Version", "Previous", "Count"]
      .map((name) => [name, undefined])),
  ],
  ["no version", { Version: undefined }],
  ["an impossible version", { Version: "-1" }],
  ["no id", { Id: undefined }],
  ["a count that is none", { Count: "many" }],
  ["a list that does not add up", { Sizes: "1 2" }],
  ["a schema that is none", { Schema: "latest" }],
  ["a schema of newer code", { Schema: "7" }],
  ["a body that is no JSON", {}, "{"],
  ["a body of another actor", {}, JSON.stringify(fact("c-1", 1))],
];

natsTest("A message of an actor that is no event is parked with its actor", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, { namespace });
  const layout = new Layout(namespace);
  for (const [at, [, forge, body]] of FORGERIES.entries()) {
    const event = fact(`bad-${at}`, 1);
    const fields = headers();
    const sound: Record<string, string> = { Op: "op", Id: event.id, Type: "T", Version: "1" };
    for (const [key, value] of Object.entries({ ...sound, Previous: "0", Count: "1", ...forge })) {
      if (value !== undefined) fields.set(`Aether-${key}`, value);
    }
    const subject = layout.event(event.actorId, store.shards);
    await connection.request(subject, body ?? JSON.stringify(event), {
      headers: fields,
      timeout: 5_000,
    });
    await store.saveEvent(fact(`good-${at}`, 1));
  }
  const model = new Model();
  const options = quick({ store, checkpoints: new InMemoryCheckpointStore() } as Bed, {
    handler: model.handle,
    onPoison: "park",
    partitions: 2,
  });
  for (const _round of [1, 2]) {
    await using run = new Run(options);
    await run.projection.caughtUp;
    const parked = (await run.projection.parked()).map(({ actorId }) => actorId).toSorted();
    assertEquals(parked, FORGERIES.map((_, at) => `bad-${at}`).toSorted());
    assertEquals(model.seen.map(nameOf), FORGERIES.map((_, at) => `good-${at} 1`));
    assertEquals(await run.projection.unpark("bad-0"), false);
  }
});

natsTest("A message that breaks its actor's chain is parked, if nothing is lost", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, { namespace });
  await store.saveEvents([fact("bad-1", 1), fact("bad-1", 2)]);
  const event = fact("bad-1", 9);
  const fields = headers();
  const forged = { Op: "op", Id: event.id, Type: "T", Version: "9", Previous: "8", Count: "1" };
  for (const [key, value] of Object.entries(forged)) fields.set(`Aether-${key}`, value);
  const subject = new Layout(namespace).event("bad-1", store.shards);
  await connection.request(subject, JSON.stringify(event), { headers: fields, timeout: 5_000 });
  await store.saveEvent(fact("good-1", 1));
  const model = new Model();
  const bed = { store, checkpoints: new InMemoryCheckpointStore() } as Bed;
  const options = quick(bed, { handler: model.handle, onPoison: "park" });
  for (const _round of [1, 2]) {
    await using run = new Run(options);
    await run.projection.caughtUp;
    const [{ actorId, version, eventType, reason } = {}] = await run.projection.parked();
    assertEquals([actorId, version, eventType], ["bad-1", 9, "T"]);
    assert(reason?.includes("nothing between them is lost"), reason);
    assertEquals(model.seen.map(nameOf), ["bad-1 1", "bad-1 2", "good-1 1"]);
  }
  // The control: without parking it halts there.
  const error = await new Run(quick(bed, { handler: () => {}, name: "halting" })).end;
  assert(isAetherError(error, "CorruptEventError") && error.event?.actorId === "bad-1");
});

natsTest(
  "A message of no actor halts, until it is skipped on purpose and on record",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { namespace });
    const first = await store.saveEvent(fact("a-1", 1));
    const subject = new Layout(namespace).event("a-1", store.shards).replace(/a-1$/, "=ZZ");
    const { seq } = (await connection.request(subject, "?")).json<{ seq: number }>();
    const sequence = positionOf(asStreamSequence(seq));
    await store.saveEvent(fact("a-2", 1));
    const model = new Model();
    const options = quick({ store, checkpoints: new InMemoryCheckpointStore() } as Bed, {
      handler: model.handle,
      onPoison: "park",
    });
    for (const _round of [1, 2]) {
      const error = await new Run(options).end;
      assert(isAetherError(error, "CorruptEventError"), String(error));
      assertEquals([error.sequence, error.event], [sequence, undefined]);
      assert(error.message.includes(`skip(${sequence})`), error.message);
    }
    const run = new Run(options);
    await run.end;
    for (const other of [first.sequence, sequence + 256, sequence + 1, 0.5, -1]) {
      await assertRejects(() => run.projection.skip(other), RangeError);
    }
    await run.projection.skip(sequence);
    await run.projection.skip(sequence);
    await using again = new Run(options);
    await again.projection.caughtUp;
    assertEquals(model.seen.map(nameOf), ["a-1 1", "a-2 1"]);
    const { skipped } = await again.projection.status();
    assertEquals(skipped.map((it) => it.sequence), [sequence]);
  },
);

function nameOf({ actorId, version }: RecordedEvent): string {
  return `${actorId} ${version}`;
}

async function namesOf(events: AsyncIterable<RecordedEvent>, count = Infinity): Promise<string[]> {
  const names: string[] = [];
  for await (const event of events) {
    names.push(nameOf(event));
    if (names.length === count) break;
  }
  return names;
}

function parkedId({ event }: { readonly event: { readonly id?: string } | undefined }): string {
  return event?.id ?? "";
}
