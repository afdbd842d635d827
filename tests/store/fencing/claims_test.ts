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

Deno.test("a fence that is older than the claim does not end it, whichever node wrote it", async () => {
  const own = { nodeId: "a", incarnation: "1", mapVersion: 1, state: "claimed" } as const;
  const fences = {
    claim: () => Promise.resolve({ ...own, sequence: 100 }),
  } as unknown as Fences;
  const deposed: number[] = [];
  const claims = new Claims({
    ...{ fences, heads: new HeadCache(10), nodeId: "a", incarnation: "1", shards: SHARDS },
    onDeposed: (shard) => deposed.push(shard),
  });
  await claims.claim(3, 1);
  const claim = claims.get(3)!;
  // As a replica has it that is behind.
  for (const nodeId of ["a", "b"]) {
    assertEquals(claims.observe(claim, { ...own, nodeId, sequence: 50 }), false);
  }
  assertEquals([claims.get(3), deposed], [claim, []]);
  assertEquals(claims.observe(claim, { ...own, nodeId: "b", sequence: 150 }), true);
  assertEquals([claims.get(3), deposed], [undefined, [3]]);
});
