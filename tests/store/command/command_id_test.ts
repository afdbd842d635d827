/**
 * Commands with ids: decided once, told the same to all, on memory and on JetStream.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  createEvent,
  type Decider,
  type Event,
  type EventStore,
  execute,
  type ExecuteOptions,
  isAetherError,
  type ReadOptions,
  rehydrate,
} from "../../../mod.ts";
import { ForwardingEventStore } from "../../../store/forwarding_store.ts";
import { both } from "./both.ts";

type Moved = Event<"Moved", { by: number }>;

/** An account that never goes below 0; counts how often it decides. */
class Account implements Decider<number, number, Moved> {
  decided = 0;
  initialState = () => 0;
  evolve = (balance: number, { data: { by } }: Moved) => balance + by;
  decide = (by: number, balance: number) => {
    this.decided++;
    if (balance + by < 0) throw new RangeError(`there is only ${balance}`);
    return by === 0 ? [] : [{ eventType: "Moved" as const, data: { by } }];
  };
}

const A = "account-1";

/** Runs a command as another process does: nothing is known of those before. */
function run(store: EventStore, by: number, options: ExecuteOptions = {}, account = new Account()) {
  return execute(store, A, account, by, options);
}

both("the same command again gets the first one's outcome", async (open) => {
  const store = await open();
  const first = await run(store, 5, { commandId: "c-1" });
  assertEquals([first.duplicate, first.state, first.version], [false, 5, 1]);
  await run(store, 7);
  for (const again of [store, await open()]) {
    const account = new Account();
    const { duplicate, state, version, events, sequence } = await run(
      again,
      5,
      { commandId: "c-1" },
      account,
    );
    assertEquals([duplicate, state, version, sequence], [true, 5, 1, first.sequence]);
    assertEquals(events.map(({ id }) => id), first.events.map(({ id }) => id));
    assertEquals(account.decided, 0);
  }
  assertEquals((await rehydrate(store, A, new Account())).state, 12);
});

both("many tries of one command at once, in two stores, save its events once", async (open) => {
  const stores = [await open(), await open()];
  for (let round = 0; round < 20; round++) {
    const options = { commandId: `c-${round}` };
    const tries = [0, 1, 2, 3, 4, 5].map((at) => run(stores[at % 2]!, 1, options));
    const results = await Promise.all(tries);
    assertEquals(new Set(results.map(({ version }) => version)).size, 1);
    assertEquals(new Set(results.map(({ events }) => events[0]!.id)).size, 1);
  }
  assertEquals((await rehydrate(stores[0]!, A, new Account())).state, 20);
});

both("a command without an id hides no receipt of another process", async (open) => {
  const [store, other] = [await open(), await open()];
  await run(store, 5, { commandId: "c-1" });
  const refused = await assertRejects(() =>
    run(other, -9, { commandId: "c-2", record: true })
  ) as Error;
  await run(store, 7);
  // It would be taken now.
  const again = await assertRejects(() => run(store, -9, { commandId: "c-2", record: true }));
  assert(isAetherError(again, "CommandRefusedError"));
  assertEquals(again.message.includes(refused.message), true);
  assertEquals((await rehydrate(store, A, new Account())).state, 12);
});

both("what lies between does not matter to a command with a cause", async (open) => {
  const store = await open();
  const cause = await run(store, 1);
  const options = {
    commandId: "c-1",
    cause: { identity: store.identity, sequence: cause.sequence, id: cause.events[0]!.id },
  };
  const { sequence } = await run(store, 2, options);
  let version = 2;
  for (let turn = 0; turn < 10; turn++) {
    await store.saveEvents(
      Array.from({ length: 300 }, () =>
        createEvent<Moved>({
          eventType: "Moved",
          actorId: A,
          version: ++version,
          data: { by: 1 },
        })),
    );
  }
  const again = await run(await open(), 2, options);
  assertEquals([again.duplicate, again.sequence, again.state], [true, sequence, 3]);
  const since = await run(await open(), 2, {
    commandId: "c-1",
    cause: new Date(Date.now() - 60_000),
  });
  assertEquals([since.duplicate, since.sequence], [true, sequence]);
});

both("a result says how far back was searched without a cause", async (open) => {
  const store = await open();
  const before = await run(store, 1, { commandId: "c-1" });
  assertEquals(before.searchedFrom, 0);
  let version = 1;
  for (let turn = 0; turn < 8; turn++) {
    await store.saveEvents(
      Array.from({ length: 250 }, () =>
        createEvent<Moved>({
          eventType: "Moved",
          actorId: A,
          version: ++version,
          data: { by: 1 },
        })),
    );
  }
  const other = await open();
  if (other === store) return; // It has seen all of them.
  const late = await run(other, 1, { commandId: "c-2" });
  assert(late.searchedFrom! > before.sequence, `${late.searchedFrom} > ${before.sequence}`);
});

both("a cause of another store is no bound", async (open) => {
  const store = await open();
  await run(store, 1, { commandId: "c-1" });
  const later = await run(store, 1);
  const cause = { identity: "another", sequence: later.sequence, id: later.events[0]!.id };
  const again = await run(await open(), 1, { commandId: "c-1", cause });
  assert(again.duplicate);
  const wrong = { identity: store.identity, sequence: later.sequence, id: "not-there" };
  assert((await run(await open(), 1, { commandId: "c-1", cause: wrong })).duplicate);
});

both("a recorded refusal is final, and the same to all", async (open) => {
  const store = await open();
  const options = { commandId: "c-1", record: true };
  const refused = await assertRejects(() => run(store, -5, options), RangeError);
  assertEquals(refused.message, "there is only 0");
  await run(store, 100);
  for (const again of [store, await open()]) {
    const error = await assertRejects(() => run(again, -5, options));
    assert(isAetherError(error, "CommandRefusedError"), String(error));
    assertEquals(error.failure, { name: "RangeError", message: "there is only 0" });
  }
  assertEquals((await rehydrate(store, A, new Account())).state, 100);
});

both(
  "a recorded result without events is final, and an actor of receipts is none",
  async (open) => {
    const store = await open();
    const options = { commandId: "c-1", record: true };
    const first = await run(store, 0, options);
    assertEquals([first.duplicate, first.events, first.version], [false, [], 0]);
    const again = await run(await open(), 0, options);
    assertEquals([again.duplicate, again.events, again.sequence], [true, [], first.sequence]);
    for (const each of [store, await open()]) {
      assertEquals(await each.getEvents(A), []);
      assertEquals(await each.getLatestVersion(A), 0);
      assertEquals(await Array.fromAsync(each.listActors()), []);
      assertEquals(await Array.fromAsync(each.readAll()), []);
    }
    await run(store, 4);
    assertEquals(await Array.fromAsync((await open()).listActors()), [A]);
    assertEquals((await store.getEvents(A)).map(({ version }) => version), [1]);
  },
);

both("without a record a refused command may be decided again", async (open) => {
  const store = await open();
  await assertRejects(() => run(store, -5, { commandId: "c-1" }), RangeError);
  await run(store, 100);
  const { state, duplicate } = await run(store, -5, { commandId: "c-1" });
  assertEquals([state, duplicate], [95, false]);
});

both("the expected version is checked only for a command that was not handled", async (open) => {
  const store = await open();
  await run(store, 1);
  const options = { commandId: "c-1", expectedVersion: 1 };
  const first = await run(store, 1, options);
  const again = await run(await open(), 1, options);
  assertEquals([again.duplicate, again.version], [true, first.version]);
  const error = await assertRejects(() => run(store, 1, { ...options, commandId: "c-2" }));
  assert(isAetherError(error, "VersionConflictError"), String(error));
  assertEquals([error.currentVersion, error.attemptedVersion], [2, 1]);
});

both("a refusal is recorded once, however many ask at once", async (open) => {
  const stores = [await open(), await open()];
  const options = { commandId: "c-1", record: true };
  const tries = Array.from({ length: 8 }, (_, at) => run(stores[at % 2]!, -1, options));
  const ends = await Promise.allSettled(tries);
  const messages = ends.map((end) => end.status === "rejected" ? String(end.reason) : "saved");
  assert(messages.every((message) => message.includes("there is only 0")), messages.join("\n"));
  const own = ends.filter((end) => end.status === "rejected" && end.reason instanceof RangeError);
  assertEquals(own.length, 1, messages.join("\n"));
});

both("impossible options are refused at once", async (open) => {
  const store = await open();
  await assertRejects(() => run(store, 1, { commandId: "" }), RangeError);
  await assertRejects(() => run(store, 1, { record: true }), TypeError);
  await assertRejects(() => run(store, 1, { expectedVersion: -1 }), RangeError);
  const cause = { identity: 1, sequence: 1, id: "a" } as never;
  await assertRejects(() => run(store, 1, { commandId: "a", cause }), TypeError);
  assertEquals(await store.getEvents(A), []);
});

both(
  "a command with an id on a new actor reads no history, and notices another program's events",
  async (open) => {
    const [plain, other] = [await open(), await open()];
    let reads = 0;
    const store = new (class extends ForwardingEventStore {
      override readEvents<E extends Event>(
        actorId: string,
        options?: ReadOptions,
      ): AsyncIterable<E> {
        reads++;
        return super.readEvents<E>(actorId, options);
      }
    })(plain);
    const own = await run(store, 5, { commandId: "c-1" });
    assertEquals([own.state, own.version, reads], [5, 1, 0]);
    // What is known of this actor is that it has no events, which is not so any more.
    const refused = () => execute(store, "account-2", new Account(), -1, { commandId: "c-2" });
    await assertRejects(refused, RangeError, "only 0");
    await execute(other, "account-2", new Account(), 7);
    const after = { commandId: "c-3", cache: false };
    const { state } = await execute(store, "account-2", new Account(), -1, after);
    assertEquals(state, 6);
    await execute(other, "account-3", new Account(), 1);
    const later = await execute(store, "account-3", new Account(), 1, { commandId: "c-4" });
    assertEquals(later.state, 2);
  },
);
