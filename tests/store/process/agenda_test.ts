import { assert, assertEquals, assertRejects } from "@std/assert";
import { stub } from "@std/testing/mock";
import { shardOf } from "../../../store/actor.ts";
import { encodeToken } from "../../../store/base/token.ts";
import { ForwardingEventStore } from "../../../store/forwarding_store.ts";
import {
  createEvent,
  effect,
  type Event,
  type EventStore,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  type Process,
  ProcessManager,
  type ReadOptions,
  type RecordedEvent,
  StoreRefusedError,
  StoreUnavailableError,
  UnknownSchemaError,
} from "../../../store/mod.ts";
import { Agenda } from "../../../store/process/agenda.ts";
import { ledgerFrom, openingEvent } from "../../../store/process/known_history.ts";
import { OpenIndex, type OpenItem } from "../../../store/process/open_index.ts";
import { type AgendaItem, type AgendaParts, OpenWork } from "../../../store/process/open_work.ts";
import { WorkQueue } from "../../../store/process/work_queue.ts";
import { DueHeap } from "../../../store/timer/due_heap.ts";
import { Run, until } from "./bed.ts";

const ITEM: OpenItem = {
  ...{ actorId: "process:p-1", version: 1, sequence: 1, eventId: "event" },
  ...{ name: "command", lane: "order-1" },
};

/** Nobody else takes a partition over here. */
const waitFor = () => {};

/** An agenda that takes over `count` open commands of one process to one actor. */
async function takenOver(
  count: number,
  work: (item: AgendaItem) => Promise<"done">,
): Promise<AsyncDisposable> {
  const store = new InMemoryEventStore();
  const { actorId } = ITEM;
  const events = Array.from(
    { length: count },
    (_, at) => createEvent({ eventType: "CommandIssued", actorId, version: at + 1, data: {} }),
  );
  const { sequence } = await store.saveEvents(events);
  const items = events.map(({ id, version }) => ({
    ...{ ...ITEM, version, eventId: id, name: id },
    sequence: sequence - count + version,
  }));
  const checkpoints = new InMemoryCheckpointStore();
  const index = new OpenIndex(checkpoints, `${encodeToken("key")}.1.0`, store.identity);
  await index.save({ sequence, items });
  const agenda = new Agenda({
    ...{ store, checkpoints, key: "key", category: "process:p", onError: console.error, work },
    clock: { now: () => 0, wait: () => Promise.resolve() },
  });
  const stop = new AbortController();
  const partitionId = { version: 1, partition: 0, of: 1 };
  await agenda.take({ partitionId, sequence, signal: stop.signal, waitFor });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await agenda.settled();
      await store[Symbol.asyncDispose]();
    },
  };
}

Deno.test("what the index says is open is worked on, without a look at older events", async () => {
  const { promise, resolve } = Promise.withResolvers<AgendaItem>();
  await using _ = await takenOver(1, (item) => {
    resolve(item);
    return Promise.resolve("done");
  });
  assertEquals((await promise).version, 1);
});

Deno.test("the commands of a process to one actor go out one after the other, in order", async () => {
  const begun: number[] = [];
  let [underWay, most] = [0, 0];
  const over = Promise.withResolvers<void>();
  await using _ = await takenOver(5, async ({ version }) => {
    begun.push(version);
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setTimeout(resolve));
    underWay--;
    if (version === 5) over.resolve();
    return "done";
  });
  await over.promise;
  assertEquals([begun, most], [[1, 2, 3, 4, 5], 1]);
});

/** A deadline as `DeadlineSet` has it, in version `version` of the process. */
function set(version: number, at: string) {
  const data = { name: "end", at };
  return createEvent({ eventType: "DeadlineSet", actorId: ITEM.actorId, version, data });
}

Deno.test("a deadline is not lost where the index was ahead of the checkpoint", async () => {
  await using store = new InMemoryEventStore();
  const [early, late] = ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"];
  await store.saveEvents([set(1, early), set(2, late)]);
  const events = await Array.fromAsync(store.readAll());
  const [first, second] = events as [RecordedEvent, RecordedEvent];
  const checkpoints = new InMemoryCheckpointStore();
  const partitionId = { version: 1, partition: 0, of: 1 };
  let now = 0;
  const fired = Promise.withResolvers<AgendaItem>();
  /** Does `work` in a program that takes the partition over where its checkpoint is at `sequence`. */
  const program = async (sequence: number, work: (agenda: Agenda) => unknown) => {
    const agenda = new Agenda({
      ...{ store, checkpoints, key: "key", category: "process:p", onError: fired.reject },
      clock: { now: () => now, wait: () => new Promise(() => {}) },
      work: (item) => {
        fired.resolve(item);
        return Promise.resolve("done");
      },
    });
    const stop = new AbortController();
    await agenda.take({ partitionId, sequence, signal: stop.signal, waitFor });
    await work(agenda);
    stop.abort();
    await agenda.settled();
  };
  // Its last save of the index was stored, and that of its checkpoint was not.
  await program(0, (agenda) => [first, second].forEach((event) => agenda.see(event, 0)));
  // The next one is given both events again, and is killed behind the first.
  await program(0, (agenda) => {
    const { earliest } = agenda;
    agenda.see(first, 0);
    assertEquals([earliest, agenda.earliest], [Date.parse(late), Date.parse(late)]);
  });
  now = Date.parse(late);
  await program(second.sequence, () => fired.promise);
  assertEquals((await fired.promise).version, 2);
});

Deno.test("deadlines that are cleared take no memory until they would have been due", () => {
  let most = 0;
  const { add } = DueHeap.prototype;
  using _noted = stub(DueHeap.prototype, "add", function (this: DueHeap<{ at: number }>, entry) {
    add.call(this, entry);
    most = Math.max(most, this.size);
  });
  const checkpoints = new InMemoryCheckpointStore();
  const work = new OpenWork(
    {
      ...{ store: new InMemoryEventStore(), checkpoints, key: "key", category: "process:p" },
      ...{ work: () => Promise.resolve("done"), onError: console.error },
      clock: { now: () => 0, wait: () => new Promise(() => {}) },
    },
    new OpenIndex(checkpoints, "key", "store"),
    new AbortController().signal,
  );
  const see = (event: Event, sequence: number) =>
    work.see({ ...event, sequence, commit: { op: "", index: 0, count: 1 } });
  const standing = "2026-06-01T00:00:00Z";
  see({ ...set(1, standing), actorId: "process:p-standing" }, 1);
  for (let at = 0; at < 10_000; at++) {
    const actorId = `process:p-${at}`;
    see({ ...set(1, new Date(Date.parse(standing) + 1 + at).toISOString()), actorId }, 2 * at + 2);
    const cleared = { eventType: "DeadlineCleared", actorId, version: 2, data: { name: "end" } };
    see(createEvent(cleared), 2 * at + 3);
  }
  assert(most < 2_000, `${most} in the heap, and 1 is set`);
  assertEquals(work.earliest, Date.parse(standing));
});

Deno.test("a partition is not taken over where what its histories say stays unknown", async () => {
  await using memory = new InMemoryEventStore();
  const { sequence } = await memory.saveEvent(set(1, "2026-01-01T00:00:00Z"));
  const told: unknown[] = [];
  const taken = async (store: EventStore, of: number, partition: number) => {
    const checkpoints = new InMemoryCheckpointStore();
    const agenda = new Agenda({
      ...{ store, checkpoints, key: "key", category: "process:p" },
      ...{ work: () => Promise.resolve("done"), onError: (error) => void told.push(error) },
      clock: { now: () => 0, wait: () => new Promise(() => {}) },
    });
    const stop = new AbortController();
    const partitionId = { version: 1, partition, of };
    await agenda.take({ partitionId, sequence, signal: stop.signal, waitFor });
    stop.abort();
    await agenda.settled();
  };
  /** The store, where what `failures` gives is in the way, one after the other. */
  const failing = (...failures: Error[]): EventStore => {
    const store = new ForwardingEventStore(memory);
    store.readAll = async function* (options) {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      yield* memory.readAll(options);
    };
    return store;
  };
  const { actorId } = ITEM;
  const newer = new UnknownSchemaError(sequence, "DeadlineSet", 2, 1, { actorId });
  const refused = new StoreRefusedError("Cannot read: no", "allow it", 10054);
  await assertRejects(() => taken(failing(newer), 1, 0), UnknownSchemaError);
  await assertRejects(() => taken(failing(refused), 1, 0), StoreRefusedError);
  assertEquals(told, []);
  // It is another partition's.
  await taken(failing(newer), 16, (shardOf(actorId, 16) + 1) % 16);
  const away = new StoreUnavailableError("Cannot read: it is away");
  await taken(failing(away), 1, 0);
  assertEquals(told, [away]);
});

/**
 * A store whose replica lags: what another program saved it has only once it was asked for it twice,
 * or for the latest version. A program that goes on from a version has saved that itself.
 */
class LaggingStore extends ForwardingEventStore {
  readonly #asked = new Map<string, number>();
  isStuck = false;

  override async *readEvents<E extends Event>(
    actorId: string,
    options?: ReadOptions,
  ): AsyncGenerator<E> {
    const { fromVersion = 0, toVersion } = options ?? {};
    const isOwn = fromVersion > 0 && toVersion === undefined;
    for await (const event of super.readEvents<E>(actorId, options)) {
      const asked = this.#asked.get(event.id) ?? 0;
      this.#asked.set(event.id, asked + 1);
      if (asked < 2 && !isOwn && actorId.startsWith("process:")) return;
      yield event;
    }
  }

  override async getLatestVersion(actorId: string, options?: { readonly fresh?: boolean }) {
    if (this.isStuck) return 0;
    for (const { id } of await super.getEvents(actorId)) this.#asked.set(id, 2);
    return await super.getLatestVersion(actorId, options);
  }
}

Deno.test("a replica that lags is no proof that an event is lost, or that its work is done", async () => {
  await using memory = new InMemoryEventStore();
  const { actorId, signal } = { ...ITEM, signal: new AbortController().signal };
  const opening = set(1, "2026-01-01T00:00:00Z");
  const { sequence } = await memory.saveEvent(opening);
  const item = { ...ITEM, sequence, eventId: opening.id };
  const stuck = new LaggingStore(memory);
  stuck.isStuck = true;
  await assertRejects(() => openingEvent(stuck, item, signal), StoreUnavailableError, "version 1");
  await assertRejects(
    () => ledgerFrom(new LaggingStore(stuck), actorId, 1, signal),
    StoreUnavailableError,
    "version 1",
  );
  assertEquals((await openingEvent(new LaggingStore(memory), item, signal))?.id, opening.id);
  assertEquals(
    (await ledgerFrom(new LaggingStore(memory), actorId, 1, signal)).deadlines.size,
    1,
  );
  // Another event in its place is one.
  const other = { ...item, eventId: "other" };
  assertEquals(await openingEvent(new LaggingStore(memory), other, signal), undefined);
});

Deno.test("deadlines, commands and effects are not forgotten over a replica that lags", async () => {
  await using memory = new InMemoryEventStore();
  const done: string[] = [];
  const process: Process<undefined> = {
    ...{ name: "p", correlate: ({ actorId }) => actorId, initialState: () => undefined },
    evolve: () => undefined,
    react: (_state, input, { now }) => {
      if (!("kind" in input)) return { deadlines: { end: now } };
      done.push(input.kind);
      if (input.kind === "deadline") return { effects: [{ name: "mail", input: null }] };
      return { done: true };
    },
  };
  const manager = new ProcessManager({
    ...{ process, store: new LaggingStore(memory), checkpoints: new InMemoryCheckpointStore() },
    ...{ from: "start", partitions: 1, filter: { category: "order" } },
    effects: [effect("mail", () => void done.push("sent"))],
  });
  await using _run = new Run(manager);
  await memory.saveEvent(
    createEvent({ eventType: "Placed", actorId: "order-1", version: 1, data: null }),
  );
  await until(async () => (await memory.getEvents("process:p-order-1")).length === 6);
  assertEquals(done, ["deadline", "sent", "effect"]);
});

/** An agenda that holds one partition, and is told of events as they are saved. */
async function held(
  store: InMemoryEventStore,
  parts: Pick<AgendaParts, "work"> & Partial<AgendaParts>,
) {
  const agenda = new Agenda({
    ...{ store, checkpoints: new InMemoryCheckpointStore(), key: "key", category: "process:p" },
    ...{ onError: console.error, clock: { now: () => Date.now(), wait: () => Promise.resolve() } },
    ...parts,
  });
  const stop = new AbortController();
  const partitionId = { version: 1, partition: 0, of: 1 };
  await agenda.take({ partitionId, sequence: 0, signal: stop.signal, waitFor });
  return {
    note: (event: RecordedEvent) => agenda.see(event, 0),
    async see(event: Event) {
      const { sequence } = await store.saveEvent(event);
      agenda.see({ ...event, sequence, commit: { op: "", index: 0, count: 1 } }, 0);
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await agenda.settled();
    },
  };
}

Deno.test("a receiver that is out of reach holds up no deadline, and no command to others", async () => {
  await using store = new InMemoryEventStore();
  const [deadline, other] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const waits = (signal: AbortSignal) =>
    new Promise<"done">((resolve) => signal.addEventListener("abort", () => resolve("done")));
  await using agenda = await held(store, {
    work: (item, signal) => {
      if (item.lane.startsWith("mail-")) return waits(signal);
      (item.deadline === undefined ? other : deadline).resolve();
      return Promise.resolve("done");
    },
  });
  const issue = (process: string, actorId: string) => {
    const facts = { eventType: "CommandIssued", actorId: process, version: 1 };
    return agenda.see(createEvent({ ...facts, data: { id: process, actorId, command: null } }));
  };
  for (let at = 0; at < 100; at++) await issue(`process:p-${at}`, `mail-${at}`);
  await issue("process:p-other", "stock-1");
  await agenda.see({ ...set(1, "2026-01-01T00:00:00Z"), actorId: "process:p-timed" });
  await Promise.all([deadline.promise, other.promise]);
});

Deno.test("what is done and stays open is looked at again", async () => {
  await using store = new InMemoryEventStore();
  let times = 0;
  const thrice = Promise.withResolvers<void>();
  await using agenda = await held(store, {
    recheck: 1,
    work: () => {
      if (++times === 3) thrice.resolve();
      return Promise.resolve("done");
    },
  });
  await agenda.see(set(1, "2026-01-01T00:00:00Z"));
  await thrice.promise;
  const data = { name: "end" };
  const { actorId } = ITEM;
  await agenda.see(createEvent({ eventType: "DeadlineCleared", actorId, version: 2, data }));
  const someTurns = async () => {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 2));
  };
  await someTurns(); // It may have been under way.
  const before = times;
  await someTurns();
  assertEquals(times, before);
});

Deno.test("64 calls of one effect are under way at once, and commands take none of the places of deadlines", () => {
  const begun: string[] = [];
  const queue = new WorkQueue((_key, { lane }) => {
    begun.push(lane.split(/[ -]/)[0]!);
    return new Promise(() => {});
  });
  const add = (name: string, item: Partial<OpenItem>) =>
    queue.add(name, { ...ITEM, name, ...item });
  for (let at = 0; at < 65; at++) {
    add(`mail ${at}`, { lane: `effect ${crypto.randomUUID()}`, effect: "mail" });
    add(`command ${at}`, { lane: `deadline-${at}` }); // An actor may have this category.
  }
  add("end", { lane: "timer", deadline: { name: "end", at: 0 } });
  queue.start(() => {});
  const count = (kind: string) => begun.filter((it) => it === kind).length;
  assertEquals([count("effect"), count("deadline"), count("timer")], [64, 64, 1]);
});

Deno.test("the work of one lane is done one after the other, however often it is looked at", async () => {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const queue = new WorkQueue((key) => {
    begun.push(key);
    return new Promise((resolve) => ends.push(() => resolve("over")));
  });
  for (const name of ["first", "second"]) queue.add(name, { ...ITEM, name });
  for (let turn = 0; turn < 3; turn++) queue.start(() => {});
  assertEquals(begun, ["first"]);
  const { promise: ended, resolve: onEnd } = Promise.withResolvers<void>();
  queue.start(onEnd);
  ends[0]!();
  await queue.settled();
  for (let turn = 0; turn < 3; turn++) queue.start(onEnd);
  assertEquals(begun, ["first", "second"]);
  ends[1]!();
  await ended;
  await queue.settled();
  assertEquals([...queue.keys()], []);
});

Deno.test("a command that fails, or does not go out, is not passed by later ones to that actor", async () => {
  await using memory = new InMemoryEventStore();
  const issued = [1, 2, 3].map((version) => {
    const data = { id: `${version}`, actorId: "stock-1", command: null };
    return createEvent({ eventType: "CommandIssued", actorId: ITEM.actorId, version, data });
  });
  await memory.saveEvents(issued);
  const begun: string[] = [];
  const [stopped, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const told: unknown[] = [];
  await using agenda = await held(memory, {
    onError: (error) => void told.push(error),
    work: ({ name }) => {
      begun.push(name);
      if (begun.length === 1) throw new StoreUnavailableError("Cannot read: it is away");
      if (begun.length === 2) {
        stopped.resolve();
        return Promise.resolve({ stopped: 3 });
      }
      if (name === "3") over.resolve();
      return Promise.resolve("done");
    },
  });
  for await (const event of memory.readAll()) agenda.note(event);
  await stopped.promise;
  assertEquals(begun, ["1", "1"]);
  const { actorId } = ITEM;
  await agenda.see(createEvent({ eventType: "ProcessUnparked", actorId, version: 4, data: null }));
  await over.promise;
  assertEquals([begun, told.length], [["1", "1", "1", "2", "3"], 1]);
});
