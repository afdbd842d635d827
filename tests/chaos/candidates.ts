/**
 * Candidates in processes of their own, which can be killed, stopped and continued.
 *
 * @module
 */

import type { NodeConnectionOptions } from "@nats-io/transport-node";
import type { LeaseTimings } from "../../cluster/election/lease_timings.ts";
import { Crew } from "./crew.ts";
import type { Note } from "./reigns.ts";

/** Options for candidates. */
export interface CandidateOptions {
  readonly servers: string[];
  readonly namespace: string;
  readonly replicas: number;
  readonly timings: Partial<LeaseTimings>;
  /** Their connections, beside never giving up. */
  readonly connection: NodeConnectionOptions;
  /** About how long a leader leads before it resigns, in ms; without limit if absent. */
  readonly reign?: number;
  /** How many times slower their clocks go than the server's: above 1 for the control. */
  readonly slow: number;
}

/** Processes of `candidate.ts`. */
export class Candidates extends Crew<CandidateOptions, Note> {
  /** Candidates that campaign by `options`. */
  constructor(options: CandidateOptions) {
    super(new URL("candidate.ts", import.meta.url), options);
  }

  /** The node that took the lease last, if its process is still there. */
  get leader(): string | undefined {
    const last = this.notes.findLast(({ kind }) => kind === "taken" || kind === "over");
    if (last?.kind !== "taken") return undefined;
    return this.lifeOf(last.nodeId) === undefined ? undefined : last.nodeId;
  }

  /** Has all of them resign and end by themselves. */
  async endAll(): Promise<void> {
    await Promise.all(this.nodeIds.map((nodeId) => this.end(nodeId)));
  }
}
