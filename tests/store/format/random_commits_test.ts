/**
 * Random commits of all kinds: what memory and JetStream give back of them is the same by every
 * path, from every position, and holds against the rules of the format.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  createEvent,
  type Decider,
  type Event,
  type EventStore,
  type EventStoreOptions,
  execute,
  InMemoryEventStore,
  JetStreamEventStore,
  type ReadAllOptions,
  type RecordedEvent,
  verify,
} from "../../../mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { seededRandom } from "../../support/proxy.ts";

/** Commits in the property test. */
const COMMITS = Deno.env.get("AETHER_LONG") === undefined ? 800 : 10_000;
/** Positions in a row, and as many others, that reads of the stream begin at. */
const RESUMED = 150;

type Step = (store: EventStore) => Promise<void>;

const SCHEMAS = {
  Renamed: [(data: unknown) => data, (data: unknown) => data],
} as unknown as NonNullable<EventStoreOptions["upcasters"]>;

const codec: NonNullable<EventStoreOptions["codec"]> = {
  encode: ({ timestamp, ...event }) =>
    new TextEncoder().encode(JSON.stringify({ ...event, at: timestamp.getTime() })),
  decode: (bytes) => {
    const { at, ...event } = JSON.parse(new TextDecoder().decode(bytes));
    return { ...event, timestamp: new Date(at) };
  },
};

type Counted = Event<"Counted", { by: number }>;
const counter: Decider<number, number, Counted> = {
  initialState: () => 0,
  evolve: (sum, { data: { by } }) => sum + by,
  decide: (by) => {
    if (by < 0) throw new RangeError("no");
    return Array.from({ length: by }, () => ({ eventType: "Counted" as const, data: { by: 1 } }));
  },
};

/** Makes the same steps for any store: the events are decided here. */
class Steps {
  readonly #random: () => number;
  readonly #versions = new Map<string, number>();
  #commands = 0;
  #events = 0;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** One step of any kind. */
  next(): Step {
    const kind = this.#pick(12);
    if (kind < 4) return this.#save(this.#run(1 + this.#pick(3), 0));
    if (kind < 6) return this.#save(this.#run(1 + this.#pick(12), 3));
    if (kind < 7) return this.#save(this.#run(this.#pick(20) === 0 ? 200 + this.#pick(400) : 2, 0));
    if (kind < 9) return this.#save(this.#several());
    if (kind < 10) return this.#queued();
    if (kind < 11) return this.#command();
    return this.#receipt();
  }

  #pick(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #actor(): string {
    return ["order", "bill", "a.b", "漢"][this.#pick(4)]! + `-${this.#pick(12)}`;
  }

  /** Events of one actor that follow each other, with gaps of at most `gap` versions. */
  #run(count: number, gap: number, actorId = this.#actor()): Event[] {
    return Array.from({ length: count }, () => {
      const version = (this.#versions.get(actorId) ?? 0) + 1 + this.#pick(gap + 1);
      this.#versions.set(actorId, version);
      const eventType = ["Placed", "Renamed", "Sent it"][this.#pick(3)]!;
      const data = this.#pick(5) === 0
        ? null
        : { n: this.#events, text: "é".repeat(this.#pick(30)) };
      const id = `e-${++this.#events}-${"x".repeat(this.#pick(20))}`;
      const timestamp = new Date(1_700_000_000_000 + this.#events);
      const event = { ...createEvent({ eventType, actorId, version, data }), id, timestamp };
      return this.#pick(4) === 0 ? { ...event, metadata: { userId: `u-${this.#pick(9)}` } } : event;
    });
  }

  /** Runs of several actors in one save. */
  #several(): Event[] {
    return Array.from({ length: 2 + this.#pick(3) }, () => this.#run(1 + this.#pick(4), 1)).flat();
  }

  #save(events: readonly Event[]): Step {
    return async (store) => void await store.saveEvents(events);
  }

  /** Saves of one actor that wait for each other. */
  #queued(): Step {
    const actorId = this.#actor();
    const saves = Array.from(
      { length: 2 + this.#pick(6) },
      () => this.#run(1 + this.#pick(3), 0, actorId),
    );
    return async (store) => void await Promise.all(saves.map((events) => store.saveEvents(events)));
  }

  /** Commands of one actor that wait for each other, with ids and without. */
  #command(): Step {
    const actorId = `count-${this.#pick(5)}`;
    const commands = Array.from({ length: 1 + this.#pick(4) }, () => ({
      by: this.#pick(3),
      id: this.#pick(2) === 0 ? undefined : `c-${++this.#commands}`,
    }));
    return async (store) => {
      await Promise.all(commands.map(async ({ by, id }) => {
        await execute(store, actorId, counter, by, id === undefined ? {} : { commandId: id });
      }));
    };
  }

  /** A command that leads to no event, and is recorded. */
  #receipt(): Step {
    const actorId = this.#pick(2) === 0 ? `count-${this.#pick(5)}` : `never-${this.#pick(3)}`;
    const commandId = `c-${++this.#commands}`;
    return async (store) => {
      const refused = execute(store, actorId, counter, -1, { commandId, record: true });
      await refused.then(() => assert(false), (error) => assert(error instanceof RangeError));
    };
  }
}

/** The facts of events that do not depend on the store; commands make ids and times of their own. */
function factsOf(events: readonly Event[]): unknown[] {
  return events.map(({ id, timestamp, actorId, ...rest }) => ({
    ...(actorId.startsWith("count-") ? {} : { id, timestamp }),
    ...{ actorId, ...rest, sequence: undefined, commit: undefined },
  }));
}

/** Which events were saved together, by their places in the store. */
function commitsOf(events: readonly RecordedEvent[]): string[] {
  const ops = new Map<string, number>();
  return events.map(({ commit: { op, index, count } }) => {
    if (!ops.has(op)) ops.set(op, ops.size);
    return `${ops.get(op)}:${index}/${count}`;
  });
}

/** Compares long lists by their first difference, which is all that a reader can take in. */
function same(actual: readonly unknown[], expected: readonly unknown[], what: string): void {
  for (const [at, value] of actual.entries()) {
    const [one, other] = [JSON.stringify(value), JSON.stringify(expected[at])];
    if (one !== other) throw new Error(`${what} ${at} is ${one}, not ${other}`);
  }
  assertEquals(actual.length, expected.length, `number of ${what}`);
}

/** Checks that all paths of a store give the same events, and gives them. */
async function readByEveryPath(store: EventStore, resumed: number): Promise<RecordedEvent[]> {
  const all = await Array.fromAsync(store.readAll());
  const byActor = Map.groupBy(all, ({ actorId }) => actorId);
  assertEquals((await Array.fromAsync(store.listActors())).sort(), [...byActor.keys()].sort());
  for (const [actorId, own] of byActor) {
    const events = await store.getEvents(actorId);
    same(factsOf(events), factsOf(own), `event of ${actorId}`);
    const last = own.at(-1)!.version;
    assertEquals(await store.getLatestVersion(actorId, { fresh: true }), last);
    const back = await Array.fromAsync(store.readEvents(actorId, { direction: "backwards" }));
    same(back.map(({ id }) => id), events.map(({ id }) => id).reverse(), `backwards ${actorId}`);
    for (const at of [0.1, 0.5, 0.9]) {
      const from = own[Math.floor(own.length * at)]!.version;
      const range = { fromVersion: from, toVersion: from + 7, limit: 5 };
      const wanted = own.filter(({ version }) => version >= from && version <= from + 7);
      const part = await Array.fromAsync(store.readEvents(actorId, range));
      assertEquals(part.map(({ id }) => id), wanted.slice(0, 5).map(({ id }) => id));
    }
    const { events: sound, errors } = await store.getEventsWithErrors(actorId);
    assertEquals([sound.length, errors], [own.length, []]);
  }
  // Each position of a stretch, and some of all others; in memory each of all.
  const step = Math.max(1, Math.floor(all.length / resumed));
  for (let at = 0; at < all.length; at += at < resumed ? 1 : step) {
    const from = all[at]!.sequence;
    const [first] = await take(store.readAll({ from }), 1);
    assertEquals([first!.id, first!.sequence], [all[at]!.id, from]);
    const [next] = await take(store.readAll({ from: from + 1 }), 1);
    assertEquals(next?.id, all[at + 1]?.id, `behind ${from}`);
  }
  // Each live reader begins in the middle of whatever is there.
  for (const share of [0, 0.3, 0.77]) {
    const at = Math.floor(all.length * share);
    const seen = await take(store.subscribe({ from: all[at]!.sequence }), all.length - at);
    same(seen.map(({ id }) => id), all.slice(at).map(({ id }) => id), "live");
  }
  const types = { category: "order", eventTypes: ["Sent it"] };
  const some = await Array.fromAsync(store.readAll({ filter: types }));
  const wanted = all.filter(({ actorId, eventType }) =>
    actorId.startsWith("order-") && eventType === "Sent it"
  );
  same(some.map(({ sequence }) => sequence), wanted.map(({ sequence }) => sequence), "filtered");
  return all;
}

async function take<T>(items: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of items) if (taken.push(item) >= count) break;
  return taken;
}

/** Plays the same steps on both stores, and compares all that they give back. */
async function compare(
  memory: EventStore,
  stream: EventStore,
  commits: number,
  seed: number,
): Promise<void> {
  for (const store of [memory, stream]) {
    const steps = new Steps(seed);
    for (let at = 0; at < commits; at++) {
      try {
        await steps.next()(store);
      } catch (error) {
        throw new Error(`Step ${at} of seed ${seed} failed`, { cause: error });
      }
    }
  }
  const kept = await readByEveryPath(memory, Infinity);
  const stored = await readByEveryPath(stream, RESUMED);
  same(factsOf(stored), factsOf(kept), "event");
  same(commitsOf(stored), commitsOf(kept), "commit");
  for (const store of [memory, stream]) {
    const { ok, problems } = await verify(store);
    assert(ok, JSON.stringify(problems.slice(0, 5), null, 1));
  }
}

natsTest(
  `${COMMITS} random commits read the same by every path on memory and JetStream`,
  async (scene) => {
    const connection = await scene.connect();
    const options = { namespace: scene.namespace, upcasters: SCHEMAS };
    await using memory = new InMemoryEventStore(options);
    await using stream = await JetStreamEventStore.open(connection, options);
    await compare(memory, stream, COMMITS, 7);
  },
);

natsTest("random commits through a codec read the same too", async (scene) => {
  const connection = await scene.connect();
  const options = { namespace: scene.namespace, codec };
  await using memory = new InMemoryEventStore(options);
  await using stream = await JetStreamEventStore.open(connection, options);
  await compare(memory, stream, 300, 11);
});

/** A store that leaves an event in the middle of a message out of one path. */
class Forgetful extends InMemoryEventStore {
  override async *readAll(options?: ReadAllOptions): AsyncGenerator<RecordedEvent, void> {
    for await (const event of super.readAll(options)) {
      const { index, count } = event.commit;
      if (options === undefined || index !== 1 || count !== 3) yield event;
    }
  }
}

Deno.test("Control: a store that leaves an event out of one path is noticed", async () => {
  await using sound = new InMemoryEventStore();
  await using other = new InMemoryEventStore();
  await compare(sound, other, 60, 3);
  await using memory = new InMemoryEventStore();
  await using forgetful = new Forgetful();
  await assertRejects(() => compare(memory, forgetful, 60, 3), Error);
});
