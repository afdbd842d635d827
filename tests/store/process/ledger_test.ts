import { assertEquals, assertRejects } from "@std/assert";
import { createEvent, StoreUnavailableError } from "../../../store/mod.ts";
import { persist } from "../../../store/process/dispatch.ts";
import { ledger, type LedgerChange, ledgerDecider } from "../../../store/process/ledger.ts";

const at = (sequence: number) => ({ sequence, eventId: `event-${sequence}`, reason: "broken" });

/** The events that a change of a process leads to that is parked at position 5. */
function changed(change: LedgerChange): string[] {
  const event = { eventType: "ProcessParked", actorId: "process:p-1", version: 1, data: at(5) };
  const parked = ledger.evolve(ledger.initialState(), createEvent(event));
  return ledgerDecider.decide(change, parked).map(({ eventType }) => eventType);
}

Deno.test("a process stays parked at its earliest event, so that a retry begins there", () => {
  assertEquals(changed({ kind: "park", at: at(7), ifEarlier: true }), []);
  assertEquals(changed({ kind: "park", at: at(3), ifEarlier: true }), ["ProcessParked"]);
});

Deno.test("a process goes on only from the event that it is parked at", () => {
  assertEquals(changed({ kind: "unpark", eventId: "event-7" }), []);
  assertEquals(changed({ kind: "unpark", eventId: "event-5" }), ["ProcessUnparked"]);
});

Deno.test("an outage is waited for, and any other error ends the work", async () => {
  const { signal } = new AbortController();
  const errors: unknown[] = [new StoreUnavailableError("out of reach"), new RangeError("wrong")];
  const told: unknown[] = [];
  const work = () => Promise.reject(errors.shift());
  await assertRejects(() => persist(signal, (error) => told.push(error), work), RangeError);
  assertEquals(told.length, 1);
});
