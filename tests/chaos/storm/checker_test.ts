/**
 * The checks of a storm pass a history in which all is well, and notice each fault that a broken
 * store could have.
 */

import { assert, assertEquals } from "@std/assert";
import { check } from "./checker.ts";
import { DOCTORS } from "./doctors.ts";
import { draftOf } from "./draft.ts";
import type { Evidence } from "./evidence.ts";
import { historyOf, type Input, type Operation, type Output, type Sighting } from "./history.ts";
import type { Fact } from "./ledger.ts";

/** A small history, told step by step; each step takes 10 ms. */
class Story {
  readonly facts: Fact[] = [];
  readonly operations: Operation[] = [];
  readonly #versions = new Map<string, number>();
  readonly #counts = new Map<string, number>();
  #message = 1;
  #time = 1_000;

  /** Takes the server's next sequence. */
  message(): number {
    return this.#message++;
  }

  /** Stores a save of events, one message for each. */
  store(
    actors: readonly string[],
    more: Partial<Fact> = {},
    types: readonly string[] = [],
  ): Fact[] {
    const save = `save-${this.#message}`;
    return actors.map((actorId, index) => {
      const previous = this.#versions.get(actorId) ?? 0;
      const message = this.message();
      const fact: Fact = {
        ...{ position: 256 * message, message, time: this.#time, shard: "3", actorId },
        ...{ id: `${actorId}-${previous + 1}`, version: previous + 1, previous, command: "" },
        ...{ save, index, count: actors.length, fence: 0, type: types[index] ?? "Happened" },
        ...{ data: null, ...more },
      };
      this.#versions.set(actorId, previous + 1);
      this.facts.push(fact);
      return fact;
    });
  }

  /** Goes on by `ms`. */
  wait(ms: number): void {
    this.#time += ms;
  }

  /** An operation of a process, that ends at once. */
  call(worker: string, input: Input, output: Output, outcome: Operation["outcome"] = "ok"): void {
    const count = (this.#counts.get(worker) ?? 0) + 1;
    this.#counts.set(worker, count);
    const [start, end] = [this.#time, this.#time += 10];
    this.operations.push({
      ...{ id: `${worker}-1-${count}`, worker, life: 1, kind: input.type, input, start, end },
      ...{ outcome, output },
    });
    this.#time++;
  }

  /** The id of a process's next operation. */
  next(worker: string): string {
    return `${worker}-1-${(this.#counts.get(worker) ?? 0) + 1}`;
  }

  /** Saves events of actors, and is told so. */
  save(
    worker: string,
    actors: readonly string[],
    { fence = 0, ...rest }: { fence?: number; expect?: readonly [string, number][] } = {},
  ): void {
    const facts = this.store(actors, { fence, data: { op: this.next(worker) } });
    const events = facts.map(({ actorId, version, id }) => ({ actorId, version, id }));
    const expect = rest.expect?.map(([actorId, version]) => ({ actorId, version }));
    const input: Input = { type: "save", events, ...expect && { expect } };
    this.call(worker, input, { sequence: facts.at(-1)!.position, duplicate: false });
  }
}

/** A history in which all is well. */
function clean(): Evidence {
  const story = new Story();
  story.save("w1", ["note-1"]);
  story.save("w1", ["note-1", "note-1"]);
  story.save("w2", ["note-1", "note-2"], { expect: [["note-1", 3], ["note-3", 0]] });
  const conflict = { error: "VersionConflictError", actorId: "note-2", version: 1 };
  const tried = { actorId: "note-2", version: 1, id: "refused" };
  story.call("w1", { type: "save", events: [tried] }, conflict, "refused");
  story.call("w1", { type: "save", events: [{ ...tried, id: "lost" }] }, {}, "unknown");

  const asked = (commandId: string): Input => (
    { type: "command", actorIds: ["count-1"], commandId, record: true }
  );
  const counted = (worker: string, command: string) => {
    const data = { by: 2, op: story.next(worker) };
    const [{ id, version, position: sequence }] = story.store(["count-1"], { command, data }) as [
      Fact,
    ];
    const result = { version, ids: [id], sequence, duplicate: false };
    story.call(worker, asked(command), { results: [result] });
    return result;
  };
  const first = counted("w1", "one");
  story.call("w2", asked("one"), { results: [{ ...first, duplicate: true }] });
  const receipt = { message: story.message(), actorId: "count-1", version: 1, command: "two" };
  story.call("w1", asked("two"), { error: "RangeError" }, "refused");
  story.call("w2", asked("two"), { error: "CommandRefusedError" }, "refused");
  counted("w2", "three");

  const claim = (mapVersion: number) => (
    { message: story.message(), shard: "3", mapVersion, state: "claimed" }
  );
  const fences = [claim(1)];
  story.save("w1", ["fence-1"], { fence: fences[0]!.message });
  fences.push(claim(2));
  story.save("w2", ["fence-1"], { fence: fences[1]!.message });

  const alarm = "process:alarm-x";
  story.save("w1", ["ask-x"]);
  const at = new Date(1_600).toISOString();
  story.store([alarm, alarm], { data: { name: "ring", at } }, ["Armed", "DeadlineSet"]);
  story.wait(1_000);
  story.store([alarm, alarm], { data: { name: "ring" } }, ["DeadlineCleared", "CommandIssued"]);
  story.store(["bell-x"], { command: "ring" }, ["Rang"]);
  story.store([alarm, alarm, alarm], {}, ["CommandSettled", "Rung", "ProcessEnded"]);

  story.call("w2", { type: "version", actorId: "note-1", fresh: true }, { version: 4 });
  const { facts } = story;
  const tail = facts.filter(({ actorId, version }) => actorId === "note-1" && version > 1);
  const events = tail.map(({ version, id }) => [version, id] as const);
  story.call("w1", { type: "read", actorId: "note-1", from: 2 }, { events });
  story.call("w1", { type: "read", actorId: "note-2", from: 2 }, { events: [] });
  const state = { count: 2, sum: 4 };
  story.call("w1", { type: "state", actorId: "count-1" }, { version: 2, state });
  const all = facts.map(({ position, id }) => [position, id] as const);
  story.call("w2", { type: "readAll", from: 0 }, { events: all, isWhole: true });

  const see = (kind: string, what: (fact: Fact) => unknown): Sighting[] =>
    facts.map((fact, at) => ({ worker: "w1", life: 1, at, kind, what: what(fact) }));
  const given = ({ position, id }: Fact) => ({ position, id });
  const projected = see("projected", given);
  return {
    operations: story.operations,
    sightings: [
      ...see("subscribed", given),
      // After a kill some come again.
      ...[...projected.slice(0, 5), ...projected.slice(2)],
      ...see("heard", ({ id, actorId, version, position }) => ({ id, actorId, version, position })),
    ],
    ledger: { facts, receipts: [receipt], fences },
    rows: facts.map(({ position }) => position),
    reigns: [
      { nodeId: "w1", life: 1, kind: "taken", at: 0, until: 100, term: 1 },
      { nodeId: "w2", life: 1, kind: "taken", at: 101, until: 200, term: 2 },
      { nodeId: "w2", life: 1, kind: "over", at: 150, term: 2, reason: "resigned" },
    ],
    nodes: 1,
  };
}

Deno.test("The checks of a storm find nothing in a history in which all is well", () => {
  assertEquals(check(clean()), []);
});

for (const [what, rule, doctor] of DOCTORS) {
  Deno.test(`The checks of a storm notice: ${what}`, () => {
    const draft = draftOf(clean());
    doctor(draft);
    const found = check(draft).map(({ rule }) => rule);
    assert(found.includes(rule), `It was taken for ${found}`);
  });
}

Deno.test("An operation that a kill cut short may have stored its events, or not", () => {
  const by = { worker: "w1", life: 1, kind: "save", op: "w1-1-1" };
  const input = { type: "save", events: [{ actorId: "note-1", version: 1, id: "a" }] };
  const line = JSON.stringify({ ...by, at: 5, phase: "invoke", input });
  const { operations } = historyOf([`\n${line}\n{"at":6,"worker":"w1","li`]);
  assertEquals(operations.map(({ outcome, end }) => [outcome, end]), [["unknown", Infinity]]);
  const { ledger: { facts } } = clean();
  const stored = [{ ...facts[0]!, id: "a", data: { op: "w1-1-1" } }];
  for (const facts of [stored, []]) {
    const ledger = { facts, receipts: [], fences: [] };
    const rows = facts.map(({ position }) => position);
    const sightings = facts.map(({ position, id }) => (
      { worker: "w1", life: 1, at: 1, kind: "projected", what: { position, id } }
    ));
    const rest = { operations, sightings, ledger, rows, reigns: [], nodes: 1 };
    assertEquals(check(rest), []);
  }
});
