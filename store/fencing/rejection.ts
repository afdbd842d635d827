import type { FenceHolder } from "../errors.ts";
import type { Batch } from "./batch.ts";
import type { ShardClaim } from "./claims.ts";
import { fenceHolderIn } from "./fences.ts";
import type { FencedParts } from "./parts.ts";
import { partsOf, readLastProved } from "../nats/direct_get.ts";
import type { Head } from "../read/heads.ts";
import { headIn } from "../read/message_facts.ts";

/** Why a group was refused, as far as that can be seen. */
export interface Rejection {
  /** Actors whose heads are not those that the group expected, with their heads. */
  readonly moved: ReadonlyMap<string, Head>;
  /** Whether a claim is lost; it has ended then. */
  readonly isFenced: boolean;
}

/**
 * Finds out why a group was refused: which of its shards belong to another node by now, and which
 * of its actors other writers have written. The nearest replica is asked for all of it, by one request
 * if the server takes that; if it shows no cause yet, the leader is asked.
 */
export async function explainRejection(parts: FencedParts, group: Batch): Promise<Rejection> {
  const { api, headReader, heads, claims, requestTimeout } = parts;
  const fences = new Map<string, ShardClaim>();
  const actors = new Map<string, string>();
  for (const claim of group.claims) fences.set(api.layout.fence(claim.shard), claim);
  for (const actorId of group.expectedHeads.keys()) {
    actors.set(headReader.subjectOf(actorId), actorId);
  }
  const moved = new Map<string, Head>();
  let isFenced = false;
  for (const part of partsOf(api, [...fences.keys(), ...actors.keys()])) {
    for (const message of (await readLastProved(api, part, requestTimeout)).messages) {
      const claim = fences.get(message.subject);
      if (claim !== undefined && claims.observe(claim, fenceHolderIn(message))) isFenced = true;
      const actorId = actors.get(message.subject);
      if (actorId === undefined || message.sequence <= group.expectedHeads.get(actorId)!.sequence) {
        continue;
      }
      const head = headIn(message);
      heads.raise(actorId, head, -Infinity);
      moved.set(actorId, head);
    }
  }
  return isFenced || moved.size > 0 ? { moved, isFenced } : await inspectByLeader(parts, group);
}

async function inspectByLeader(parts: FencedParts, group: Batch): Promise<Rejection> {
  const { headReader, claims, fences } = parts;
  const moved = new Map<string, Head>();
  let isFenced = false;
  const check = (claim: ShardClaim, holder: FenceHolder | undefined) => {
    if (claims.observe(claim, holder)) isFenced = true;
  };
  await Promise.all([
    ...[...group.claims].map(async (claim) => check(claim, await fences.look(claim.shard))),
    ...[...group.expectedHeads].map(async ([actorId, { sequence }]) => {
      const head = await headReader.read(actorId);
      if (head.sequence > sequence) moved.set(actorId, head);
    }),
  ]);
  return { moved, isFenced };
}
