import { assert, assertEquals } from "@std/assert";
import { Ability } from "../../../cluster/sharding/ability.ts";
import type { NodeIncarnation } from "../../../cluster/incarnation.ts";
import type { HandoffAnswer } from "../../../cluster/sharding/handoff.ts";
import type { ShardMap } from "../../../cluster/sharding/shard_map.ts";
import { type ShardClaims, Shards, type ShardsParts } from "../../../cluster/sharding/shards.ts";
import { FencedError, type FenceHolder } from "../../../store/errors.ts";
import type { RequestMux } from "../../../store/nats/requests.ts";

const requests = { connected: () => Promise.resolve() } as unknown as RequestMux;
const SHARDS = 4;

/** Fences without a server, and the processes that write them. */
class Bed implements AsyncDisposable {
  readonly fences = new Map<number, FenceHolder>();
  readonly log: string[] = [];
  readonly nodes = new Map<string, Shards>();
  readonly members = new Set<string>();
  #sequence = 0;

  node(nodeId: string, parts: Partial<ShardsParts> = {}): Shards {
    const self = life(nodeId);
    const node = new Shards({
      requests,
      self,
      shards: SHARDS,
      claims: this.claims(nodeId),
      ability: new Ability(nodeId, () => {}),
      ask: async ({ nodeId: other }, shard, mapVersion): Promise<HandoffAnswer> => {
        this.log.push(`${nodeId} asks ${other} for ${shard}`);
        return await this.nodes.get(other)!.release(shard, mapVersion);
      },
      isMember: (owner) => this.members.has(owner.nodeId),
      drained: () => Promise.resolve(),
      forget: () => {},
      drainTimeout: 1000,
      ...parts,
    });
    this.nodes.set(nodeId, node);
    this.members.add(nodeId);
    return node;
  }

  claims(nodeId: string): ShardClaims {
    const write = (shard: number, mapVersion: number, state: FenceHolder["state"]) => {
      const fence = { ...life(nodeId), mapVersion, state, sequence: ++this.#sequence };
      this.fences.set(shard, fence);
      this.log.push(`${nodeId} ${state} ${shard}`);
      return fence;
    };
    return {
      readFence: (shard) => Promise.resolve(this.fences.get(shard)),
      claim: (shard, mapVersion) => {
        const holder = this.fences.get(shard);
        if (holder !== undefined && holder.mapVersion >= mapVersion && holder.nodeId !== nodeId) {
          return Promise.reject(new FencedError("claim", { shard, nodeId, holder }));
        }
        return Promise.resolve(write(shard, mapVersion, "claimed"));
      },
      release: (shard) => {
        const { nodeId: holder, mapVersion } = this.fences.get(shard)!;
        return Promise.resolve(holder === nodeId && write(shard, mapVersion, "released"));
      },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes.values()) await node.close();
  }
}

function life(nodeId: string): NodeIncarnation {
  return { nodeId, incarnation: "1" };
}

function mapOf(version: number, ...owners: string[]): ShardMap {
  return { version, shards: owners.map((nodeId) => nodeId === "-" ? undefined : life(nodeId)) };
}

async function settled(...nodes: Shards[]): Promise<void> {
  for (const node of nodes) {
    while (node.unsettled > 0) await node.changed.wait(5000);
  }
}

function served(node: Shards): number[] {
  return Array.from({ length: SHARDS }, (_, shard) => shard).filter((it) => node.serves(it));
}

Deno.test("a process serves what the map gives it, and hears nothing of older maps", async () => {
  await using bed = new Bed();
  const a = bed.node("a");
  a.learn(mapOf(2, "a", "a", "b", "-"));
  assertEquals(a.unsettled, 2);
  await settled(a);
  assertEquals(served(a), [0, 1]);
  a.learn(mapOf(1, "b", "b", "a", "a"));
  assertEquals([a.mapVersion, served(a)], [2, [0, 1]]);
});

Deno.test("a shard moves when its owner has drained and released it, and not before", async () => {
  await using bed = new Bed();
  const gate = Promise.withResolvers<void>();
  const a = bed.node("a", { drained: () => gate.promise });
  const b = bed.node("b");
  a.learn(mapOf(1, "a", "a", "a", "a"));
  await settled(a);
  const map = mapOf(2, "a", "a", "b", "b");
  b.learn(map);
  a.learn(map);
  assertEquals(served(a), [0, 1]);
  while (!bed.log.includes("b asks a for 3")) await b.changed.wait(10);
  assertEquals(served(b), []);
  gate.resolve();
  await settled(a, b);
  assertEquals([served(a), served(b)], [[0, 1], [2, 3]]);
  const writes = bed.log.filter((line) => line.endsWith("3") && !line.includes("asks"));
  assertEquals(writes, ["a claimed 3", "a released 3", "b claimed 3"]);
});

Deno.test("commands that do not end keep a shard no longer than the timeout", async () => {
  await using bed = new Bed();
  const a = bed.node("a", { drained: () => new Promise(() => {}), drainTimeout: 20 });
  const b = bed.node("b");
  a.learn(mapOf(1, "a", "a", "a", "a"));
  await settled(a);
  b.learn(mapOf(2, "b", "b", "b", "b"));
  await settled(b);
  assertEquals(served(b).length, 4);
});

Deno.test("a process that is no member is not asked, and its shards are taken", async () => {
  await using bed = new Bed();
  const a = bed.node("a", { drained: () => new Promise(() => {}) });
  const b = bed.node("b");
  a.learn(mapOf(1, "a", "a", "a", "a"));
  await settled(a);
  bed.members.delete("a");
  b.learn(mapOf(2, "b", "b", "b", "b"));
  await settled(b);
  assert(!bed.log.some((line) => line.includes("asks")));
  assertEquals(served(a).length, 4);
  a.deposed(0);
  assertEquals(served(a), [1, 2, 3]);
});

Deno.test("leave() releases all shards, and no map brings one back", async () => {
  await using bed = new Bed();
  const a = bed.node("a");
  a.learn(mapOf(1, "a", "a", "a", "a"));
  await settled(a);
  await a.leave(new AbortController().signal);
  assertEquals(served(a), []);
  assert([...bed.fences.values()].every(({ state }) => state === "released"));
  a.learn(mapOf(2, "a", "a", "a", "a"));
  assertEquals([a.unsettled, a.mapVersion], [0, 2]);
});

Deno.test("claims that fail for a while are made again", async () => {
  await using bed = new Bed();
  const { claim, ...claims } = bed.claims("a");
  let failures = 3;
  const a = bed.node("a", {
    claims: {
      ...claims,
      claim: (shard, mapVersion, signal) =>
        failures-- > 0
          ? Promise.reject(new Error("out of reach"))
          : claim(shard, mapVersion, signal),
    },
  });
  a.learn(mapOf(1, "a", "-", "-", "-"));
  await settled(a);
  assertEquals(served(a), [0]);
});

Deno.test("a process with very many shards reads, claims and releases a bounded number at once", async () => {
  await using bed = new Bed();
  let [now, most] = [0, 0];
  const counted =
    <Args extends unknown[], T>(work: (...args: Args) => Promise<T>) =>
    async (...args: Args): Promise<T> => {
      most = Math.max(most, ++now);
      try {
        await Promise.resolve();
        return await work(...args);
      } finally {
        now--;
      }
    };
  const { readFence, claim, release } = bed.claims("a");
  const claims = {
    readFence: counted(readFence),
    claim: counted(claim),
    release: counted(release),
  };
  const shards = 2_000;
  const a = bed.node("a", { shards, claims });
  a.learn(mapOf(1, ...new Array<string>(shards).fill("a")));
  await settled(a);
  assertEquals(a.phases.get("serving"), shards);
  await a.leave(AbortSignal.timeout(10_000));
  assertEquals(a.phases.get("idle"), shards);
  assert(most > 1 && most <= 256, `${most} at once`);
});
