import { assertEquals, assertRejects } from "@std/assert";
import { createEvent, StoreUnavailableError } from "../../../store/mod.ts";
import { persist } from "../../../store/process/dispatch.ts";
import {
  type Ledger,
  ledger,
  type LedgerChange,
  ledgerDecider,
  type ParkedAt,
} from "../../../store/process/ledger.ts";

const at = (sequence: number) => ({ sequence, eventId: `event-${sequence}`, reason: "broken" });

/** A process that is parked. */
function parkedAt(data: ParkedAt): Ledger {
  const event = { eventType: "ProcessParked", actorId: "process:p-1", version: 1, data };
  return ledger.evolve(ledger.initialState(), createEvent(event));
}

/** The events that a change of a process leads to that is parked at position 5. */
function changed(change: LedgerChange, more: Partial<ParkedAt> = {}): string[] {
  const parked = parkedAt({ ...at(5), ...more });
  return ledgerDecider.decide(change, parked).map(({ eventType }) => eventType);
}

Deno.test("a process stays parked at its earliest event, so that a retry begins there", () => {
  assertEquals(changed({ kind: "park", at: at(7), ifEarlier: true }), []);
  assertEquals(changed({ kind: "park", at: at(3), ifEarlier: true }), ["ProcessParked"]);
});

Deno.test("a process that fails with two events side by side is retried from the earlier one", () => {
  const parked = parkedAt(at(5));
  const failed = (sequence: number, retriedFrom?: number) =>
    ledgerDecider.decide({ kind: "park", at: at(sequence), retriedFrom }, parked)
      .map(({ data }) => data);
  assertEquals(failed(7), [{ ...at(7), from: 5 }]);
  assertEquals(failed(3), [at(3)]);
  assertEquals(failed(5), []);
  // A retry has given it all that is before the later one, if it began no later than where it is parked.
  assertEquals(failed(7, 5), [at(7)]);
  assertEquals(failed(7, 6), [{ ...at(7), from: 5 }]);
});

Deno.test("a process goes on only from the event that it is parked at", () => {
  const resuming = { from: 8, resuming: true } as const;
  for (const other of [{ eventId: "event-7", from: 8 }, { eventId: "event-5", from: 9 }]) {
    assertEquals(changed({ kind: "unpark", ...other }, resuming), []);
  }
  const change = { kind: "unpark", eventId: "event-5", from: 8 } as const;
  assertEquals(changed(change), []);
  assertEquals(changed(change, resuming), ["ProcessUnparked"]);
});

Deno.test("a process that fails while a retry ends is retried from where that was", () => {
  const resuming = parkedAt({ ...at(5), from: 8, resuming: true });
  const [own] = ledgerDecider.decide({ kind: "park", at: at(9) }, resuming);
  assertEquals(own?.data, { ...at(9), from: 8 });
  const [earlier] = ledgerDecider.decide({ kind: "park", at: at(6), ifEarlier: true }, resuming);
  assertEquals(earlier?.data, at(6));
  assertEquals(ledgerDecider.decide({ kind: "park", at: at(8), ifEarlier: true }, resuming), []);
});

Deno.test("an outage is waited for, and any other error ends the work", async () => {
  const { signal } = new AbortController();
  const errors: unknown[] = [new StoreUnavailableError("out of reach"), new RangeError("wrong")];
  const told: unknown[] = [];
  const work = () => Promise.reject(errors.shift());
  await assertRejects(() => persist(signal, (error) => told.push(error), work), RangeError);
  assertEquals(told.length, 1);
});
