import { assert, assertEquals } from "@std/assert";
import { UnknownSaves } from "../../../store/command/unknown_saves.ts";
import {
  appendEvents,
  InMemoryEventStore,
  InMemorySnapshotStore,
  rehydrate,
  SaveOutcomeUnknownError,
} from "../../../store/mod.ts";

type Settled = Awaited<ReturnType<SaveOutcomeUnknownError["settle"]>>;

Deno.test("of several tries without an answer, any one that is stored settles the command", async () => {
  const cases: [Settled[], Settled][] = [
    [["not-saved", "saved"], "saved"],
    [["unknown", "saved"], "saved"],
    [["unknown", "not-saved"], "unknown"],
    [["not-saved", "not-saved"], "not-saved"],
  ];
  for (const [outcomes, expected] of cases) {
    const tries = new UnknownSaves();
    for (const outcome of outcomes) {
      tries.add(new SaveOutcomeUnknownError("order-1", 1, () => Promise.resolve(outcome)));
    }
    const outcome = { result: { events: [{ actorId: "order-1", version: 1 }] } };
    const error = tries.errorFor({ job: {}, outcome } as never, undefined);
    assert(error instanceof SaveOutcomeUnknownError);
    assertEquals(await error.settle(), expected, outcomes.join());
  }
});

Deno.test("a state of the past holds nothing of a later snapshot", async () => {
  await using store = new InMemoryEventStore();
  await using snapshots = new InMemorySnapshotStore();
  const drafts = [1, 2, 3].map((data) => ({ eventType: "Added", data }));
  await appendEvents(store, "sum-1", 0, drafts);
  const at = { actorId: "sum-1", name: "sum", schemaVersion: 1, timestamp: new Date() };
  await snapshots.saveSnapshot({ ...at, version: 3, state: 6 });
  const sum = {
    initialState: () => 0,
    evolve: (sum: number, { data }: { data: unknown }) => sum + (data as number),
  };
  const options = { snapshots: { store: snapshots, name: "sum", schemaVersion: 1 }, toVersion: 2 };
  assertEquals(await rehydrate(store, "sum-1", sum, options), { state: 3, version: 2 });
});
