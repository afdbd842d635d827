/**
 * What the checks of a storm are given, and what they find.
 *
 * @module
 */

import type { Note } from "../reigns.ts";
import type { Operation, Sighting } from "./history.ts";
import { type Fact, grouped, type Ledger } from "./ledger.ts";

/** Everything that is known of a storm. */
export interface Evidence {
  /** In the order in which they began. */
  readonly operations: readonly Operation[];
  /** In the order in which they were seen. */
  readonly sightings: readonly Sighting[];
  /** What is stored in the end. */
  readonly ledger: Ledger;
  /** The positions that the read model in SQLite has, in the order of its commits. */
  readonly rows: readonly number[];
  /** What candidates believed. */
  readonly reigns: readonly Note[];
  /** How many NATS servers there were: with one, nobody can be given an outdated answer. */
  readonly nodes: number;
}

/** A promise that was not kept. */
export interface Violation {
  /** Which promise. */
  readonly rule: string;
  /** What was found. */
  readonly message: string;
  /** The operations that show it. */
  readonly operations: readonly Operation[];
}

/** A check of one kind of promises; puts what it finds into `found`. */
export type Rule = (
  evidence: Indexed,
  found: (rule: string, message: string, ...operations: readonly Operation[]) => void,
) => void;

/** Evidence with what several checks look up. */
export class Indexed {
  readonly evidence: Evidence;
  readonly byActor: ReadonlyMap<string, readonly Fact[]>;
  readonly byId: ReadonlyMap<string, readonly Fact[]>;
  readonly bySave: ReadonlyMap<string, readonly Fact[]>;
  readonly byPosition: ReadonlyMap<number, Fact>;
  readonly byOperation: ReadonlyMap<string, Operation>;

  /** Looks through all once. */
  constructor(evidence: Evidence) {
    const { ledger: { facts }, operations } = evidence;
    this.evidence = evidence;
    this.byActor = grouped(facts, "actorId");
    this.byId = grouped(facts, "id");
    this.bySave = grouped(facts, "save");
    this.byPosition = new Map(facts.map((fact) => [fact.position, fact]));
    this.byOperation = new Map(operations.map((operation) => [operation.id, operation]));
  }

  /** The event of an actor at exactly that version. */
  at(actorId: string, version: number): Fact | undefined {
    const facts = this.byActor.get(actorId) ?? [];
    let [low, high] = [0, facts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (facts[middle]!.version < version) low = middle + 1;
      else high = middle;
    }
    return facts[low]?.version === version ? facts[low] : undefined;
  }

  /** The operation whose own events these are; `undefined` where several may have stored them. */
  ownerOf({ data }: Fact): Operation | undefined {
    const { op } = (data ?? {}) as { readonly op?: string };
    return op === undefined ? undefined : this.byOperation.get(op);
  }
}

/**
 * Whose memory an operation was called on: that of a process's store, which ends with the process.
 * Leaders open a store of their own for each lease.
 */
export function clientOf(
  { worker, life, kind, id = "" }: Pick<Operation, "worker" | "life" | "kind"> & { id?: string },
): string {
  return kind === "fenced save" ? id : `${worker}/${life}`;
}
