import { assertEquals } from "@std/assert";
import { createEvent, type Process, ProcessManager } from "../../../mod.ts";
import { Telemetry } from "../../support/telemetry.ts";
import { both, place, Run, until } from "./bed.ts";

const telemetry = new Telemetry();

both("the gauges show deadlines that are late, and processes that are parked", async (bed) => {
  const { store, checkpoints } = bed;
  const name = `timed_${crypto.randomUUID().slice(0, 8)}`;
  let now = Date.now();
  let ring = Promise.withResolvers<void>();
  const process: Process<null> = {
    name,
    correlate: ({ actorId }) => actorId,
    initialState: () => null,
    evolve: () => null,
    react: (_state, input) => {
      if ("kind" in input) return {};
      if (input.eventType === "Broken") throw new Error("no reaction");
      return { deadlines: { pay: new Date(now + 60_000) } };
    },
  };
  const manager = new ProcessManager({
    ...{ process, store, checkpoints, from: "start", filter: { category: "order" } },
    ...{ retry: { attempts: 1, delay: 1 }, onError: () => {} },
    clock: { now: () => now, wait: () => ring.promise },
  });
  const gauges = async () => {
    const all = await telemetry.measured(["aether.process.name", name], []);
    return [all["aether.process.deadline.lateness s"], all["aether.process.parked {process}"]];
  };
  await place(store, "order-1");
  await place(store, "order-2");
  assertEquals(await gauges(), [undefined, undefined]);
  {
    await using _run = new Run(manager);
    const isSet = async (id: string) => (await manager.describe(id)).deadlines.length === 1;
    await until(async () => await isSet("order-1") && await isSet("order-2"));
    const broken = { eventType: "Broken", actorId: "order-2", version: 2, data: null };
    await store.saveEvent(createEvent(broken));
    await until(async () => (await manager.parked()).length === 1);
    assertEquals(await gauges(), [0, 1]);
    now += 90_000;
    await until(async () => (await gauges())[0] === 30);
    ring.resolve();
    ring = Promise.withResolvers();
    // The deadline of the process that is parked waits with it, and is not late.
    await until(async () => (await gauges())[0] === 0);
    assertEquals((await manager.describe("order-1")).deadlines, []);
    assertEquals(await gauges(), [0, 1]);
  }
  assertEquals(await gauges(), [0, 0]); // Else the SDK would go on with what was last shown.
});
