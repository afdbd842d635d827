import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { InMemoryCheckpointStore, InMemoryEventStore, Projection } from "../../../store/mod.ts";
import { IdleWatch } from "../../../store/projection/idle_watch.ts";
import { Child } from "../../support/child.ts";
import { unlessSkipped } from "../../support/skip.ts";
import { fact, projectionTest, quick } from "./bed.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;

projectionTest(
  "A wait for a projection that nobody runs warns, and goes on if it is run",
  async (bed) => {
    await bed.store.saveEvent(fact("order-1", 1));
    const reported = Promise.withResolvers<unknown>();
    const options = quick(bed, { handler: () => {}, onError: reported.resolve });
    await using projection = new Projection(options);
    const { caughtUp } = projection;
    const warning = String(await reported.promise);
    assert(
      warning.includes('projection "model"') || warning.includes('Projection "model"'),
      warning,
    );
    assert(warning.includes("run()"), warning);
    await using other = new Projection(options);
    const running = other.run();
    await caughtUp;
    await other[Symbol.asyncDispose]();
    await running;
  },
);

Deno.test("A watch warns once after five seconds, and ends a wait after a minute", () => {
  let now = 0;
  const watch = new IdleWatch(() => now);
  const seen: [number, string][] = [];
  const upTo = (end: number, positions: number[], isIdle: boolean) => {
    for (; now < end; now += 1_000) {
      const outcome = watch.look(positions, isIdle);
      if (outcome !== undefined) seen.push([now, outcome]);
    }
  };
  upTo(200_000, [1, 2], false); // It runs here: however long it takes.
  upTo(204_000, [1, 2], true);
  upTo(263_000, [1, 3], true); // Others move it.
  assertEquals(seen, [[209_000, "warn"]]);
  upTo(265_000, [1, 3], true);
  assertEquals(seen, [[209_000, "warn"], [264_000, "end"]]);
});

Deno.test("A wait for a projection that nobody runs warns, and then lets the process end", async () => {
  const child = new Child(new URL("./idle_child.ts", import.meta.url), []);
  assertMatch(await child.line(), /call run\(\)/);
  assertEquals(await child.next(), undefined); // The wait itself would end after a minute.
  assert((await child.end()).success);
});

Deno.test({
  ...unlessSkipped(
    "A wait for a projection that nobody runs ends after a minute",
    !LONG && "only with AETHER_LONG=1",
  ),
  fn: async () => {
    await using store = new InMemoryEventStore();
    await store.saveEvent(fact("order-1", 1));
    const checkpoints = new InMemoryCheckpointStore();
    const projection = new Projection(quick({ store, checkpoints }, { handler: () => {} }));
    await assertRejects(() => projection.caughtUp, DOMException, "does not run it");
  },
});
