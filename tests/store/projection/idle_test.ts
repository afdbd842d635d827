import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { InMemoryCheckpointStore, InMemoryEventStore, Projection } from "../../../store/mod.ts";
import { IdleWatch } from "../../../store/projection/waits.ts";
import { Child } from "../../support/child.ts";
import { unlessSkipped } from "../../support/skip.ts";
import { fact, projectionTest, quick, Running } from "./bed.ts";

const LONG = Deno.env.get("AETHER_LONG") !== undefined;

projectionTest(
  "Waits for a projection that nobody runs warn once each, and go on if it is run",
  async (bed) => {
    await bed.store.saveEvent(fact("order-1", 1));
    const fails = quick(bed, {
      handler: () => {
        throw new Error("not yet");
      },
      ...{ retry: { attempts: 1 }, onPoison: "park" },
    });
    {
      await using parking = new Running(new Projection(fails));
      await parking.of.caughtUp;
    }
    await bed.store.saveEvent(fact("order-2", 1));
    const warnings: string[] = [];
    const reported = Promise.withResolvers<void>();
    const options = quick(bed, {
      handler: () => {},
      onError: (error) => {
        warnings.push(String(error));
        if (warnings.length === 3) reported.resolve();
      },
    });
    await using projection = new Projection(options);
    const ends = Promise.all([
      projection.caughtUp,
      projection.unpark("order-1"),
      projection.rebuild(),
    ]);
    await reported.promise;
    const found = warnings.map((it) =>
      /: Projection "model" does not (.*): this process/.exec(it)?.[1]
    );
    assertEquals(found.sort(), ["build version 2", "catch up", 'try "order-1" again']);
    for (const warning of warnings) assertMatch(warning, /no other moves it; call run\(\)$/);
    await using _other = new Running(new Projection({ ...options, onError: () => {} }));
    assertEquals(await ends, [undefined, true, 2]);
    assertEquals(warnings.length, 3);
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
