import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Cluster } from "../../cluster/cluster.ts";
import type { CommandContext } from "../../cluster/commands/handler.ts";
import {
  CommandCycleError,
  CommandFailedError,
  isAetherError,
  NodeReplacedError,
} from "../../store/errors.ts";
import { natsTest } from "../support/fixture.ts";
import { join, settled } from "./bed.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The actors that each of two nodes owns. */
function ownedBy(cluster: Cluster, nodeId: string): string[] {
  return Array.from({ length: 100 }, (_, at) => `order-${at}`)
    .filter((actorId) => cluster.ownerOf(actorId)?.nodeId === nodeId);
}

/** Sends on along a path of actors, and replies with those that were reached. */
async function along(cluster: Cluster, command: unknown, actorId: string): Promise<unknown> {
  const [next, ...rest] = command as string[];
  if (next === undefined) return [actorId];
  return [actorId, ...await cluster.send(next, rest) as string[]];
}

natsTest(
  "a call cycle fails at once with its chain, on one node and over several",
  async (scene) => {
    const handle = (cluster: Cluster) =>
      cluster.handle((command, { actorId }) => along(cluster, command, actorId));
    const a = await join(scene, "a", {}, undefined, handle);
    const b = await join(scene, "b", {}, undefined, handle);
    await settled(a, b);
    const [x, y] = ownedBy(a, "a") as [string, string];
    const [z] = ownedBy(a, "b") as [string];
    assertEquals(await a.send(x, [y, z]), [x, y, z]);
    for (const path of [[x], [y, x], [z, x], [z, y, x], [y, z, y]]) {
      const began = performance.now();
      const error = await assertRejects(() => a.send(x, path), CommandFailedError);
      assert(performance.now() - began < 2_000, `after ${performance.now() - began} ms`);
      const chain = [x, ...path].map((actorId) => `"${actorId}"`).join(" to ");
      assert(error.message.includes(chain), error.message);
    }
    await Promise.all([a.leave(), b.leave()]);
  },
);

natsTest(
  "a handler hears of a cycle by its own error, and may send to itself after its end",
  async (scene) => {
    const heard: unknown[] = [];
    const after = Promise.withResolvers<unknown>();
    const a = await join(
      scene,
      "a",
      {},
      undefined,
      (cluster) =>
        cluster.handle(async (command, { actorId }) => {
          if (command === "leaf") {
            return "done";
          }
          await cluster.send(actorId, "leaf").catch((error) => heard.push(error));
          setTimeout(() => cluster.send(actorId, "leaf").then(after.resolve, after.reject), 50);
          return "told";
        }),
    );
    await settled(a);
    assertEquals(await a.send("order-1", "go"), "told");
    assert(isAetherError(heard[0], "CommandCycleError") && heard[0] instanceof CommandCycleError);
    assertEquals(heard[0].chain, ["order-1", "order-1"]);
    assertEquals(await after.promise, "done");
    await a.leave();
  },
);

natsTest("commands whose senders have given up do not run", async (scene) => {
  let ran = 0;
  const node = await join(scene, "a", {}, undefined, (cluster) =>
    cluster.handle(async () => {
      ran++;
      await sleep(50);
    }));
  const sender = await join(scene, "sender", { capacity: 0 });
  await settled(node);
  for (const from of [node, sender]) {
    ran = 0;
    const sends = Array.from({ length: 100 }, () => from.send("order-1", {}, { timeout: 500 }));
    await Promise.allSettled(sends);
    await sleep(500);
    assert(ran > 3 && ran < 15, `${ran} of 100 ran`);
    assertEquals(node.describe().handling, 0);
  }
  // Sent again under its id with time to spare, such a command runs.
  const blocker = sender.send("order-1", {});
  await sender.send("order-1", {}, { timeout: 20, commandId: "late" }).catch(() => {});
  await blocker;
  ran = 0;
  await sender.send("order-1", {}, { commandId: "late" });
  assertEquals(ran, 1);
  await Promise.all([node.leave(), sender.leave()]);
});

natsTest(
  "a handler's signal is aborted when its time is over, and when its shard goes",
  async (scene) => {
    const began: CommandContext[] = [];
    const ended: string[] = [];
    const handle = (cluster: Cluster) =>
      cluster.handle(async (command, context) => {
        if (cluster.nodeId === "b") return "at the new owner";
        began.push(context);
        const { signal } = context;
        await new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason))
        );
        return command;
      });
    const a = await join(scene, "a", {}, undefined, handle);
    await settled(a);
    const late = a.send("order-1", {}, { timeout: 300 }).catch((error) => ended.push(error.name));
    while (began.length < 1) await sleep(5);
    await late;
    while (!began[0]!.signal.aborted) await sleep(5);
    assertEquals(began[0]!.signal.reason.name, "TimeoutError");
    // All shards go: the command is handled at their new owner, long before draining would end.
    const sender = await join(scene, "sender", { capacity: 0 });
    const moved = sender.send("order-2", {});
    while (began.length < 2) await sleep(5);
    const b = await join(scene, "b", {}, undefined, handle);
    const start = performance.now();
    const leaving = a.leave();
    while (!began[1]!.signal.aborted) await sleep(5);
    assert(performance.now() - start < 4_000);
    assertEquals(began[1]!.signal.reason.name, "AbortError");
    assertEquals(await moved, "at the new owner");
    await leaving;
    await Promise.all([b.leave(), sender.leave()]);
  },
);

natsTest("a node that was replaced says so to whoever sends through it", async (scene) => {
  const first = await join(scene, "a");
  const second = await join(scene, "a");
  while (!first.signal.aborted) await sleep(10);
  const error = await assertRejects(() => first.send("order-1", {}), NodeReplacedError);
  assertEquals(error.replacedBy, second.incarnation);
  await first.leave();
  await assertRejects(() => first.send("order-1", {}), NodeReplacedError);
  await second.leave();
});
