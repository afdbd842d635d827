import { assertEquals, assertRejects } from "@std/assert";
import { CommandCrashedOwnersError } from "../../../store/errors.ts";
import { join, QUICK } from "../bed.ts";
import { Child } from "../../support/child.ts";
import { natsTest } from "../../support/fixture.ts";

const SCRIPT = new URL("./poison_worker.ts", import.meta.url);
const NODES = ["n1", "n2", "n3", "n4"];

for (const harm of ["die", "hang"]) {
  natsTest(
    `a command under which its owner ${harm}s costs two nodes and no third`,
    async (scene) => {
      const { namespace } = scene;
      const quick = { ...QUICK, namespace, heartbeatTtl: 2_000, heartbeat: 400 };
      const nodes = NODES.map((nodeId) =>
        new Child(SCRIPT, [scene.server.url, JSON.stringify({ ...quick, nodeId })])
      );
      await Promise.all(nodes.map((node) => node.line()));
      const sender = await join(scene, "sender", { ...quick, capacity: 0 });
      const isShared = () => {
        const { owned, shards } = sender.describe().map;
        return NODES.every((nodeId) => owned.get(nodeId) === shards / NODES.length);
      };
      while (!isShared()) await new Promise((resolve) => setTimeout(resolve, 10));
      await Promise.all(Array.from({ length: 100 }, (_, at) => sender.send(`y-${at}`, "reply")));
      // Another node has it: a command beside the deadly one is lost with its owner, too.
      const aside = Array.from({ length: 100 }, (_, at) => `y-${at}`)
        .find((actorId) => sender.ownerOf(actorId)?.nodeId !== sender.ownerOf("x-1")?.nodeId)!;
      const bystander = sender.send(aside, "reply");
      const { nodes: gone } = await assertRejects(
        () => sender.send("x-1", harm),
        CommandCrashedOwnersError,
      );
      assertEquals(new Set(gone).size, 2);
      await bystander;
      // The others serve what those had.
      const replies = Array.from({ length: 50 }, (_, at) => sender.send(`x-${at}`, "reply"));
      const alive = new Set(await Promise.all(replies));
      assertEquals([...alive].sort(), NODES.filter((nodeId) => !gone.includes(nodeId)));
      await sender.leave();
      for (const node of nodes) await node.kill();
    },
    { leakCheck: false },
  ); // What killed processes have left ends by itself.
}
