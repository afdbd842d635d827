/**
 * Deadlines of processes: an effect at most once, never before their time, lost by nobody.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  type CheckpointStore,
  createEvent,
  type DeadlineClock,
  type Event,
  type EventStore,
  InMemoryCheckpointStore,
  type Process,
  ProcessManager,
  type ProcessReaction,
} from "../../../mod.ts";
import { inputDecider } from "../../../store/process/inputs.ts";
import { both, place, Run, typesOf, until } from "./bed.ts";

type Placed = Event<"OrderPlaced", { pieces: number }>;
type Noted = Event<"Noted", string>;
type Timed = Process<readonly string[], Placed, Noted>;

/** A clock that moves when the test says so. */
class TestClock implements DeadlineClock {
  #now = Date.now();
  #moved = Promise.withResolvers<void>();

  now(): number {
    return this.#now;
  }

  async wait(_ms: number, signal: AbortSignal): Promise<void> {
    const over = new Promise<void>((resolve) =>
      signal.addEventListener("abort", () => resolve(), { once: true })
    );
    if (!signal.aborted) await Promise.race([this.#moved.promise, over]);
  }

  move(ms: number): void {
    this.#now += ms;
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }
}

const note = (data: string): Noted[] => [{ eventType: "Noted", data } as Noted];

/** Sets a deadline of a minute at each first event, and clears it at the second. */
const timed: Timed = {
  name: "timed",
  correlate: ({ actorId }) => actorId,
  initialState: () => [],
  evolve: (notes, { data }) => [...notes, data],
  react: (_notes, input, { now }): ProcessReaction<Noted> => {
    if (!("kind" in input)) {
      const at = new Date(now.getTime() + 60_000);
      return input.version === 1
        ? { facts: note("set"), deadlines: { minute: at } }
        : { facts: note("cleared"), deadlines: { minute: null, unknown: null } };
    }
    assert(input.kind === "deadline");
    return { facts: note(`fired ${input.name}`) };
  },
};

function manage(
  { store, checkpoints }: { store: EventStore; checkpoints: CheckpointStore },
  clock: DeadlineClock | undefined,
  change: Partial<Timed> = {},
): ProcessManager<readonly string[], Placed, Noted> {
  return new ProcessManager<readonly string[], Placed, Noted>({
    ...{ process: { ...timed, ...change }, store, checkpoints, from: "start", partitions: 2 },
    ...{ filter: { category: "order" }, retry: { attempts: 2, delay: 1 } },
    ...(clock && { clock }),
    onError: () => {},
  });
}

type Manager = ReturnType<typeof manage>;

async function notes(manager: Manager, id: string): Promise<readonly string[]> {
  return (await manager.describe(id)).state ?? [];
}

/** Gives whatever is under way the time to go wrong. */
async function nothingHappens(manager: Manager, id: string): Promise<void> {
  const { version } = await manager.describe(id);
  for (let turn = 0; turn < 10; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals((await manager.describe(id)).version, version);
  }
}

both("a deadline comes in its time, and not before", async (bed) => {
  const clock = new TestClock();
  await place(bed.store, "order-1");
  const manager = manage(bed, clock);
  await using _run = new Run(manager);
  await until(async () => (await manager.describe("order-1")).deadlines.length === 1);
  const { deadlines: [deadline] } = await manager.describe("order-1");
  assertEquals([deadline!.name, deadline!.at.getTime()], ["minute", clock.now() + 60_000]);
  clock.move(59_999);
  await nothingHappens(manager, "order-1");
  clock.move(1);
  await until(async () => (await notes(manager, "order-1")).length === 2);
  assertEquals(await notes(manager, "order-1"), ["set", "fired minute"]);
  assertEquals((await manager.describe("order-1")).deadlines, []);
  assertEquals(await typesOf(bed.store, "process:timed-order-1"), [
    ...["Noted", "DeadlineSet", "DeadlineCleared", "Noted"],
  ]);
});

both("one that was cleared, or whose process has ended, has no effect", async (bed) => {
  const clock = new TestClock();
  const manager = manage(bed, clock);
  await using run = new Run(manager);
  for (const id of ["order-1", "order-2"]) await place(bed.store, id);
  await run.of.caughtUp;
  await place(bed.store, "order-1", 2);
  await manager.end("order-2");
  await run.of.caughtUp;
  assertEquals((await manager.describe("order-2")).deadlines, []);
  clock.move(120_000);
  await nothingHappens(manager, "order-1");
  assertEquals(await notes(manager, "order-1"), ["set", "cleared"]);
  assertEquals(await notes(manager, "order-2"), ["set"]);
});

both("a deadline set again after it fired fires again: recurring ones count", async (bed) => {
  const clock = new TestClock();
  await place(bed.store, "order-1");
  const begun = clock.now();
  const at = new Date(begun + 1_000); // The very same time each time.
  const manager = manage(bed, clock, {
    react: (notes, input) =>
      "kind" in input && notes.length === 5
        ? { facts: note("last") }
        : { facts: note("tick"), deadlines: { tick: at } },
  });
  await using _run = new Run(manager);
  await until(async () => (await notes(manager, "order-1")).length === 1);
  clock.move(1_000);
  await until(async () => (await notes(manager, "order-1")).length === 6);
  await nothingHappens(manager, "order-1");
  assertEquals(await notes(manager, "order-1"), [...Array(5).fill("tick"), "last"]);
});

both(
  "deadlines survive the program and the index, and two firings have one effect",
  async (bed) => {
    const clock = new TestClock();
    const ids = Array.from({ length: 50 }, (_, at) => `order-${at}`);
    for (const id of ids) await place(bed.store, id);
    {
      const manager = manage(bed, clock);
      await using run = new Run(manager);
      await run.of.caughtUp;
    }
    clock.move(60_000);
    // One goes on with the index; the other has none, and believes that all is its own.
    const managers = [
      manage({ store: await bed.open(), checkpoints: bed.checkpoints }, clock),
      manage({ store: await bed.open(), checkpoints: new InMemoryCheckpointStore() }, clock),
    ];
    await using _one = new Run(managers[0]!);
    await using _other = new Run(managers[1]!);
    const done = async (id: string) => (await notes(managers[0]!, id)).length >= 2;
    await until(async () => (await Promise.all(ids.map(done))).every((it) => it));
    await nothingHappens(managers[0]!, ids[0]!);
    for (const id of ids) assertEquals(await notes(managers[0]!, id), ["set", "fired minute"]);
  },
);

both("a failing process holds its deadlines until it goes on", async (bed) => {
  const clock = new TestClock();
  let broken = true;
  const manager = manage(bed, clock, {
    react: (state, input, context) => {
      if ("kind" in input && broken) throw new Error("broken");
      return timed.react(state, input, context);
    },
  });
  await using run = new Run(manager);
  await place(bed.store, "order-1");
  await run.of.caughtUp;
  clock.move(60_000);
  await until(async () => (await manager.parked()).length === 1);
  broken = false;
  assertEquals(await manager.retry("order-1"), true);
  await until(async () => (await notes(manager, "order-1")).length === 2);
  assertEquals(await notes(manager, "order-1"), ["set", "fired minute"]);
});

both("by the server's clock none is early, and all come", async (bed) => {
  const set = new Map<string, number>();
  const manager = manage(bed, undefined, {
    react: (_notes, input, { id, now }) => {
      if ("kind" in input) return { facts: note(`${now.getTime() - set.get(id)!}`) };
      const at = new Date(now.getTime() + 200);
      set.set(id, at.getTime());
      return { deadlines: { soon: at } };
    },
  });
  await using _run = new Run(manager);
  const ids = Array.from({ length: 20 }, (_, at) => `order-${at}`);
  for (const id of ids) await place(bed.store, id);
  await until(async () => {
    const all = await Promise.all(ids.map((id) => notes(manager, id)));
    return all.every(({ length }) => length === 1);
  });
  for (const id of ids) {
    const [late] = await notes(manager, id);
    assert(Number(late) >= 0, `${late} ms late`);
  }
});

Deno.test("control: a late firing has an effect only if nobody checks which setting it is of", () => {
  const { initialState, evolve, decide } = inputDecider(timed, { send: () => Promise.resolve() });
  const at = new Date(60_000);
  const history = [
    { eventType: "DeadlineSet", data: { name: "minute", at: at.toISOString() } },
    { eventType: "DeadlineCleared", data: { name: "minute" } },
    { eventType: "DeadlineSet", data: { name: "minute", at: at.toISOString() } },
  ];
  const record = history.reduce(
    (record, event, at) => evolve(record, createEvent({ ...event, actorId: "a", version: at + 1 })),
    initialState(),
  );
  const fire = (setAt: number) => {
    const input = { kind: "deadline" as const, name: "minute", at };
    const names = { inputId: "i", id: "order-1", actorId: "process:timed-order-1" };
    const drafts = decide({ ...names, input, setAt, now: at, isRetry: false }, record);
    return (drafts as readonly { eventType: string }[]).map(({ eventType }) => eventType);
  };
  assertEquals(fire(1), []);
  const unchecked = record.ledger.deadlines.get("minute")!.version;
  assertEquals(fire(unchecked), ["DeadlineCleared", "Noted"]);
});
