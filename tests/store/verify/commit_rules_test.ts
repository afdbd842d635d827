import { assertEquals, assertMatch } from "@std/assert";
import { verify } from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { damageTest } from "./bed.ts";

damageTest("torn-commit: a part without the others is reported", async (damaged) => {
  const op = "save-1";
  // Event 1 of 3 of a save, and nothing behind it.
  await damaged.forge(fact("order-1", 1), 0, { "Aether-Op": op, "Aether-Count": "3" });
  // Event 3 of 3 of another save, and nothing before it.
  await damaged.forge(fact("order-2", 1), 0, { "Aether-Count": "3", "Aether-Index": "2" });
  // The end of the stream in the middle of a save.
  await damaged.forge(fact("order-3", 1), 0, { "Aether-Op": "save-3", "Aether-Count": "2" });
  const problems = await damaged.breaks(["torn-commit", "torn-commit"]);
  assertEquals(problems.map(({ streamSequence }) => streamSequence), [2, 4]);
  assertMatch(problems[0]!.message, /save "save-1" has 3 events, and 1 of them/);
  assertMatch(problems[1]!.message, /the stream ends/);
});

damageTest("torn-commit: a part that begins in the middle is reported", async (damaged) => {
  await damaged.forge(fact("order-1", 1), 0, { "Aether-Count": "3", "Aether-Index": "2" });
  const [problem] = await damaged.breaks(["torn-commit"]);
  assertMatch(problem!.message, /begins with event 3 of 3/);
});

damageTest("torn-commit: another save between the parts of one is reported", async (damaged) => {
  const parts = { "Aether-Op": "save-1", "Aether-Count": "2" };
  await damaged.forge(fact("order-1", 1), 0, parts);
  await damaged.forge(fact("order-2", 1), 0);
  await damaged.forge(fact("order-1", 2), 2, { ...parts, "Aether-Index": "1" });
  const problems = await damaged.breaks(["torn-commit", "torn-commit"]);
  assertEquals(problems.map(({ streamSequence }) => streamSequence), [2, 4]);
});

damageTest("torn-commit: other messages between the parts of one are reported", async (damaged) => {
  const parts = { "Aether-Op": "save-1", "Aether-Count": "2" };
  await damaged.forge(fact("order-1", 1), 0, parts);
  await damaged.publish({ subject: damaged.layout.epoch, body: "{}" });
  await damaged.forge(fact("order-1", 2), 2, { ...parts, "Aether-Index": "1" });
  await damaged.breaks(["torn-commit", "torn-commit"]);
});

damageTest("torn-commit: a batch whose first message is gone is reported", async (damaged) => {
  await damaged.store.saveEvents([fact("order-1", 1), fact("order-2", 1), fact("order-3", 1)]);
  await damaged.delete([2]);
  const [, torn] = await damaged.breaks(["hole", "torn-commit"]);
  assertEquals(torn!.streamSequence, 3);
});

damageTest("torn-commit: a batch whose middle is gone is reported", async (damaged) => {
  await damaged.store.saveEvents([fact("order-1", 1), fact("order-2", 1), fact("order-3", 1)]);
  await damaged.delete([3]);
  const problems = await damaged.breaks(["hole", "torn-commit"]);
  assertEquals(problems.map(({ streamSequence }) => streamSequence), [3, 2]);
});

damageTest("torn-commit: a batch whose end is gone is reported", async (damaged) => {
  await damaged.store.saveEvents([fact("order-1", 1), fact("order-2", 1), fact("order-3", 1)]);
  await damaged.store.saveEvent(fact("order-4", 1));
  await damaged.delete([4]);
  await damaged.breaks(["hole", "torn-commit"]);
});

damageTest("torn-commit: a marker that is gone is reported", async (damaged) => {
  const { store } = damaged;
  await store.saveEvent(fact("order-1", 1));
  const expect = [{ actorId: "order-1", version: 1 }];
  await store.saveEvent(fact("order-2", 1));
  await store.saveEvents([fact("order-2", 2)], { expect });
  await store.saveEvent(fact("order-3", 1));
  await damaged.breaks([]);
  await damaged.delete([5]);
  await damaged.breaks(["hole", "torn-commit"]);
});

/** The content of a fence. */
function fence(nodeId: string, mapVersion: number, state = "claimed"): string {
  return JSON.stringify({ nodeId, incarnation: "1", mapVersion, state, nonce: "n" });
}

damageTest(
  "fence: an event under an old fence, or a released one, is reported",
  async (damaged) => {
    const { layout } = damaged;
    const shard = Number(damaged.subjectOf("order-1").split(".")[3]);
    const expected = (at: number) => ({ "Nats-Expected-Last-Subject-Sequence": String(at) });
    const write = (body: string, at: number) =>
      damaged.publish({ subject: layout.fence(shard), body, fields: expected(at) });
    const first = await write(fence("one", 1), 0);
    const sound = await damaged.forge(fact("order-1", 1), 0, { "Aether-Fence": String(first) });
    const second = await write(fence("two", 2), first);
    await damaged.breaks([]);
    const late = await damaged.forge(fact("order-1", 2), sound, { "Aether-Fence": String(first) });
    const third = await write(fence("two", 2, "released"), second);
    const free = await damaged.forge(fact("order-1", 3), late, { "Aether-Fence": String(third) });
    const none = await damaged.forge(fact("order-1", 4), free, { "Aether-Fence": "x" });
    const problems = await damaged.breaks(["fence", "fence", "fence"]);
    assertEquals(problems.map(({ streamSequence }) => streamSequence), [late, free, none]);
    assertMatch(problems[0]!.message, /node "two" has claimed it under map 2/);
    assertMatch(problems[1]!.message, /has released it/);
  },
);

damageTest("fence: an event in a shard that nobody claimed is reported", async (damaged) => {
  await damaged.forge(fact("order-1", 1), 0, { "Aether-Fence": "1" });
  const [problem] = await damaged.breaks(["fence"]);
  assertMatch(problem!.message, /has no fence before it/);
});

damageTest("fence: maps that go back, and two owners under one, are reported", async (damaged) => {
  const { layout } = damaged;
  let last = 0;
  const write = async (body: string, at = last) => {
    const fields = { "Nats-Expected-Last-Subject-Sequence": String(at) };
    last = await damaged.publish({ subject: layout.fence(2), body, fields });
    return last;
  };
  await write(fence("one", 5));
  const back = await write(fence("two", 4));
  const other = await write(fence("three", 4));
  const garbage = await write("no fence");
  await write(fence("one", 6));
  const unguarded = await damaged.publish({ subject: layout.fence(2), body: fence("one", 7) });
  const problems = await damaged.breaks(Array(4).fill("fence"));
  assertEquals(
    problems.map(({ streamSequence }) => streamSequence),
    [back, other, garbage, unguarded],
  );
});

damageTest("the report keeps as many problems as its limit, and counts all", async (damaged) => {
  for (let at = 0; at < 5; at++) await damaged.publish({ subject: damaged.layout.commit(0) });
  await damaged.breaks(Array(5).fill("foreign-message"));
  const { problems, problemCount, ok } = await verify(damaged.store, { limit: 2 });
  assertEquals([problems.length, problemCount, ok], [2, 5, false]);
});
