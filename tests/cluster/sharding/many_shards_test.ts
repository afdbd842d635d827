import { assert, assertEquals } from "@std/assert";
import { Slots } from "../../../cluster/sharding/slots.ts";
import { natsTest } from "../../support/fixture.ts";
import { join } from "../bed.ts";

const SHARDS = 32_768;

natsTest(
  "a node takes and releases very many shards, and its event loop goes on",
  async (scene) => {
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    const began = performance.now();
    const node = await join(scene, "a", { shards: SHARDS, leaveTimeout: 60_000 });
    while (node.describe().phases.get("serving") !== SHARDS) {
      assert(performance.now() - began < 120_000, `${[...node.describe().phases]}`);
      // Of many seconds on a busy machine, none in one piece.
      assert(longest < 3_000, `the event loop waited ${longest} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assertEquals(await node.send("counter-1", {}), 1);
    await node.leave();
    clearInterval(timer);
    assert(longest < 3_000, `the event loop waited ${longest} ms`);
  },
);

Deno.test("slots let so much at once, in turn, and an error frees its slot", async () => {
  const slots = new Slots(2);
  const order: number[] = [];
  let now = 0;
  let most = 0;
  const done = await Promise.allSettled(
    Array.from({ length: 1_000 }, (_, at) =>
      slots.run(async () => {
        order.push(at);
        most = Math.max(most, ++now);
        await Promise.resolve();
        now--;
        if (at % 3 === 0) throw new Error("no");
      })),
  );
  assertEquals(most, 2);
  assertEquals(order, order.toSorted((one, other) => one - other));
  assertEquals(done.filter(({ status }) => status === "rejected").length, 334);
  await slots.run(() => Promise.resolve());
});
