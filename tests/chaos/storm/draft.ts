/**
 * Evidence of a storm that can be changed, and the tools to change it with.
 *
 * @module
 */

import type { Note } from "../reigns.ts";
import type { Evidence } from "./evidence.ts";
import type { Operation, Sighting } from "./history.ts";
import type { Fact, Fence, Receipt } from "./ledger.ts";

/** Evidence that can be changed. */
export interface Draft {
  operations: Operation[];
  sightings: Sighting[];
  ledger: { facts: Fact[]; receipts: Receipt[]; fences: Fence[] };
  rows: number[];
  reigns: Note[];
  nodes: number;
}

/** Evidence to change, while the original stays as it is. */
export function draftOf({ ledger, ...evidence }: Evidence): Draft {
  const { facts, receipts, fences } = ledger;
  return {
    ...{ operations: [...evidence.operations], sightings: [...evidence.sightings] },
    ...{ rows: [...evidence.rows], reigns: [...evidence.reigns], nodes: evidence.nodes },
    ledger: { facts: [...facts], receipts: [...receipts], fences: [...fences] },
  };
}

export type Wanted<T> = (item: T, at: number, all: readonly T[]) => boolean;

export function indexOf<T>(items: readonly T[], wanted: Wanted<T>): number {
  const at = items.findIndex(wanted);
  if (at < 0) throw new Error("There is nothing to doctor");
  return at;
}

export function change<T>(items: T[], wanted: Wanted<T>, by: (item: T) => Partial<T>): void {
  const at = indexOf(items, wanted);
  items[at] = { ...items[at]!, ...by(items[at]!) };
}

export function remove<T>(items: T[], wanted: Wanted<T>): T {
  return items.splice(indexOf(items, wanted), 1)[0]!;
}

export function swap<T>(items: T[], one: number, other: number): void {
  [items[one], items[other]] = [items[other]!, items[one]!];
}

export const ok: Wanted<Operation> = ({ outcome }) => outcome === "ok";
export const typed = (type: string): Wanted<Operation> => (it, at, all) =>
  it.input.type === type && ok(it, at, all);
/** A save that was acknowledged by itself, and asked for once. */
export const saved: Wanted<Operation> = ({ input, outcome, output, kind }) =>
  input.type === "save" && outcome === "ok" && output.sequence !== undefined &&
  output.duplicate === false && kind !== "twin save" && kind !== "fenced save";
/** A command that was asked for once. */
export const commanded: Wanted<Operation> = ({ id, input, outcome }, _, all) =>
  input.type === "command" && outcome === "ok" &&
  !all.some((other) =>
    other.id !== id && other.input.type === "command" &&
    other.input.commandId === input.commandId
  );
export const repeated: Wanted<Operation> = ({ input, outcome, output }) =>
  input.type === "command" && outcome === "ok" && output.results![0]!.duplicate;
export const ofSeveral: Wanted<Fact> = ({ count, index }) => count > 1 && index === 0;
export const inMiddle: Wanted<Fact> = ({ actorId }, at, all) =>
  all.slice(at + 1).some((other) => other.actorId === actorId);
export const owned: Wanted<Fact> = ({ data }) => (data as { op?: string } | null)?.op !== undefined;
export const isFact = (type: string): Wanted<Fact> => (fact) => fact.type === type;
/** A deadline that has come: the first event of its save. */
export const fired: Wanted<Fact> = ({ type, index }) => type === "DeadlineCleared" && index === 0;
export const sight = (kind: string): Wanted<Sighting> => (it) => it.kind === kind;

/** The places of two of `sightings` of a kind, of which the second is the next of the same maker. */
export function neighbours(
  draft: Draft,
  kind: string,
  isPair = (_one: Sighting, _other: Sighting) => true,
) {
  const { sightings } = draft;
  for (const [at, one] of sightings.entries()) {
    if (one.kind !== kind || !isPair(one, one)) continue;
    const next = sightings.findIndex((other, place) =>
      place > at && other.kind === kind && other.worker === one.worker &&
      other.life === one.life && isPair(one, other)
    );
    if (next >= 0) return [at, next] as const;
  }
  throw new Error("There is nothing to doctor");
}

/** Something that a process was told that nobody else was. */
export function stranger(
  draft: Draft,
  more: Pick<Operation, "input" | "output"> & Partial<Operation>,
) {
  const end = Math.max(...draft.operations.map(({ start }) => start)) + 1e6;
  draft.operations.push({
    ...{ id: "stranger", worker: "stranger", life: 1, kind: "stranger", outcome: "ok" },
    ...{ start: end, end, ...more },
  });
}

/** An actor of a draft with events, and the latest of them. */
export function latest({ ledger: { facts } }: Draft, wanted: Wanted<Fact> = owned): Fact {
  const { actorId } = facts[indexOf(facts, wanted)]!;
  return facts.findLast((fact) => fact.actorId === actorId)!;
}
