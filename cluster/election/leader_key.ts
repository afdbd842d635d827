import { encodeJson, jsonIn } from "../../store/base/json.ts";
import type { BucketEntry } from "../../store/kv/entry.ts";

/** The key of a cluster's bucket that holds the lease. */
export const LEADER_KEY = "leader";

/** Who has the lease, by the server's word. */
export interface Leader {
  /** The node that has it. */
  readonly nodeId: string;
  /** Fencing token: grows with every lease that is taken, and stays while it is renewed. */
  readonly term: number;
  /** Which life of the node, where it told. */
  readonly incarnation?: string;
}

/** What a candidate or a leader writes into the key. */
export interface LeaderClaim {
  readonly nodeId: string;
  readonly incarnation?: string | undefined;
  /** Different in every try, so that its writer knows it again. */
  readonly nonce: string;
  /** Left out by the try that takes the lease: the sequence that it gets is the term. */
  readonly term?: number;
}

/** The body of a claim. */
export function encodeLeaderClaim({ nodeId, incarnation, nonce, term }: LeaderClaim): Uint8Array {
  return encodeJson({ nodeId, incarnation, nonce, term });
}

/** What the key holds; `undefined` where it is free, or holds nothing of ours. */
export function leaderClaimIn({ value }: BucketEntry): LeaderClaim | undefined {
  if (value === undefined) return undefined;
  const claim = (jsonIn(value) ?? {}) as Partial<LeaderClaim>;
  const isClaim = typeof claim.nodeId === "string" && typeof claim.nonce === "string" &&
    (claim.term === undefined || Number.isSafeInteger(claim.term)) &&
    (claim.incarnation === undefined || typeof claim.incarnation === "string");
  // Else somebody else has written it: the lease is not free, and nobody known has it.
  return isClaim ? claim as LeaderClaim : undefined;
}

/** Who has the lease by what the key holds. */
export function leaderIn(entry: BucketEntry): Leader | undefined {
  const claim = leaderClaimIn(entry);
  if (claim === undefined) return undefined;
  const { nodeId, incarnation, term = entry.revision } = claim;
  return { nodeId, term, ...(incarnation !== undefined && { incarnation }) };
}

/** Names the tries of one candidate, so that it knows them again. */
export class Nonces {
  readonly #mark: string = `${crypto.randomUUID()}.`;
  #count = 0;

  /** One that no other try has. */
  next(): string {
    return this.#mark + ++this.#count;
  }

  /** Whether `nonce` is one of these. */
  isOwn(nonce: string): boolean {
    return nonce.startsWith(this.#mark);
  }
}
