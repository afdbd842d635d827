/**
 * What the command line writes, and what follows if that fails.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { outputFailure } from "../../cli/output.ts";
import { JetStreamEventStore } from "../../store/mod.ts";
import { fact } from "../support/fault.ts";
import { natsTest } from "../support/fixture.ts";
import type { Skip } from "../support/skip.ts";
import { aether } from "./bed.ts";

const skip: Skip = Deno.build.os === "linux" ? false : "there is no /dev/full";

for (const [size, count] of [["small", 1], ["large", 20]] as const) {
  natsTest(`a ${size} export to a full disk ends with 1`, async (scene) => {
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
    for (let at = 0; at < count; at++) {
      await store.saveEvent(fact(`order-${at}`, 1, "x".repeat(20_000)));
    }
    const { code, err } = await aether(scene, "export", "/dev/full");
    assertEquals(code, 1);
    assertMatch(err, /No space left|ENOSPC/);
  }, { skip });
}

Deno.test("an output whose reader has left is no failure, and a full disk is one", () => {
  const failing = (code: string) => Object.assign(new Error("it failed"), { code });
  assertEquals(outputFailure(failing("EPIPE")), undefined);
  assertEquals(outputFailure(failing("ENOSPC")), "Cannot write the output: it failed");
});
