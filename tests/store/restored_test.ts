import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  appendEvents,
  createEvent,
  type Decider,
  type Event,
  execute,
  InMemoryEventStore,
  InMemorySnapshotStore,
  isAetherError,
  rehydrate,
} from "../../mod.ts";
import { deciderSpec } from "../../testing/mod.ts";

type Counted = Event<"Counted", number>;

const counter: Decider<number, number, Counted> = {
  initialState: () => 0,
  evolve: (sum, { data }) => sum + data,
  decide: (by) => {
    if (by < 0) throw new RangeError("It only goes up");
    return { eventType: "Counted", data: by };
  },
};

Deno.test("a snapshot of a history that was replaced is reported", async () => {
  const snapshots = {
    store: new InMemorySnapshotStore(),
    name: "counter",
    schemaVersion: 1,
    every: 1,
  };
  await using lost = new InMemoryEventStore();
  await execute(lost, "counter-1", counter, 5, { snapshots });
  assertEquals((await rehydrate(lost, "counter-1", counter, { snapshots })).state, 5);
  await using restored = new InMemoryEventStore();
  await appendEvents<Counted>(restored, "counter-1", 0, [{ eventType: "Counted", data: 7 }]);
  const error = await assertRejects(() => rehydrate(restored, "counter-1", counter, { snapshots }));
  assert(isAetherError(error, "StreamRegressedError"));
});

Deno.test("then() takes an error, and compares class and message", () => {
  const spec = deciderSpec(counter);
  spec.given().when(-1).then(new RangeError("It only goes up"));
  assertThrows(() => spec.given().when(-1).then(new RangeError("Something else")), Error);
  assertThrows(() => spec.given().when(-1).then(new TypeError("It only goes up")), Error);
  assertThrows(() => spec.given().when(1).then(new RangeError("It only goes up")), Error);
});

Deno.test("a batch error names the event that cannot be stored", async () => {
  await using store = new InMemoryEventStore();
  const event = { eventType: "Counted", actorId: "counter-1" };
  const batch = [1, 2].map((version) =>
    createEvent({ ...event, version, data: version === 2 ? NaN : 0 })
  );
  const error = await assertRejects(() => store.saveEvents(batch));
  assert(isAetherError(error, "InvalidEventError"));
  assertEquals(error.reason, "events[1]: data is NaN");
});

Deno.test("a store in memory refuses an impossible size", () => {
  for (const maxBytes of [NaN, 0, -1, 1.5]) {
    assertThrows(() => new InMemoryEventStore({ maxBytes }), RangeError);
  }
});
