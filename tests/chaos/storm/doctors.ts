/**
 * Broken stores, as they would look: each doctors the evidence of a storm in which all was well, and
 * names the rule that has to notice.
 *
 * @module
 */

import type { LeadNote, Note } from "../reigns.ts";
import {
  change,
  commanded,
  type Draft,
  fired,
  indexOf,
  inMiddle,
  isFact,
  latest,
  neighbours,
  ofSeveral,
  owned,
  remove,
  repeated,
  saved,
  sight,
  stranger,
  swap,
  typed,
  type Wanted,
} from "./draft.ts";
import type { Operation, Output, Sighting } from "./history.ts";
import type { Fact, Fence } from "./ledger.ts";

/** A fault of a store, and the rule that has to notice it. */
export type Doctor = readonly [what: string, rule: string, doctor: (draft: Draft) => void];

/** Each fault that the checks have to notice. */
export const DOCTORS: readonly Doctor[] = [
  ["an event is stored twice", "event once", ({ ledger: { facts } }) => {
    facts.push({ ...facts[indexOf(facts, owned)]!, position: 1e12, save: "another" });
  }],
  ["an event is lost from the middle", "chain", ({ ledger: { facts } }) => {
    remove(facts, inMiddle);
  }],
  ["a version comes again", "chain", ({ ledger: { facts } }) => {
    change(facts, inMiddle, ({ version }) => ({ version: version + 1 }));
  }],
  ["a receipt is at another version", "chain", ({ ledger: { receipts } }) => {
    change(receipts, () => true, ({ version }) => ({ version: version + 1 }));
  }],
  ["an acknowledged save is not stored", "acknowledged", ({ operations, ledger: { facts } }) => {
    const { input } = operations[indexOf(operations, saved)]!;
    const id = input.type === "save" && input.events[0]!.id;
    remove(facts, (fact) => fact.id === id);
  }],
  ["a receipt names another place", "acknowledged", ({ operations }) => {
    change(operations, saved, ({ output }) => ({
      output: { ...output, sequence: output.sequence! + 1 },
    }));
  }],
  ["a refused save is stored", "refused", ({ operations }) => {
    change(operations, saved, () => ({
      outcome: "refused" as const,
      output: { error: "StoreUnavailableError" },
    }));
  }],
  ["a refused command has an event", "refused", ({ operations }) => {
    change(operations, commanded, () => ({
      outcome: "refused" as const,
      output: { error: "RangeError" },
    }));
  }],
  ["an event comes from nowhere", "origin", ({ operations }) => {
    remove(operations, saved);
  }],
  ["a commit is torn", "commit whole", ({ ledger: { facts } }) => {
    remove(facts, ofSeveral);
  }],
  ["a commit has something inside", "commit whole", ({ ledger: { facts } }) => {
    const { save } = facts[indexOf(facts, ofSeveral)]!;
    const other = remove(facts, (fact) => fact.save !== save);
    facts.splice(indexOf(facts, ofSeveral) + 1, 0, other);
  }],
  ["a deposed owner writes", "fence", ({ ledger: { facts, fences } }) => {
    const isLate: Wanted<Fact> = ({ shard, fence }) =>
      fence !== 0 && fences.some((other) => other.shard === shard && other.message < fence);
    change(facts, isLate, ({ shard }) => ({
      fence: fences.find((other) => other.shard === shard)!.message,
    }));
  }],
  ["a claim under an older map", "fence", ({ ledger: { fences } }) => {
    const isLate: Wanted<Fence> = ({ shard }, at) =>
      fences.slice(0, at).some((other) => other.shard === shard);
    change(fences, isLate, () => ({ mapVersion: 0 }));
  }],
  ["a command is saved twice", "command once", ({ ledger: { facts } }) => {
    const isOf: Wanted<Fact> = ({ command }) => command !== "";
    facts.push({ ...facts[indexOf(facts, isOf)]!, id: "again", save: "again" });
  }],
  ["a command is refused and has events", "command once", ({ ledger: { facts, receipts } }) => {
    const isOf: Wanted<Fact> = ({ command }) => command !== "";
    receipts.push(facts[indexOf(facts, isOf)]!);
  }],
  ["a repeated command is told others", "command once", ({ operations }) => {
    const results: Output["results"] = [
      { version: 1, ids: ["other"], sequence: 256, duplicate: true },
    ];
    change(operations, repeated, () => ({ output: { results } }));
  }],
  ["two callers are the first", "command once", ({ operations }) => {
    const [id, output] = operations.filter((it, at, all) =>
      repeated(it, at, all)
    ).map((it) => [it.id, it.output] as const)[0] ?? [];
    const results = output!.results!.map((result) => ({ ...result, duplicate: false }));
    change(operations, (it) =>
      it.id === id, () => ({ output: { results } }));
    const { input } = operations.find((it) => it.id === id)!;
    operations.push({ ...operations.find((it) => it.id === id)!, id: "first", input });
  }],
  ["a command is told another version", "command", ({ operations }) => {
    change(operations, typed("command"), ({ output }) => ({
      output: { results: output.results!.map((it) => ({ ...it, version: it.version + 1 })) },
    }));
  }],
  ["a final refusal has no receipt", "command", ({ ledger: { receipts }, operations }) => {
    receipts.length = 0;
    indexOf(operations, ({ output }) => output.error === "CommandRefusedError");
  }],
  ["a deadline comes early", "deadline", ({ ledger: { facts } }) => {
    change(facts, fired, ({ time }) => ({ time: time - 60_000 }));
  }],
  ["a deadline comes twice", "deadline", ({ ledger: { facts } }) => {
    facts.push({ ...facts[indexOf(facts, fired)]!, id: "again", save: "again" });
  }],
  ["a deadline never comes", "deadline", ({ ledger: { facts } }) => {
    remove(facts, fired);
  }],
  ["a bell rings twice", "process", ({ ledger: { facts } }) => {
    facts.push({ ...facts[indexOf(facts, isFact("Rang"))]!, id: "again", save: "again" });
  }],
  ["a process does not end", "process", ({ ledger: { facts } }) => {
    remove(facts, isFact("ProcessEnded"));
  }],
  ["a later save stands before an earlier one", "real-time order", ({ operations }) => {
    const at = operations.findLastIndex(saved);
    const last = operations.splice(at, 1)[0]!;
    operations.unshift({ ...last, start: -2, end: -1 });
  }],
  ["a guard did not hold", "guard", ({ operations }) => {
    const isGuarded: Wanted<Operation> = (it, at, all) =>
      it.input.type === "save" && it.input.expect !== undefined && saved(it, at, all);
    change(operations, isGuarded, ({ input }) => ({
      input: {
        ...input as Extract<typeof input, { type: "save" }>,
        expect: [{ actorId: "another", version: 7 }],
      },
    }));
  }],
  ["a repeated save is refused", "repeat", (draft) => {
    const isPlain: Wanted<Operation> = (it, at, all) =>
      saved(it, at, all) && it.input.type === "save" && it.input.expect === undefined;
    const { input } = draft.operations[indexOf(draft.operations, isPlain)]!;
    stranger(draft, { input, outcome: "refused", output: { error: "VersionConflictError" } });
  }],
  ["a process reads older than it wrote", "own reads", (draft) => {
    const { operations } = draft;
    const { worker, life, input } = operations[indexOf(operations, saved)]!;
    const { actorId } = (input as Extract<typeof input, { type: "save" }>).events[0]!;
    draft.nodes = 3;
    stranger(draft, {
      ...{ worker, life, input: { type: "version", actorId, fresh: true } },
      output: { version: 0 },
    });
  }],
  ["a read is behind what was acknowledged", "register", (draft) => {
    draft.nodes = 1;
    const { actorId } = latest(draft);
    stranger(draft, {
      ...{ input: { type: "version", actorId, fresh: true }, output: { version: 0 } },
    });
  }],
  ["a read gives what is not stored", "register", (draft) => {
    const { actorId, version } = latest(draft);
    stranger(draft, {
      input: { type: "version", actorId, fresh: true },
      output: { version: version + 1 },
    });
  }],
  ["a read is ahead of the save", "register", (draft) => {
    const { actorId, version } = latest(draft);
    stranger(draft, {
      ...{ input: { type: "version", actorId, fresh: true }, output: { version } },
      ...{ start: -2, end: -1 },
    });
  }],
  ["a history has a gap", "history", ({ operations }) => {
    const isLong: Wanted<Operation> = (it, at, all) =>
      typed("read")(it, at, all) && it.output.events!.length > 1;
    change(operations, isLong, ({ output }) => ({ output: { events: output.events!.slice(1) } }));
  }],
  ["a state is of other events", "state", ({ operations }) => {
    change(operations, typed("state"), ({ output }) => ({
      output: { ...output, state: { ...output.state!, sum: output.state!.sum + 1 } },
    }));
  }],
  ["a whole read leaves one out", "whole read", ({ operations }) => {
    const isLong: Wanted<Operation> = (it, at, all) =>
      typed("readAll")(it, at, all) && it.output.events!.length > 2;
    change(operations, isLong, ({ output }) => ({
      output: { ...output, events: output.events!.filter((_, at) => at !== 1) },
    }));
  }],
  ["a whole read ends too early", "whole read", (draft) => {
    const { worker, life } = draft.operations[indexOf(draft.operations, saved)]!;
    const input = { type: "readAll", from: 0 } as const;
    stranger(draft, { worker, life, input, output: { events: [], isWhole: true } });
  }],
  ["a subscription is out of order", "subscription", (draft) => {
    const [one, other] = neighbours(draft, "subscribed");
    swap(draft.sightings, one, other);
  }],
  ["a subscription leaves one out", "subscription", ({ sightings }) => {
    remove(sightings, sight("subscribed"));
  }],
  ["a subscription gives one twice", "subscription", ({ sightings }) => {
    const at = indexOf(sightings, sight("subscribed"));
    sightings.splice(at, 0, sightings[at]!);
  }],
  ["a read model has an event twice", "projection", ({ rows }) => {
    rows.push(rows[0]!);
  }],
  ["a read model misses an event", "projection", ({ rows }) => {
    rows.pop();
  }],
  ["a projection leaves one out", "projection", (draft) => {
    const first = draft.sightings[indexOf(draft.sightings, sight("projected"))]!;
    const { position } = first.what as { position: number };
    draft.sightings = draft.sightings.filter(({ kind, what }) =>
      kind !== "projected" || (what as { position: number }).position !== position
    );
  }],
  ["a projection is out of order", "projection", (draft) => {
    const { rows, ledger: { facts } } = draft;
    const one = facts[indexOf(facts, inMiddle)]!;
    const other = facts.find((fact) =>
      fact.actorId === one.actorId && fact.position > one.position
    )!;
    swap(rows, rows.indexOf(one.position), rows.indexOf(other.position));
  }],
  ["a notification comes twice", "notification", ({ sightings }) => {
    const at = indexOf(sightings, sight("heard"));
    sightings.push(sightings[at]!);
  }],
  ["a notification of what is not stored", "notification", ({ sightings }) => {
    change(sightings, sight("heard"), ({ what }) => ({ what: { ...what as object, id: "none" } }));
  }],
  ["a notification names another place", "notification", ({ sightings }) => {
    change(sightings, sight("heard"), ({ what }) => ({ what: { ...what as object, position: 1 } }));
  }],
  ["notifications are out of order", "notification", (draft) => {
    const facts = new Map(draft.ledger.facts.map((fact) => [fact.id, fact]));
    const of = ({ what }: Sighting) => facts.get((what as { id: string }).id)!;
    const owner = (it: Sighting) =>
      (of(it).data as { op?: string } | null)?.op?.split("-").slice(0, 2).join();
    const [one, other] = neighbours(
      draft,
      "heard",
      (one, other) =>
        owner(one) !== undefined && owner(one) === owner(other) &&
        of(one).actorId === of(other).actorId,
    );
    swap(draft.sightings, one, other);
  }],
  ["two lead at once", "lease", ({ reigns }) => {
    const isTaken = (note: Note): note is LeadNote => note.kind === "taken";
    const first = reigns.find(isTaken)!;
    reigns.push({ ...first, nodeId: "another", term: first.term + 1, at: first.at + 1 });
  }],
  ["an error that nobody had promised", "error", ({ operations }) => {
    change(operations, ({ outcome }) => outcome === "unknown", () => ({
      output: { error: "Unexpected StreamRegressedError" },
    }));
  }],
];
