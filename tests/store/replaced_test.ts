import { assert, assertEquals } from "@std/assert";
import { isAetherError } from "../../store/errors.ts";
import { join, settled } from "../cluster/bed.ts";
import { natsTest } from "../support/fixture.ts";

natsTest("a process whose name another has taken no longer leads or serves", async (scene) => {
  const former = await join(scene, "a");
  for await (const change of former.changes()) {
    if (change.type === "leader" && former.lease !== undefined) break;
  }
  const lease = former.lease!;
  const present = await join(scene, "a");
  await new Promise<void>((resolve) => {
    if (lease.signal.aborted) resolve();
    lease.signal.addEventListener("abort", () => resolve());
  });
  assert(isAetherError(former.signal.reason, "NodeReplacedError"));
  await settled(present);
  while (present.lease === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
  assert(present.lease.term > lease.term);
  assertEquals(await present.send("counter-1", 1), 1);
  while ((former.describe().phases.get("serving") ?? 0) > 0) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await former.leave();
  await present.leave();
});
