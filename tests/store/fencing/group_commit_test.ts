import { assert, assertEquals, assertRejects } from "@std/assert";
import type { MsgHdrs } from "@nats-io/transport-node";
import { appendEvents, type Event, JetStreamEventStore } from "../../../store/mod.ts";
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
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";

/** Counts what goes out: messages by batch, and those that are in none. */
class Traffic {
  readonly batches = new Map<string, number>();
  plain = 0;

  readonly count = (fields: MsgHdrs): void => {
    if (!fields.has("Aether-Op")) return;
    const id = fields.get("Nats-Batch-Id");
    if (id === "") this.plain++;
    else this.batches.set(id, (this.batches.get(id) ?? 0) + 1);
  };

  /** Sizes of the batches, in order. */
  get sizes(): number[] {
    return [...this.batches.values()];
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

natsTest("Saves that queue up go out in one batch, each with its own receipt", async (scene) => {
  await using open = await counted(scene);
  const { store, traffic } = open;
  const outcomes = await Promise.all(queue(store, "order-1", 1, 200));
  assertEquals(tally(outcomes), { saved: 200 });
  assertEquals(traffic.plain, 1);
  assertEquals(traffic.sizes, [199]);
  const first = outcomes[0]!.sequence!;
  assertEquals(outcomes.map(({ sequence }) => sequence! - first), [...outcomes.keys()]);
  assertEquals(await store.getLatestVersion("order-1"), 200);
  await check(scene, store, outcomes);
});

natsTest("On one server 31 saves that wait go one at a time, 32 together", async (scene) => {
  await using open = await counted(scene);
  const { store, traffic } = open;
  const outcomes = await Promise.all(queue(store, "order-1", 1, 32));
  assertEquals([traffic.plain, traffic.sizes], [32, []]);
  outcomes.push(...await Promise.all(queue(store, "order-1", 33, 65)));
  assertEquals([traffic.plain, traffic.sizes], [33, [32]]);
  await check(scene, store, outcomes);
});

clusterTest("On replicas two saves that wait go together, one goes alone", async (scene) => {
  await using open = await counted(scene, { replicas: 3 });
  const { store, traffic } = open;
  const outcomes = await Promise.all(queue(store, "order-1", 1, 2));
  assertEquals([traffic.plain, traffic.sizes], [2, []]);
  outcomes.push(...await Promise.all(queue(store, "order-1", 3, 5)));
  assertEquals([traffic.plain, traffic.sizes], [3, [2]]);
  assertEquals(tally(outcomes), { saved: 5 });
  await check(scene, store, outcomes);
});

natsTest("Over 1,000 events that wait go in batches of 1,000 at most", async (scene) => {
  await using open = await counted(scene);
  const { store, traffic } = open;
  const outcomes = await Promise.all([
    ...queue(store, "order-1", 1, 900),
    attempt(store, ...Array.from({ length: 300 }, (_, at) => fact("order-1", 901 + at))),
    ...queue(store, "order-1", 1_201, 2_500),
  ]);
  assertEquals(tally(outcomes), { saved: outcomes.length });
  assertEquals([traffic.plain, traffic.sizes], [1, [899, 1_000, 600]]);
  await check(scene, store, outcomes);
});

natsTest("A group is no larger than 8 MiB", async (scene) => {
  await using open = await counted(scene);
  const { store, traffic } = open;
  const data = "x".repeat(100_000);
  const outcomes = await Promise.all(
    Array.from({ length: 201 }, (_, at) => attempt(store, fact("order-1", at + 1, data))),
  );
  assertEquals(tally(outcomes), { saved: 201 });
  assertEquals(traffic.sizes.slice(0, 2), [83, 83]);
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
  assertEquals([traffic.plain, traffic.sizes], [1, [49]]);
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
  assertEquals(traffic.sizes.map((size) => size > 3), [true, false, true, true, false, true]);
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
  assertEquals([traffic.plain, traffic.sizes], [40, []]);
  const expect = [{ actorId: "stock-1", version: 0 }];
  outcomes.push(
    ...await Promise.all(
      Array.from(
        { length: 40 },
        (_, at) => attemptWith(store, [fact("order-1", at + 41)], { expect }),
      ),
    ),
  );
  assertEquals(traffic.sizes, Array(40).fill(2));
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
  assertEquals([traffic.plain, traffic.sizes], [1, [50]]);
  outcomes.push(...await Promise.all(queue(store, "order-1", 53, 100)));
  assertEquals([traffic.plain, traffic.sizes], [2, [50, 47]]);
  await check(scene, store, outcomes);
});

natsTest("Each event of a group is told of once, in order, refused ones never", async (scene) => {
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
  assert(traffic.sizes.length >= 2, String(traffic.sizes));
  await store[Symbol.asyncDispose]();
  assertEquals(told, Array.from({ length: 120 }, (_, at) => at + 1));
  await check(scene, store, outcomes);
});

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
  assertEquals([traffic.plain, traffic.sizes], [4, [48, 49, 49]]);
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
