/**
 * Commands through several views of one store, as the handlers of a cluster have them: what one view
 * learns while another decides changes nothing that the other one's save depends on.
 *
 * @module
 */

import { assertEquals, assertRejects } from "@std/assert";
import {
  CommandRefusedError,
  type Decider,
  type Decision,
  type Event,
  type EventStore,
  execute,
  executeAll,
} from "../../../mod.ts";
import { ForwardingEventStore } from "../../../store/forwarding_store.ts";
import { both } from "./both.ts";

type Moved = Event<"Moved", number>;

const A = "account-1";
const account: Decider<number, number, Moved> = {
  initialState: () => 0,
  evolve: (balance, { data }) => balance + data,
  decide: decideMove,
};

function decideMove(by: number, balance: number): Decision<Moved> {
  if (balance + by < 0) throw new RangeError(`there is only ${balance}`);
  return { eventType: "Moved", data: by };
}

/** Two views of a store whose account holds 5. */
async function viewsOf(store: EventStore): Promise<[EventStore, EventStore]> {
  await execute(store, A, account, 5);
  return [new ForwardingEventStore(store), new ForwardingEventStore(store)];
}

/** The same rules, or another `decide`; a decision begins, and ends when it is let go. */
function held(decide: (by: number, balance: number) => Decision<Moved> = decideMove) {
  const begun = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const rules: Decider<number, number, Moved> = {
    ...account,
    decide: async (by, balance) => {
      begun.resolve();
      await release.promise;
      return decide(by, balance);
    },
  };
  return { rules, begun: begun.promise, release: release.resolve };
}

async function eventsOf(store: EventStore): Promise<unknown[]> {
  return (await store.getEvents(A)).map(({ data }) => data);
}

const X = { commandId: "x", record: true };

both("a command that another view refuses meanwhile has that one outcome", async (open) => {
  const store = await open();
  const [one, other] = await viewsOf(store);
  const { rules, begun, release } = held();
  const slow = execute(one, A, rules, 100, X);
  await begun;
  await assertRejects(() => execute(other, A, account, -9, X), RangeError, "only 5");
  release();
  await assertRejects(() => slow, CommandRefusedError, "only 5");
  assertEquals(await eventsOf(store), [5]);
});

both("a refusal is recorded only for the state that it was decided on", async (open) => {
  const store = await open();
  const [one, other] = await viewsOf(store);
  const { rules, begun, release } = held();
  const slow = execute(one, A, rules, -50, X);
  await begun;
  await execute(other, A, account, 500, { commandId: "deposit" });
  release();
  assertEquals((await slow).state, 455);
  assertEquals(await eventsOf(store), [5, 500, -50]);
});

both("a command on several actors has the outcome that another view records", async (open) => {
  const store = await open();
  const [one, other] = await viewsOf(store);
  const { rules, begun, release } = held();
  const parts = [
    { actorId: A, decider: rules, command: 100 },
    { actorId: "account-2", decider: account, command: 1 },
  ];
  const slow = executeAll(one, parts, { commandId: "x" });
  await begun;
  await assertRejects(() => execute(other, A, account, -9, X), RangeError, "only 5");
  release();
  await assertRejects(() => slow, CommandRefusedError, "only 5");
  assertEquals(await eventsOf(store), [5]);
  assertEquals(await store.getEvents("account-2"), []);
});

both("what nothing changes is told as another view has recorded it", async (open) => {
  const store = await open();
  const [one, other] = await viewsOf(store);
  const { rules, begun, release } = held(() => []);
  const slow = execute(one, A, rules, 0, { commandId: "x" });
  await begun;
  await assertRejects(() => execute(other, A, account, -9, X), RangeError, "only 5");
  release();
  await assertRejects(() => slow, CommandRefusedError, "only 5");
});
