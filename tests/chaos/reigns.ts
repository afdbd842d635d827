/**
 * The times, by the machine's clock, in which each candidate believed to lead; and whether two did
 * at the same time.
 *
 * @module
 */

interface NoteBase {
  readonly nodeId: string;
  /** Which process of the node. */
  readonly life: number;
  /** When, by the machine's clock in ms. */
  readonly at: number;
}

/** It is there, or waits for the lease. */
export interface WaitNote extends NoteBase {
  readonly kind: "ready" | "campaigns";
}

/** It has taken the lease, or looks at it again. */
export interface LeadNote extends NoteBase {
  readonly kind: "taken" | "holds";
  readonly term: number;
  /** When the lease is over unless it is renewed. */
  readonly until: number;
}

/** Its lease is over. */
export interface EndNote extends NoteBase {
  readonly kind: "over";
  readonly term: number;
  readonly reason: string;
}

/** A line that a candidate writes. */
export type Note = WaitNote | LeadNote | EndNote;

/** How long a lease was valid for its holder, had it looked all the time; in ms. */
export interface Reign {
  readonly nodeId: string;
  readonly term: number;
  readonly from: number;
  readonly until: number;
  /** Why it ended, if its holder lived to report it. */
  readonly reason: string | undefined;
}

/**
 * The reigns that `notes` tell of, in the order of their beginnings. A holder that was killed or
 * stopped counts until its lease would have been over: nobody else may lead before.
 */
export function reignsOf(notes: readonly Note[]): Reign[] {
  const reigns = new Map<string, Reign>();
  for (const note of notes) {
    if (!("term" in note)) continue;
    const key = `${note.nodeId} ${note.life} ${note.term}`;
    const reign = reigns.get(key);
    if (note.kind === "over") {
      if (reign === undefined) throw new Error(`An end without a beginning: ${key}`);
      const { reason, at } = note;
      const until = reason === "resigned" ? Math.min(reign.until, at) : reign.until;
      reigns.set(key, { ...reign, until, reason });
    } else {
      const { nodeId, term, at, until } = note;
      reigns.set(
        key,
        reign === undefined
          ? { nodeId, term, from: at, until, reason: undefined }
          : { ...reign, until: Math.max(reign.until, until) },
      );
    }
  }
  return [...reigns.values()].sort((one, two) => one.from - two.from);
}

/**
 * The shortest time between two reigns, in ms.
 *
 * @throws Two lead at the same time, or a term does not grow.
 */
export function checkReigns(reigns: readonly Reign[]): number {
  let shortest = Infinity;
  let latest: Reign | undefined;
  for (const reign of reigns) {
    const { nodeId, term, from } = reign;
    if (latest !== undefined) {
      if (from < latest.until) {
        throw new Error(
          `Two leaders: "${nodeId}" leads in term ${term} since ${from}, and ` +
            `"${latest.nodeId}" in term ${latest.term} until ${latest.until}`,
        );
      }
      if (term <= latest.term) throw new Error(`Term ${term} follows on term ${latest.term}`);
      shortest = Math.min(shortest, from - latest.until);
    }
    latest = reign;
  }
  return shortest;
}
