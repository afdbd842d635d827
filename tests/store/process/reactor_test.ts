/**
 * Reactors: each event's commands once, one outcome for each, over restarts, second deliveries and
 * refusals; with controls that double without the guard.
 *
 * @module
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  appendEvents,
  type Event,
  type EventStore,
  execute,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  isAetherError,
  type Outgoing,
  Reactor,
  type ReactorOptions,
  type RefusedCommand,
} from "../../../mod.ts";
import { type Bed, both, place, Run, Stock, typesOf, until } from "./bed.ts";

const STOCK = "stock-pen";
const take = (decider: Stock): Outgoing => ({ actorId: STOCK, decider, command: { take: 1 } });

function options(
  { store, checkpoints }: Pick<Bed, "store" | "checkpoints">,
  react: ReactorOptions["react"],
  more: Partial<ReactorOptions> = {},
): ReactorOptions {
  return {
    ...{ name: "reserve", store, checkpoints, react, from: "start" },
    filter: { category: "order" },
    partitions: 2,
    retry: { attempts: 3, delay: 1 },
    onError: () => {},
    ...more,
  };
}

async function add(bed: Bed, pieces: number): Promise<void> {
  await execute(bed.store, STOCK, new Stock(), { add: pieces });
}

both("a command has its events once, however often its event is handled", async (bed) => {
  await add(bed, 100);
  for (let at = 0; at < 5; at++) await place(bed.store, `order-${at}`);
  for (let round = 0; round < 3; round++) {
    const store = await bed.open();
    // Without checkpoints all is handled again; the memory of commands is a new one too.
    const checkpoints = round === 1 ? new InMemoryCheckpointStore() : bed.checkpoints;
    await using run = new Run(
      new Reactor(options({ store, checkpoints }, () => take(new Stock()))),
    );
    await run.of.caughtUp;
  }
  assertEquals(await typesOf(bed.store, STOCK), ["Added", ...Array(5).fill("Taken")]);
  const [, first] = await bed.store.getEvents(STOCK);
  const [order] = await bed.store.getEvents("order-0");
  assert(first?.metadata?.causationId !== undefined);
  assertEquals(order?.actorId, "order-0");
});

both("it is recognised behind thousands of events of its actor", async (bed) => {
  await add(bed, 10_000);
  await place(bed.store, "order-1");
  {
    await using run = new Run(new Reactor(options(bed, () => take(new Stock()))));
    await run.of.caughtUp;
  }
  const taken = { eventType: "Taken", data: { pieces: 1 } };
  for (let round = 0; round < 100; round++) {
    await appendEvents(bed.store, STOCK, 2 + round * 20, Array(20).fill(taken));
  }
  const before = await bed.store.getLatestVersion(STOCK, { fresh: true });
  const store = await bed.open();
  const checkpoints = new InMemoryCheckpointStore();
  await using run = new Run(new Reactor(options({ store, checkpoints }, () => take(new Stock()))));
  await run.of.caughtUp;
  assertEquals(await store.getLatestVersion(STOCK, { fresh: true }), before);
  assertEquals(before, 2002);
});

both("control: under a random id it has its events twice", async (bed) => {
  await add(bed, 100);
  await place(bed.store, "order-1");
  for (let round = 0; round < 2; round++) {
    const send = async () => {
      const commandId = crypto.randomUUID();
      await execute(bed.store, STOCK, new Stock(), { take: 1 }, { commandId });
    };
    const own = { store: bed.store, checkpoints: new InMemoryCheckpointStore() };
    const reactor = new Reactor(options(own, () => ({ actorId: STOCK, command: {} }), { send }));
    await using run = new Run(reactor);
    await run.of.caughtUp;
  }
  assertEquals(await typesOf(bed.store, STOCK), ["Added", "Taken", "Taken"]);
});

both("events of two actors with one id lead to two commands", async (bed) => {
  await add(bed, 100);
  await place(bed.store, "order-1", 1, "same");
  await place(bed.store, "order-2", 1, "same");
  await using run = new Run(new Reactor(options(bed, () => take(new Stock()))));
  await run.of.caughtUp;
  assertEquals(await typesOf(bed.store, STOCK), ["Added", "Taken", "Taken"]);
});

both("a command that a deploy adds in front changes no id of the others", async (bed) => {
  await add(bed, 100);
  await place(bed.store, "order-1");
  const audit: Outgoing = { actorId: "audit-1", decider: new Stock(), command: { add: 1 } };
  const keyed: Outgoing = { ...take(new Stock()), key: "gift" };
  for (const reaction of [[take(new Stock())], [audit, keyed, take(new Stock())]]) {
    const own = { store: await bed.open(), checkpoints: new InMemoryCheckpointStore() };
    await using run = new Run(new Reactor(options(own, () => reaction)));
    await run.of.caughtUp;
  }
  assertEquals(await typesOf(bed.store, "audit-1"), ["Added"]);
  assertEquals(await typesOf(bed.store, STOCK), ["Added", "Taken", "Taken"]);
});

both("control: by its index it would be another command", async (bed) => {
  await add(bed, 100);
  await place(bed.store, "order-1");
  const index = (command: Outgoing, at: number): Outgoing => ({ ...command, key: `${at}` });
  const audit: Outgoing = { actorId: "audit-1", decider: new Stock(), command: { add: 1 } };
  for (const reaction of [[take(new Stock())], [audit, take(new Stock())]]) {
    const own = { store: await bed.open(), checkpoints: new InMemoryCheckpointStore() };
    await using run = new Run(new Reactor(options(own, () => reaction.map(index))));
    await run.of.caughtUp;
  }
  assertEquals(await typesOf(bed.store, STOCK), ["Added", "Taken", "Taken"]);
});

both("a refusal is final, reported at least once, and no failure", async (bed) => {
  const reported: RefusedCommand[] = [];
  const onRefused = (refused: RefusedCommand) => {
    reported.push(refused);
    if (reported.length === 1) throw thrown; // The program may die right here.
  };
  const thrown = Object.create(null);
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);
  const seen = await place(bed.store, "order-1");
  {
    await using run = new Run(
      new Reactor(options(bed, () => take(new Stock()), { onRefused, onError })),
    );
    await run.of.caughtUp;
    assertEquals(await run.of.parked(), []);
  }
  assertEquals(reported.length, 2);
  assertEquals(reported[1]!.failure.message, "there are only 0");
  assertEquals(reported[1]!.event.sequence, seen.sequence);
  await add(bed, 100); // The stock comes back.
  const own = { store: await bed.open(), checkpoints: new InMemoryCheckpointStore() };
  await using run = new Run(new Reactor(options(own, () => take(new Stock()), { onRefused })));
  await run.of.caughtUp;
  assertEquals(await typesOf(bed.store, STOCK), ["Added"]);
  // It is no error: the only one is what the hook threw.
  assertEquals(errors, [thrown]);
  assertEquals(reported.map(({ commandId }) => commandId), Array(3).fill(reported[0]!.commandId));
});

both(
  "control: a refusal that is not recorded is taken back when the stock comes back",
  async (bed) => {
    await place(bed.store, "order-1");
    const send = async (
      _actorId: string,
      _command: unknown,
      { commandId }: { commandId: string },
    ) => {
      await execute(bed.store, STOCK, new Stock(), { take: 1 }, { commandId }).catch(() => {});
    };
    for (let round = 0; round < 2; round++) {
      const own = { store: bed.store, checkpoints: new InMemoryCheckpointStore() };
      const reactor = new Reactor(options(own, () => ({ actorId: STOCK, command: {} }), { send }));
      await using run = new Run(reactor);
      await run.of.caughtUp;
      await add(bed, 5);
    }
    assertEquals(await typesOf(bed.store, STOCK), ["Added", "Taken", "Added"]);
  },
);

both(
  "an event whose reaction throws is parked with those after it, and tried again",
  async (bed) => {
    using _silence = silence();
    let thrown: { readonly it: unknown } | undefined = { it: Object.create(null) };
    await add(bed, 100);
    await place(bed.store, "order-1");
    await place(bed.store, "order-2");
    const reactor = new Reactor(options(bed, ({ actorId }) => {
      if (actorId === "order-1" && thrown !== undefined) throw thrown.it;
      return take(new Stock());
    }, {
      onError: () => {
        throw new Error("so does this");
      },
    }));
    await using run = new Run(reactor);
    await run.of.caughtUp;
    assertEquals((await reactor.parked()).map(({ actorId }) => actorId), ["order-1"]);
    thrown = { it: undefined };
    assertEquals(await reactor.unpark("order-1"), false);
    thrown = undefined;
    assertEquals(await reactor.unpark("order-1"), true);
    assertEquals(await typesOf(bed.store, STOCK), ["Added", "Taken", "Taken"]);
  },
);

both("two that believe they run it have each command's events once", async (bed) => {
  await add(bed, 1000);
  const orders = Array.from({ length: 20 }, (_, at) => `order-${at}`);
  for (const order of orders) await place(bed.store, order);
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  const slow = async () => {
    if (++waiting === 2) gate.resolve();
    await gate.promise;
    return take(new Stock());
  };
  // Each has taken the partition before the other notices.
  const stores = [await bed.open(), await bed.open()];
  const runs = stores.map((store) =>
    new Run(new Reactor(options({ ...bed, store }, slow, { partitions: 1 })))
  );
  await gate.promise;
  const ends = await Promise.race(runs.map((run) => run.end));
  assert(isAetherError(ends, "CheckpointConflictError"));
  await until(async () => (await typesOf(bed.store, STOCK)).length >= 21);
  for (const run of runs) await run.of[Symbol.asyncDispose]();
  const types = await typesOf(bed.store, STOCK);
  assertEquals(types.length, 21);
});

both("it begins where it is said to, once and for all", async (bed) => {
  const positions: number[] = [];
  for (let at = 0; at < 3; at++) {
    positions.push((await place(bed.store, `order-${at}`)).sequence);
  }
  const begin = async (name: string, from: ReactorOptions["from"]) => {
    const seen: string[] = [];
    const react = ({ actorId }: Event): undefined => void seen.push(actorId);
    const reactor = new Reactor(options(bed, react, { name, from }));
    await reactor.status(); // Decides.
    return { seen, reactor };
  };
  const cases = [
    { ...await begin("start", "start"), from: 0 },
    { ...await begin("now", "now"), from: 3 },
    { ...await begin("position", positions[1]!), from: 1 },
    { ...await begin("past", new Date(Date.now() - 3_600_000)), from: 0 },
    { ...await begin("future", new Date(Date.now() + 3_600_000)), from: 3 },
  ];
  await place(bed.store, "order-3");
  for (const { seen, reactor, from } of cases) {
    // What a later process says has no effect.
    await using run = new Run(reactor);
    await run.of.caughtUp;
    const expected = ["order-0", "order-1", "order-2", "order-3"].slice(from);
    assertEquals(seen.sort(), expected, reactor.name);
  }
  const later = await begin("now", "start");
  {
    await using run = new Run(later.reactor);
    await run.of.caughtUp;
  }
  assertEquals(later.seen, []);
});

both("resumeAt() goes on there, in all processes, without what was parked", async (bed) => {
  const seen: string[] = [];
  const positions: number[] = [];
  for (let at = 0; at < 3; at++) {
    positions.push((await place(bed.store, `order-${at}`)).sequence);
  }
  const reactor = new Reactor(options(bed, ({ actorId }) => {
    seen.push(actorId);
    if (actorId === "order-0") throw new Error("no");
  }, { retry: { attempts: 1 } }));
  await using run = new Run(reactor);
  await run.of.caughtUp;
  assertEquals((await reactor.parked()).length, 1);
  await new Reactor(options(bed, () => {})).resumeAt(positions[1]!);
  await until(() => seen.length === 5);
  assertEquals(seen.slice(3).sort(), ["order-1", "order-2"]);
  assertEquals(await reactor.parked(), []);
  await assertRejects(() => reactor.resumeAt(-1), RangeError);
});

both("it can be paused, by any process", async (bed) => {
  const seen: string[] = [];
  const reactor = new Reactor(options(bed, ({ actorId }) => void seen.push(actorId)));
  await using run = new Run(reactor);
  await reactor.pause();
  await place(bed.store, "order-1");
  assertEquals((await reactor.status()).paused, true);
  assertEquals((await reactor.lag()).events, 1);
  assertEquals(seen, []);
  await reactor.resume();
  await run.of.caughtUp;
  assertEquals(seen, ["order-1"]);
});

Deno.test("a reactor has no default start, and two commands under one key are refused", async () => {
  await using store = new InMemoryEventStore();
  const bed = { store, checkpoints: new InMemoryCheckpointStore() };
  const { from: _, ...rest } = options(bed, () => {});
  assertThrows(() => new Reactor(rest as ReactorOptions), TypeError, "from is missing");
  assertThrows(
    () => new Reactor(options(bed, () => {}, { from: NaN })),
    RangeError,
    "from is NaN",
  );
  const own: EventStore = Object.create(store);
  const other = options({ ...bed, store: own }, () => {});
  assertThrows(() => new Reactor(other), TypeError, "store is none of this library");
  new Reactor({ ...other, send: () => Promise.resolve() });
  await place(store, "order-1");
  const twice = { ...take(new Stock()), key: "one" };
  const reactor = new Reactor(options(bed, () => [twice, twice]));
  await using run = new Run(reactor);
  await run.of.caughtUp;
  const [parked] = await reactor.parked();
  assert(parked!.reason.includes("under one key"));
  assertEquals(await typesOf(store, STOCK), []);
});

/** Lets nothing be warned of until it is disposed of. */
function silence(): Disposable {
  const { warn } = console;
  console.warn = () => {};
  return { [Symbol.dispose]: () => void (console.warn = warn) };
}

both("a refusal is an outcome at the first try: no failure, and nothing is parked", async (bed) => {
  await place(bed.store, "order-1");
  const errors: unknown[] = [];
  const refused: string[] = [];
  const reactor = new Reactor({
    ...{ name: "reserve", store: bed.store, checkpoints: bed.checkpoints, from: "start" },
    ...{ filter: { category: "order" }, retry: { attempts: 1 } },
    react: () => ({ actorId: "stock-pen", decider: new Stock(), command: { take: 1 } }),
    onRefused: ({ failure }) => void refused.push(failure.message),
    onError: (error) => void errors.push(error),
  });
  await using run = new Run(reactor);
  await run.of.caughtUp;
  assertEquals([refused, errors, await reactor.parked()], [["there are only 0"], [], []]);
});
