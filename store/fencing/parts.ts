import type { Claims } from "./claims.ts";
import type { Fences } from "./fences.ts";
import type { StoreInternals } from "../save/path.ts";

/** The parts that commits under claims need. */
export interface FencedParts extends StoreInternals {
  readonly claims: Claims;
  readonly fences: Fences;
  /** The shard of an actor. */
  readonly shardOf: (actorId: string) => number;
}
