import { assertEquals } from "@std/assert";
import { Claims } from "../../../store/fencing/claims.ts";
import type { Fences } from "../../../store/fencing/fences.ts";
import { asStreamSequence } from "../../../store/format/position.ts";
import { HeadCache } from "../../../store/read/heads.ts";

const SHARDS = 16;

Deno.test("a claim forgets what was known of the shard's actors, and reads reach it", async () => {
  const heads = new HeadCache(10);
  const fences = {
    claim: (shard: number, mapVersion: number) =>
      Promise.resolve({
        ...{ nodeId: "a", incarnation: "1", mapVersion, state: "claimed" },
        sequence: 100 + shard,
      }),
  } as unknown as Fences;
  const claims = new Claims({
    ...{ fences, heads, nodeId: "a", incarnation: "1", shards: SHARDS, onDeposed: undefined },
  });
  const head = { version: 3, sequence: asStreamSequence(9) };
  const { shardOf } = await import("../../../store/actor.ts");
  const ids = Array.from({ length: 10 }, (_, at) => `order-${at}`);
  for (const actorId of ids) heads.raise(actorId, head, 0);
  const shard = shardOf(ids[0]!, SHARDS);
  await claims.claim(shard, 1);
  const known = ids.filter((actorId) => heads.get(actorId) !== undefined);
  assertEquals(known, ids.filter((actorId) => shardOf(actorId, SHARDS) !== shard));
  assertEquals([heads.highest, heads.last], [asStreamSequence(100 + shard), head.sequence]);
});
