/**
 * What the command line writes, and what follows if that fails.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { outputFailure } from "../../cli/output.ts";
import { createEvent, type Event, JetStreamEventStore } from "../../store/mod.ts";
import { fact } from "../support/fault.ts";
import { natsTest } from "../support/fixture.ts";
import type { Skip } from "../support/skip.ts";
import { aether } from "./bed.ts";

// deno-lint-ignore no-control-regex
const UNSAFE = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/;
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

natsTest("no verb lets an event change the terminal", async (scene) => {
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
  const text = "\u001b[31m\u007f\u009b31m\u009d0;title\u009c\u202e\u2066\u{1f600}";
  await store.saveEvent(createEvent({
    ...{ eventType: text, actorId: `a-${text}`, version: 1, data: { [text]: text } },
    metadata: { userId: text },
  }));
  const [{ id }] = await store.getEvents(`a-${text}`) as [Event];
  for (
    const args of [
      ["show", `a-${text}`],
      ["show", "text\u009b"],
      ["actors"],
      ["why", id],
      ["tail", "--from", "start", "--limit", "1"],
      ["export"],
      ["export", "--cloudevents"],
    ]
  ) {
    for (const flags of [[], ["--json"]]) {
      const { out, err } = await aether(scene, ...args, ...flags);
      assertEquals((out + err).match(UNSAFE), null);
      if (out === "" || args[0] !== "export") continue;
      const { subject, actorId = subject, data } = JSON.parse(out);
      assertEquals([actorId, data], [`a-${text}`, { [text]: text }]);
    }
  }
});

Deno.test("an output whose reader has left is no failure, and a full disk is one", () => {
  const failing = (code: string) => Object.assign(new Error("it failed"), { code });
  assertEquals(outputFailure(failing("EPIPE")), undefined);
  assertEquals(outputFailure(failing("ENOSPC")), "Cannot write the output: it failed");
});
