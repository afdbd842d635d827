import { encodeJson, jsonIn } from "../../store/base/json.ts";
import type { BucketEntry } from "../../store/kv/entry.ts";

/** The key of a cluster's bucket that holds the lease. */
export const LEADER_KEY = "leader";

/** The holder of the lease, as the server reports it. */
export interface Leader {
  /** The node that has it. */
  readonly nodeId: string;
  /** Fencing token: grows with every lease that is taken, and is the same over its renewals. */
  readonly term: number;
  /** The node's incarnation, if it gave one. */
  readonly incarnation?: string;
}

/** The body of the key, as a candidate or a leader writes it. */
export interface LeaderClaim {
  readonly nodeId: string;
  readonly incarnation?: string | undefined;
  /** Different in every attempt, so that its writer recognises it. */
  readonly nonce: string;
  /** How long the key lives unless it is renewed, in ms. */
  readonly lease?: number | undefined;
  /** Left out by the attempt that takes the lease: the sequence that it gets is the term. */
  readonly term?: number;
}

/** Encodes a claim. */
export function encodeLeaderClaim(claim: LeaderClaim): Uint8Array {
  const { nodeId, incarnation, nonce, lease, term } = claim;
  return encodeJson({ nodeId, incarnation, nonce, lease, term });
}

/** The claim in the key; `undefined` if the key is free, or holds something else. */
export function leaderClaimIn({ value }: BucketEntry): LeaderClaim | undefined {
  if (value === undefined) return undefined;
  const claim = (jsonIn(value) ?? {}) as Partial<LeaderClaim>;
  const isClaim = typeof claim.nodeId === "string" && typeof claim.nonce === "string" &&
    (claim.term === undefined || Number.isSafeInteger(claim.term)) &&
    (claim.incarnation === undefined || typeof claim.incarnation === "string") &&
    (claim.lease === undefined || (claim.lease >= 1 && claim.lease < 2 ** 31));
  // Else somebody else has written it: the lease is not free, and nobody known has it.
  return isClaim ? claim as LeaderClaim : undefined;
}

/** The holder of the lease by the key's content. */
export function leaderIn(entry: BucketEntry): Leader | undefined {
  const claim = leaderClaimIn(entry);
  if (claim === undefined) return undefined;
  const { nodeId, incarnation, term = entry.revision } = claim;
  return { nodeId, term, ...(incarnation !== undefined && { incarnation }) };
}

/** Names the attempts of one candidate, so that it recognises them. */
export class Nonces {
  readonly #mark: string = `${crypto.randomUUID()}.`;
  #count = 0;

  /** Makes one that no other attempt has. */
  next(): string {
    return this.#mark + ++this.#count;
  }
}
