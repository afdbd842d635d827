import type { Claims } from "./claims.ts";
import type { Fences } from "./fences.ts";
import type { StoreInternals } from "../save/path.ts";

/** What commits under claims work with. */
export interface FencedParts extends StoreInternals {
  readonly claims: Claims;
  readonly fences: Fences;
  /** The shard of an actor. */
  readonly shardOf: (actorId: string) => number;
}
