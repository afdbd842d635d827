import { assertEquals } from "@std/assert";
import { slowRoute } from "../../support/answers.ts";
import { fact } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";
import { actorIn, nodeOf } from "./bed.ts";

for (const reads of ["lease", "fenced"] as const) {
  natsTest(
    `a lookup that was asked before a claim is not believed after it (${reads})`,
    async (scene) => {
      const slow = slowRoute(await scene.connect());
      await using a = await nodeOf(scene, "a", { connection: slow.connection, reads });
      await using b = await nodeOf(scene, "b");
      const actorId = actorIn(a.store, 0);
      await b.store.claim(0, 1);
      await b.store.saveEvent(fact(actorId, 1));
      slow.holdNext((subject, query) => subject.includes("GET") && query.includes(actorId));
      const early = a.store.getLatestVersion(actorId); // The shard is still b's.
      await slow.held;
      await b.store.saveEvent(fact(actorId, 2));
      await b.store.release(0);
      await a.store.claim(0, 2);
      slow.release();
      await early;
      assertEquals(await a.store.getLatestVersion(actorId), 2);
      assertEquals((await a.store.getLatestVersions([actorId])).get(actorId), 2);
    },
  );
}
