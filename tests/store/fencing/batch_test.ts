import { assertEquals } from "@std/assert";
import { Batch } from "../../../store/fencing/batch.ts";
import type { PendingSave } from "../../../store/fencing/pending_save.ts";
import { asStreamSequence } from "../../../store/format/position.ts";

const HEAD = { version: 1, sequence: asStreamSequence(7) };

interface Init {
  readonly version?: number;
  readonly id?: string;
  /** The version that another actor must be at. */
  readonly expect?: Record<string, number>;
  /** The sequence that the actor's history must end at. */
  readonly end?: number;
}

/** A save of one event. */
function save(actorId: string, { version = 2, id = "own", expect = {}, end }: Init = {}) {
  const plan = {
    actors: [actorId],
    expect: new Map(Object.entries(expect)),
    ends: end === undefined ? undefined : new Map([[actorId, { version: 1, sequence: end }]]),
  };
  const events = [{ actorId, version, id: `${id} ${actorId} ${id === "own" ? version : ""}` }];
  const entry = { plan, save: { ...plan, events, runs: [{}] }, bytes: 10, claims: [] };
  return entry as unknown as PendingSave;
}

/** How saves fit into one batch, in their order; all actors are known to be at version 1. */
function fits(...entries: PendingSave[]): string[] {
  const batch = new Batch();
  return entries.map((entry) => batch.add(entry, () => HEAD));
}

Deno.test("saves of one actor, and of others, go together", () => {
  assertEquals(fits(save("a"), save("a", { version: 3 }), save("b")), ["in", "in", "in"]);
});

Deno.test("a save waits if it depends on an actor that the batch writes, or the other way round", () => {
  assertEquals(fits(save("a"), save("b", { expect: { a: 1 } })), ["in", "later"]);
  assertEquals(fits(save("b", { expect: { a: 1 } }), save("a")), ["in", "later"]);
  assertEquals(fits(save("a"), save("b", { expect: { c: 1 } })), ["in", "in"]);
});

Deno.test("an outcome that was decided on an actor's end is not put behind another save of it", () => {
  assertEquals(fits(save("a"), save("a", { version: 3, end: 7 })), ["in", "later"]);
  assertEquals(fits(save("a", { end: 7 }), save("b", { end: 7 })), ["in", "in"]);
});

Deno.test("a save waits if the batch has an event of its actor under the same id", () => {
  const [one, again] = [save("a", { id: "x" }), save("a", { id: "x", version: 3 })];
  assertEquals(fits(one, again, save("b", { id: "x" })), ["in", "later", "in"]);
});

Deno.test("a save that is not new is refused, or waits for those before it", () => {
  assertEquals(fits(save("a", { version: 1 })), ["refused"]);
  assertEquals(fits(save("a"), save("a", { id: "other" })), ["in", "later"]);
});
