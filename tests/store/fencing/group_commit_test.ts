import { assert, assertEquals, assertRejects } from "@std/assert";
import type { MsgHdrs } from "@nats-io/transport-node";
import {
  appendEvents,
  type Event,
  JetStreamEventStore,
  streamSequenceOf,
} from "../../../store/mod.ts";
import { attemptWith } from "../save/batch_bed.ts";
import {
  assertTruthful,
  attempt,
  fact,
  type Outcome,
  storedIn,
  tally,
  tampered,
} from "../../support/fault.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { fencedTest } from "./bed.ts";

/** Counts what goes out: the events of each message, by batch, and of those that are in none. */
class Traffic {
  readonly #batches = new Map<string, number[]>();
  /** Events of each message that is in no batch, in order. */
  readonly plain: number[] = [];

  readonly count = (fields: MsgHdrs): void => {
    if (!fields.has("Aether-Op")) return;
    const id = fields.get("Nats-Batch-Id");
    const events = fields.get("Aether-Id").split(" ").filter(Boolean).length;
    if (id === "") this.plain.push(events);
    else this.#batches.set(id, [...this.#batches.get(id) ?? [], events]);
  };

  /** Events of each message of each batch, in order; 0 for what only carries a guard. */
  get batches(): number[][] {
    return [...this.#batches.values()];
  }
}

/** A store of which all that it publishes is counted. */
async function counted(
  scene: Scene,
  options: Parameters<typeof JetStreamEventStore.open>[1] = {},
): Promise<AsyncDisposable & { store: JetStreamEventStore; traffic: Traffic }> {
  const traffic = new Traffic();
  const connection = tampered(await scene.connect(), traffic.count);
  const { namespace } = scene;
  const store = await JetStreamEventStore.open(connection, { namespace, ...options });
  return { store, traffic, [Symbol.asyncDispose]: () => store[Symbol.asyncDispose]() };
}

/** Saves versions `from` to `to` of one actor, all at once. */
function queue(
  store: JetStreamEventStore,
  actorId: string,
  from: number,
  to: number,
): Promise<Outcome>[] {
  return Array.from({ length: to - from + 1 }, (_, at) => attempt(store, fact(actorId, from + at)));
}

async function check(
  scene: Scene,
  store: JetStreamEventStore,
  outcomes: readonly Outcome[],
): Promise<void> {
  assertTruthful(outcomes, await storedIn(await scene.connect(), store.stream));
}

natsTest("Saves that queue up go out in one message, each with its own receipt", async (scene) => {
  await using open = await counted(scene);
  const { store, traffic } = open;
  const outcomes = await Promise.all(queue(store, "order-1", 1, 200));
  assertEquals(tally(outcomes), { saved: 200 });
  assertEquals([traffic.plain, traffic.batches], [[1, 199], []]);
  const [first, second] = outcomes.map(({ sequence }) => sequence!) as [number, number];
  assertEquals(streamSequenceOf(second), streamSequenceOf(first) + 1);
  const positions = outcomes.slice(1).map(({ sequence }) => sequence! - second);
  assertEquals(positions, [...Array(199).keys()]);
  assertEquals(await store.getLatestVersion("order-1"), 200);
  await check(scene, store, outcomes);
});

fencedTest("Two saves that wait go together, one goes alone", async (scene, { replicas }) => {
  await using open = await counted(scene, { replicas });
  const { store, traffic } = open;
  const outcomes = await Promise.all(queue(store, "order-1", 1, 2));
  assertEquals([traffic.plain, traffic.batches], [[1, 1], []]);
  outcomes.push(...await Promise.all(queue(store, "order-1", 3, 5)));
  assertEquals([traffic.plain, traffic.batches], [[1, 1, 1, 2], []]);
  assertEquals(tally(outcomes), { saved: 5 });
  await check(scene, store, outcomes);
});

natsTest(
  "Saves that wait go in messages of 256 events at most, and no save is torn",
  async (scene) => {
    await using open = await counted(scene);
    const { store, traffic } = open;
    const many = (from: number, count: number) =>
      attempt(store, ...Array.from({ length: count }, (_, at) => fact("order-1", from + at)));
    const outcomes = await Promise.all([
      ...queue(store, "order-1", 1, 100),
      many(101, 200),
      ...queue(store, "order-1", 301, 356),
      many(357, 300),
      ...queue(store, "order-1", 657, 1_256),
    ]);
    assertEquals(tally(outcomes), { saved: outcomes.length });
    // 99 wait, and 200 are too many beside them; 56 more fit beside these.
    assertEquals(traffic.plain, [1, 99, 256, 256, 256, 88]);
    // More than fit in one message go alone.
    assertEquals(traffic.batches, [[256, 44]]);
    await check(scene, store, outcomes);
  },
);

natsTest("Saves that wait go in messages of about 64 KiB of bodies", async (scene) => {
  await using open = await counted(scene);
  const { store, traffic } = open;
  const saves = (from: number, count: number, bytes: number) =>
    Array.from({ length: count }, (_, at) => {
      return attempt(store, fact("order-1", from + at, "x".repeat(bytes)));
    });
  const outcomes = await Promise.all([...saves(1, 15, 10_000), ...saves(16, 3, 100_000)]);
  assertEquals(tally(outcomes), { saved: 18 });
  assertEquals([traffic.plain, traffic.batches], [[1, 6, 6, 2, 1, 1, 1], []]);
  await check(scene, store, outcomes);
});

natsTest("Saves that wait go in messages of 48 KiB of headers at most", async (scene) => {
  const sizes: number[] = [];
  const { namespace } = scene;
  const connection = tampered(await scene.connect(), (fields) => {
    if (!fields.has("Aether-Op")) return;
    const lines = [...fields.keys()].map((name) => `${name}: ${fields.get(name)}\r\n`);
    sizes.push(lines.join("").length);
  });
  await using store = await JetStreamEventStore.open(connection, { namespace });
  const outcomes = await Promise.all(Array.from({ length: 256 }, (_, at) => {
    const event = fact("order-1", at + 1);
    const [id, eventType] = ["i", "t"].map((letter) => letter.repeat(197) + (at + 100));
    return attempt(store, { ...event, id: id!, eventType: eventType! });
  }));
  assertEquals(tally(outcomes), { saved: 256 });
  // One went alone, and the last message has what was left.
  const [, ...full] = sizes.slice(0, -1);
  assert(full.length > 1 && Math.max(...full) < 48 * 1024, `${sizes} bytes`);
  assert(Math.min(...full) > 36 * 1024, `${sizes} bytes`);
  await check(scene, store, outcomes);
});

natsTest("A conflict in a group is reported to the saves it belongs to", async (scene) => {
  await using open = await counted(scene);
  const { store } = open;
  await using other = await JetStreamEventStore.open(await scene.connect(), {
    namespace: scene.namespace,
  });
  const outcomes = [await attempt(store, fact("order-1", 1))];
  outcomes.push(await attempt(other, fact("order-1", 30)));
  outcomes.push(...await Promise.all(queue(store, "order-1", 2, 60)));
  assertEquals(outcomes.slice(2).map(({ kind }) => kind), [
    ...Array(29).fill("conflict"),
    ...Array(30).fill("saved"),
  ]);
  await check(scene, store, outcomes);
});

natsTest("Duplicates in a queue are reported as such, with their places", async (scene) => {
  await using open = await counted(scene);
  const { store } = open;
  const events = Array.from({ length: 120 }, (_, at) => fact("order-1", at + 1));
  const before = await Promise.all(events.slice(0, 40).map((event) => attempt(store, event)));
  const queued = events.flatMap((event, at) => at % 3 === 0 ? [event, event] : [event]);
  const outcomes = await Promise.all(queued.map((event) => attempt(store, event)));
  const kinds = new Map<Event, string[]>();
  for (const { events: [event], kind } of [...before, ...outcomes]) {
    kinds.set(event!, [...kinds.get(event!) ?? [], kind]);
  }
  for (const [at, event] of events.entries()) {
    const again = (at < 40 ? 1 : 0) + (at % 3 === 0 ? 1 : 0);
    assertEquals(kinds.get(event), ["saved", ...Array(again).fill("duplicate")], `Event ${at + 1}`);
  }
  await check(scene, store, [...before, ...outcomes]);
});

natsTest("A queue that was saved before: each save is a duplicate", async (scene) => {
  await using open = await counted(scene);
  const { store } = open;
  const events = Array.from({ length: 60 }, (_, at) => fact("order-1", at + 1));
  const outcomes = await Promise.all(events.map((event) => attempt(store, event)));
  outcomes.push(...await Promise.all(events.map((event) => attempt(store, event))));
  assertEquals(tally(outcomes), { saved: 60, duplicate: 60 });
  await check(scene, store, outcomes);
});

natsTest("Expected versions of the own actor hold within a group", async (scene) => {
  await using open = await counted(scene);
  const { store, traffic } = open;
  const save = (version: number, expected: number) =>
    attemptWith(store, [fact("order-1", version)], {
      expect: [{ actorId: "order-1", version: expected }],
    });
  const chained = await Promise.all(
    Array.from({ length: 50 }, (_, at) => save(at + 1, at)),
  );
  assertEquals(tally(chained), { saved: 50 });
  assertEquals([traffic.plain, traffic.batches], [[1, 49], []]);
  // One that expects what never comes: it is refused, and those that build on it.
  const broken = await Promise.all([
    ...Array.from({ length: 40 }, (_, at) => save(at + 51, at + 50)),
    save(91, 77),
    save(92, 91),
    ...Array.from({ length: 40 }, (_, at) => save(at + 93, at === 0 ? 90 : at + 92)),
  ]);
  assertEquals(tally(broken), { saved: 80, conflict: 2 });
  assertEquals(broken.slice(40, 42).map(({ kind }) => kind), ["conflict", "conflict"]);
  const drafts = [{ eventType: "Happened", data: null }];
  const receipts = await Promise.allSettled(
    [132, 133, 132].map((version) => appendEvents(store, "order-1", version, drafts)),
  );
  assertEquals(receipts.map(({ status }) => status), ["fulfilled", "fulfilled", "rejected"]);
  assertEquals(await store.getLatestVersion("order-1"), 134);
});

natsTest("Saves of several actors keep their place in line", async (scene) => {
  await using open = await counted(scene);
  const { store, traffic } = open;
  const saves = [
    ...queue(store, "a-1", 1, 50),
    attempt(store, fact("a-1", 51), fact("b-1", 1)),
    ...queue(store, "b-1", 2, 60),
    ...queue(store, "a-1", 52, 100),
    attempt(store, fact("b-1", 61), fact("c-1", 1), fact("a-1", 101)),
    ...queue(store, "c-1", 2, 40),
  ];
  const outcomes = await Promise.all(saves);
  assertEquals(tally(outcomes), { saved: saves.length });
  // Those of different actors go side by side.
  assertEquals(traffic.plain.toSorted((a, b) => a - b), [1, 39, 49, 49, 59]);
  assertEquals(traffic.batches, [[1, 1], [1, 1, 1]]);
  await check(scene, store, outcomes);
  // Later saves for a group of the same actor are behind it in the store.
  const events = await store.getEvents("a-1");
  assertEquals(events.length, 101);
});

natsTest("Saves with a signal, or a guard on another actor, go alone", async (scene) => {
  await using open = await counted(scene);
  const { store, traffic } = open;
  const { signal } = new AbortController();
  const outcomes = await Promise.all(
    Array.from(
      { length: 40 },
      (_, at) => attemptWith(store, [fact("order-1", at + 1)], { signal }),
    ),
  );
  assertEquals([traffic.plain, traffic.batches], [Array(40).fill(1), []]);
  const expect = [{ actorId: "stock-1", version: 0 }];
  outcomes.push(
    ...await Promise.all(
      Array.from(
        { length: 40 },
        (_, at) => attemptWith(store, [fact("order-1", at + 41)], { expect }),
      ),
    ),
  );
  assertEquals(traffic.batches, Array(40).fill([1, 0]));
  assertEquals(tally(outcomes), { saved: 80 });
  await check(scene, store, outcomes);
});

natsTest("A save aborted in line does not keep those behind it from grouping", async (scene) => {
  await using open = await counted(scene);
  const { store, traffic } = open;
  const first = attempt(store, fact("order-1", 1));
  const controller = new AbortController();
  const { signal } = controller;
  const aborted = attemptWith(store, [fact("order-1", 2)], { signal });
  const rest = queue(store, "order-1", 3, 52);
  controller.abort();
  const outcomes = await Promise.all([first, aborted, ...rest]);
  assertEquals(tally(outcomes), { saved: 51, unavailable: 1 });
  assertEquals([traffic.plain, traffic.batches], [[1, 50], []]);
  outcomes.push(...await Promise.all(queue(store, "order-1", 53, 100)));
  assertEquals([traffic.plain, traffic.batches], [[1, 50, 1, 47], []]);
  await check(scene, store, outcomes);
});

natsTest(
  "Each stored event of a group is notified once, in order, and refused ones never",
  async (scene) => {
    const told: number[] = [];
    const broadcaster = {
      publish: (_: string, { version }: Event): Promise<void> => {
        told.push(version);
        return new Promise((resolve) => setTimeout(resolve));
      },
    };
    await using open = await counted(scene, { broadcaster });
    const { store, traffic } = open;
    const outcomes = await Promise.all([
      ...queue(store, "order-1", 1, 60),
      attempt(store, fact("order-1", 60)),
      attempt(store, fact("order-1", 61), fact("order-1", 62)),
      ...queue(store, "order-1", 63, 120),
    ]);
    assertEquals(tally(outcomes), { saved: 119, conflict: 1 });
    // The refused one was in the second group, whose others then went one at a time.
    assertEquals([traffic.plain, traffic.batches], [[1, 59, 2, ...Array(58).fill(1)], []]);
    await store[Symbol.asyncDispose]();
    assertEquals(told, Array.from({ length: 120 }, (_, at) => at + 1));
    await check(scene, store, outcomes);
  },
);

natsTest("Bodies that come late go in their turn, beside groups", async (scene) => {
  const codec = {
    encode: (event: Event) => {
      const body = new TextEncoder().encode(JSON.stringify(event));
      return event.version % 50 === 0 ? Promise.resolve(body) : body;
    },
    decode: (body: Uint8Array) => {
      const event = JSON.parse(new TextDecoder().decode(body));
      return { ...event, timestamp: new Date(event.timestamp) };
    },
  };
  await using open = await counted(scene, { codec });
  const { store, traffic } = open;
  const outcomes = await Promise.all(queue(store, "order-1", 1, 150));
  assertEquals(tally(outcomes), { saved: 150 });
  assertEquals([traffic.plain, traffic.batches], [[1, 48, 1, 49, 1, 49, 1], []]);
  assertEquals((await store.getEvents("order-1")).length, 150);
  await check(scene, store, outcomes);
});

natsTest("An event that is too large is refused at once, and its queue goes on", async (scene) => {
  await using open = await counted(scene);
  const { store } = open;
  const before = queue(store, "order-1", 1, 40);
  const large = assertRejects(() => store.saveEvent(fact("order-1", 41, "x".repeat(2 ** 20))));
  const outcomes = await Promise.all([...before, ...queue(store, "order-1", 42, 90)]);
  assertEquals((await large as Error).name, "EventTooLargeError");
  assertEquals(tally(outcomes), { saved: 89 });
  await check(scene, store, outcomes);
});

natsTest("Disposal waits for queued saves, and stores all of them", async (scene) => {
  await using open = await counted(scene);
  const { store } = open;
  const saves = [...queue(store, "order-1", 1, 300), ...queue(store, "order-2", 1, 40)];
  await store[Symbol.asyncDispose]();
  const outcomes = await Promise.all(saves);
  assertEquals(tally(outcomes), { saved: 340 });
  await check(scene, store, outcomes);
});
