/**
 * Parked processes that are retried: they get all that they have missed.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type CheckpointStore,
  type Event,
  type EventStore,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  isAetherError,
  jsonCodec,
} from "../../../mod.ts";
import { both, place, Run, until } from "./bed.ts";
import { manage, notes, type Options } from "./notes.ts";

both("an earlier event that comes to a parked process later is taken by its retry", async (bed) => {
  let isBroken = true;
  const process = notes({
    correlate: ({ actorId }) => {
      if (isBroken && actorId === "order-1") throw new Error("no process");
      return "all";
    },
    react: (_seen, input) => {
      if (isBroken) throw new Error("no reaction");
      return "kind" in input ? {} : { facts: [{ eventType: "Saw", data: input.actorId }] };
    },
  });
  for (const id of ["order-1", "order-2"]) await place(bed.store, id);
  await using run = new Run(manage(bed, { process, onPoison: "park" }));
  await run.of.caughtUp;
  await until(async () => (await run.of.describe("all")).parked !== undefined);
  assertEquals((await run.of.parkedActors()).map(({ actorId }) => actorId), ["order-1"]);
  isBroken = false;
  assert(await run.of.unpark("order-1"));
  assert(await run.of.retry("all"));
  assertEquals([...(await run.of.describe("all")).state!].sort(), ["order-1", "order-2"]);
});

both("events that fail side by side are all taken by the retry, in order", async (bed) => {
  let isBroken = true;
  const process = notes({
    react: (_seen, input) => {
      if (isBroken) throw new Error("no reaction");
      return "kind" in input ? {} : { facts: [{ eventType: "Saw", data: input.actorId }] };
    },
  });
  const ids = ["order-1", "order-2", "order-3", "order-4"];
  for (const id of ids) await place(bed.store, id);
  await using run = new Run(manage(bed, { process }));
  await run.of.caughtUp;
  isBroken = false;
  assert(await run.of.retry("all"));
  assertEquals((await run.of.describe("all")).state, ids);
});

both("an event that has no process yet holds up the retry of no other process", async (bed) => {
  let isBroken = true;
  let isUnknown = true;
  const process = notes({
    correlate: ({ actorId, version }) => {
      if (isUnknown && actorId === "order-2" && version === 1) throw new Error("no process");
      return actorId;
    },
    react: (_seen, input) => {
      if (isBroken) throw new Error("no reaction");
      return "kind" in input ? {} : {
        facts: [{ eventType: "Saw", data: `${input.actorId} ${input.version}` }],
      };
    },
  });
  const failures: unknown[] = [];
  const options: Partial<Options> = {
    ...{ process, onPoison: "park" },
    onError: (error, event) => failures.push([(error as Error).message, event?.actorId]),
  };
  await place(bed.store, "order-1");
  await using run = new Run(manage(bed, options));
  const isParked = async () => (await run.of.describe("order-1")).parked !== undefined;
  await until(isParked);
  for (const version of [1, 2]) await place(bed.store, "order-2", version);
  await place(bed.store, "order-1", 2);
  await run.of.caughtUp;
  isBroken = false;
  failures.length = 0;
  assert(await run.of.retry("order-1"));
  assertEquals(failures, [["no process", "order-2"]]);
  assertEquals((await run.of.describe("order-1")).state, ["order-1 1", "order-1 2"]);
  assertEquals((await run.of.describe("order-2")).state, []);
  isUnknown = false;
  assert(await run.of.unpark("order-2"));
  await run.of.caughtUp;
  assertEquals((await run.of.describe("order-2")).state, ["order-2 1", "order-2 2"]);
});

/** A manager with a process that lacks the events of three actors; `broken` is what fails just now. */
async function lacking(
  store: EventStore,
  checkpoints: CheckpointStore,
  broken: Set<string>,
  errors: unknown[],
) {
  const process = notes({
    correlate: ({ actorId }) => {
      if (broken.has(`correlate ${actorId}`)) throw new Error("no process");
      return "all";
    },
    react: (_seen, input) => {
      if (broken.has("react")) throw new Error("no reaction");
      return "kind" in input ? {} : { facts: [{ eventType: "Saw", data: input.actorId }] };
    },
  });
  const onError = (error: unknown) => void errors.push(error);
  for (const id of ["order-1", "order-2", "order-3"]) await place(store, id);
  const run = new Run(manage({ store, checkpoints }, { process, onPoison: "park", onError }));
  await run.of.caughtUp;
  return run;
}

both("a retry passes over no event that its actor does not wait with", async (bed) => {
  const broken = new Set(["react"]);
  const errors: unknown[] = [];
  await using run = await lacking(bed.store, bed.checkpoints, broken, errors);
  broken.clear();
  broken.add("correlate order-2");
  errors.length = 0;
  assertEquals(await run.of.retry("all"), false);
  assertEquals(errors.map((error) => (error as Error).message), ["no process"]);
  assert((await run.of.describe("all")).parked !== undefined);
  broken.clear();
  assert(await run.of.retry("all"));
  assertEquals((await run.of.describe("all")).state, ["order-1", "order-2", "order-3"]);
});

Deno.test("a retry passes over no event that cannot be read for a moment", async () => {
  const broken = new Set(["react"]);
  const errors: unknown[] = [];
  await using store = new InMemoryEventStore({
    codec: {
      encode: jsonCodec.encode,
      decode: (bytes) => {
        const event = jsonCodec.decode<Event>(bytes);
        if (broken.has(`decode ${event.actorId}`)) throw new Error("the key service is away");
        return event;
      },
    },
  });
  await using run = await lacking(store, new InMemoryCheckpointStore(), broken, errors);
  broken.clear();
  broken.add("decode order-2");
  errors.length = 0;
  assertEquals(await run.of.retry("all"), false);
  assertEquals(errors.filter((error) => isAetherError(error, "CorruptEventError")).length, 1);
  broken.clear();
  assert(await run.of.retry("all"));
  assertEquals((await run.of.describe("all")).state, ["order-1", "order-2", "order-3"]);
});

both("an event that is delivered while a retry passes over it is not lost", async (bed) => {
  const broken = new Set(["react", "correlate order-2"]);
  const { store } = bed;
  await using run = await lacking(store, bed.checkpoints, broken, []);
  broken.delete("react");
  const readAll = store.readAll.bind(store);
  store.readAll = async function* (options) {
    yield* readAll(options);
    if (options?.filter?.actorId !== undefined || broken.size === 0) return;
    // The retry has passed over it, and the process is parked still: it is held.
    broken.clear();
    assert(await run.of.unpark("order-2"));
  };
  assert(await run.of.retry("all"));
  Object.assign(store, { readAll });
  assertEquals([...(await run.of.describe("all")).state!].sort(), [
    ...["order-1", "order-2", "order-3"],
  ]);
});

both("an event that is delivered before a retry fails behind it is not lost", async (bed) => {
  const broken = new Set(["react", "correlate order-2"]);
  const { store } = bed;
  await using run = await lacking(store, bed.checkpoints, broken, []);
  const readAll = store.readAll.bind(store);
  broken.delete("react");
  store.readAll = async function* (options) {
    for await (const event of readAll(options)) {
      if (options?.filter?.actorId === undefined && event.actorId === "order-3") {
        broken.clear();
        assert(await run.of.unpark("order-2"));
        broken.add("react");
      }
      yield event;
    }
  };
  assertEquals(await run.of.retry("all"), false);
  Object.assign(store, { readAll });
  broken.clear();
  assert(await run.of.retry("all"));
  assertEquals([...(await run.of.describe("all")).state!].sort(), [
    ...["order-1", "order-2", "order-3"],
  ]);
});

both("a retry that ends early loses no event, and the next one goes on with it", async (bed) => {
  let isBroken = true;
  const process = notes({
    react: (_seen, input) => {
      if (isBroken) throw new Error("no reaction");
      return "kind" in input
        ? {}
        : { facts: [{ eventType: "Saw", data: `${input.actorId} ${input.version}` }] };
    },
  });
  const { store } = bed;
  await place(store, "order-1");
  await using run = new Run(manage(bed, { process }));
  await until(async () => (await run.of.describe("all")).parked !== undefined);
  isBroken = false;
  const caller = new AbortController();
  const { sequence } = (await run.of.describe("all")).parked!;
  const [readAll, saveEvents] = [store.readAll.bind(store), store.saveEvents.bind(store)];
  store.readAll = async function* (options) {
    yield* readAll(options);
    if (options?.from !== sequence) return;
    // It comes when the retry has read all: it is held, as the process is parked.
    await place(store, "order-1", 2);
    await run.of.caughtUp;
  };
  store.saveEvents = async (events, options) => {
    const saved = await saveEvents(events, options);
    const isOfRetry = events.some(({ eventType }) => eventType.startsWith("Process"));
    if (isOfRetry) caller.abort(new Error("the caller has no more time"));
    return saved;
  };
  await assertRejects(() => run.of.retry("all", caller), Error, "no more time");
  Object.assign(store, { readAll, saveEvents });
  assert((await run.of.describe("all")).parked !== undefined);
  assert(await run.of.retry("all"));
  assertEquals((await run.of.describe("all")).parked, undefined);
  await place(store, "order-1", 3);
  await run.of.caughtUp;
  const seen = ["order-1 1", "order-1 2", "order-1 3"];
  assertEquals((await run.of.describe("all")).state, seen);
  await until(async () => (await run.of.parked()).length === 0);
});
