import { assertEquals, assertRejects } from "@std/assert";
import { commandLogOf } from "../../../store/command_log.ts";
import { createEvent, InMemoryEventStore, StoreUnavailableError } from "../../../store/mod.ts";
import { HeldCodec, sample } from "../../../testing/event_store/kit.ts";

Deno.test("a command's outcome is given up in line as soon as its signal is aborted", async () => {
  const codec = new HeldCodec();
  await using store = new InMemoryEventStore({ codec });
  codec.hold();
  const saved = store.saveEvent(sample());
  const abort = new AbortController();
  const receipt = {
    actorId: "order-1",
    commandId: "c",
    end: { version: 0, sequence: 0 },
    outcome: null,
  };
  const recorded = commandLogOf(store)!.record(receipt, abort.signal);
  abort.abort(new Error("too late"));
  await assertRejects(() => recorded, StoreUnavailableError, "too late");
  codec.release();
  assertEquals((await saved).duplicate, false);
});

Deno.test("a save that is stored resolves, though its signal is aborted while it is told", async () => {
  const abort = new AbortController();
  const broadcaster = { publish: () => abort.abort() };
  await using store = new InMemoryEventStore({ broadcaster });
  const event = createEvent({ eventType: "Placed", actorId: "order-1", version: 1, data: null });
  const { duplicate } = await store.saveEvents([event], abort);
  assertEquals([duplicate, await store.getLatestVersion("order-1")], [false, 1]);
});
