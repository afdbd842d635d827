import { assert, assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type Decider,
  type EventStore,
  execute,
  InMemoryEventStore,
  InvalidEventError,
  SaveOutcomeUnknownError,
  type SettledOutcome,
  StoreUnavailableError,
  VersionConflictError,
} from "../../../store/mod.ts";
import { turns } from "../../../testing/event_store/kit.ts";
import { add, assertOnce, counter } from "../../support/counter.ts";
import { storeTest } from "../../support/stores.ts";
import { ACTOR, meanwhile, Spied } from "./execute_bed.ts";

function unknown(settle: () => Promise<SettledOutcome>): SaveOutcomeUnknownError {
  return new SaveOutcomeUnknownError(ACTOR, 1, settle);
}

Deno.test("at the deadline the conflict is passed on", async () => {
  await using store = new Spied();
  let count = 0;
  let isOther = false;
  store.onSave = async (save) => {
    // The other's own save comes through here too.
    if (isOther) return await save();
    isOther = true;
    await meanwhile(store);
    isOther = false;
    count++;
    return await save();
  };
  const late = () => execute(store, ACTOR, counter, add("late"), { timeout: 1_000 });
  const error = await assertRejects(late, VersionConflictError);
  assertEquals(error.currentVersion, count);
  assert(count > 1, "it was tried again");
});

Deno.test("a command whose turn does not come in time is rejected, and never run", async () => {
  await using store = new Spied();
  const { promise, resolve } = Promise.withResolvers<void>();
  store.onSave = (save) => promise.then(save);
  const first = execute(store, ACTOR, counter, add("first"));
  while (store.saves.length === 0) await turns();
  const late = () => execute(store, ACTOR, counter, add("late"), { timeout: 10 });
  const error = await assertRejects(late, StoreUnavailableError);
  assertMatch(error.message, /its turn did not end before its deadline; nothing was saved/);
  resolve();
  await first;
  await assertOnce(store, ACTOR, ["first"]);
});

Deno.test("a decide() that never ends holds the actor no longer than its deadline", async () => {
  await using store = new InMemoryEventStore();
  const stuck = { ...counter, decide: () => new Promise<never>(() => {}) };
  const forever = execute(store, ACTOR, stuck, {}, { timeout: 20 });
  const next = execute(store, ACTOR, counter, add("next"));
  await assertRejects(() => forever, StoreUnavailableError);
  await next;
});

Deno.test("a signal ends the wait for a turn, and the retries, by its reason", async () => {
  await using store = new Spied();
  const reason = new Error("enough");
  const aborted = execute(store, ACTOR, counter, add("no"), { signal: AbortSignal.abort(reason) });
  assertStrictEquals(await aborted.catch((error) => error), reason);
  const controller = new AbortController();
  let isOther = false;
  store.onSave = async (save) => {
    if (isOther) return await save();
    isOther = true;
    await meanwhile(store);
    isOther = false;
    controller.abort(reason);
    return await save();
  };
  const { signal } = controller;
  const tried = execute(store, ACTOR, counter, add("no"), { signal });
  assertStrictEquals(await tried.catch((error) => error), reason);
  await assertOnce(store, ACTOR, ["other"]);
});

Deno.test("a signal that comes while events are saved changes nothing", async () => {
  await using store = new Spied();
  const controller = new AbortController();
  store.onSave = (save) => {
    controller.abort();
    return save();
  };
  await execute(store, ACTOR, counter, add("yes"), { signal: controller.signal });
  await assertOnce(store, ACTOR, ["yes"]);
});

Deno.test("a save of unknown outcome that has landed is found to be saved", async () => {
  await using store = new Spied();
  store.onSave = async (save) => {
    await save();
    store.onSave = (save) => save();
    throw unknown(() => Promise.resolve("saved"));
  };
  const { version } = await execute(store, ACTOR, counter, add("once"));
  assertEquals(version, 1);
  assertEquals(store.saves.length, 2);
  assertStrictEquals(store.saves[0]![0]!.id, store.saves[1]![0]!.id);
  await assertOnce(store, ACTOR, ["once"]);
});

Deno.test("nothing is decided while an earlier decision may still land", async () => {
  await using store = new Spied();
  let decided = 0;
  const decide: typeof counter.decide = (...args) => {
    decided++;
    return counter.decide(...args);
  };
  let tries = 0;
  store.onSave = (save) => {
    if (++tries < 4) return Promise.reject(unknown(() => Promise.resolve("unknown")));
    return tries < 6 ? Promise.reject(new StoreUnavailableError("Cannot save: away")) : save();
  };
  await execute(store, ACTOR, { ...counter, decide }, add("once"));
  assertEquals([tries, decided], [6, 1]);
  await assertOnce(store, ACTOR, ["once"]);
});

Deno.test("an outcome that remains unknown is reported, and can be settled later", async () => {
  await using store = new Spied();
  let save: () => Promise<unknown> = () => Promise.resolve();
  const outcomes: SettledOutcome[] = ["unknown"];
  store.onSave = (real) => {
    save = real;
    return Promise.reject(unknown(() => Promise.resolve(outcomes.at(-1)!)));
  };
  const lost = () => execute(store, ACTOR, counter, add("lost"), { timeout: 500 });
  const error = await assertRejects(lost, SaveOutcomeUnknownError);
  assertEquals([error.actorId, error.version, await error.settle()], [ACTOR, 1, "unknown"]);
  await save();
  outcomes.push("saved");
  assertEquals(await error.settle(), "saved");
});

Deno.test("if several attempts have no answer, a stored one settles them all", async () => {
  await using store = new Spied();
  const outcomes: SettledOutcome[] = [
    "saved",
    "not-saved",
    "not-saved",
    "not-saved",
    "not-saved",
    "not-saved",
  ];
  let tries = 0;
  store.onSave = () => {
    const at = tries++;
    return Promise.reject(unknown(() => Promise.resolve(outcomes[at] ?? "not-saved")));
  };
  const lost = () => execute(store, ACTOR, counter, add("lost"), { timeout: 500 });
  const error = await assertRejects(lost, SaveOutcomeUnknownError);
  assert(tries > 1);
  assertEquals(await error.settle(), "saved");
});

Deno.test("a store out of reach is reported at once if no outcome is unknown", async () => {
  await using store = new Spied();
  store.onSave = () => Promise.reject(new StoreUnavailableError("Cannot save: away"));
  const commands = ["a", "b"].map((name) => execute(store, ACTOR, counter, add(name)));
  for (const command of commands) await assertRejects(() => command, StoreUnavailableError);
  assertEquals(store.saves.length, 1); // Of both together.
});

const deposits: Decider<number, { id: string }> = {
  initialState: () => 0,
  evolve: (count) => count + 1,
  decide: ({ id }) => ({ id, eventType: "Deposited", data: 5 }),
};

async function executesOnce(store: EventStore): Promise<void> {
  const again = () => execute(store, "a-1", deposits, { id: "evt-42" });
  await again();
  await assertRejects(again, InvalidEventError, "is stored already");
  const ends = await Promise.allSettled(
    [1, 2, 3].map(() => execute(store, "a-2", deposits, { id: "evt-43" })),
  );
  assertEquals(ends.filter(({ status }) => status === "fulfilled").length, 1);
  for (const actorId of ["a-1", "a-2"]) assertEquals(await store.getLatestVersion(actorId), 1);
}

Deno.test("execute() refuses an event whose id the actor's last one has, in memory", async () => {
  await using store = new InMemoryEventStore();
  await executesOnce(store);
});

storeTest("execute() refuses an event whose id the actor's last one has", async (stores) => {
  const { store } = await stores.open();
  await executesOnce(store);
  // Another process, which has read the actor.
  const { store: other } = await stores.open();
  await assertRejects(
    () => execute(other, "a-1", deposits, { id: "evt-42" }),
    InvalidEventError,
    "is stored already",
  );
});
