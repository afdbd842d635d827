import { assertEquals } from "@std/assert";
import { Attempts, type AttemptsParts } from "../../../store/fencing/attempts.ts";
import type { ShardClaim } from "../../../store/fencing/claims.ts";
import { Layout } from "../../../store/format/layout.ts";
import { asStreamSequence } from "../../../store/format/position.ts";
import { openRequests } from "../../../store/nats/open.ts";
import { StreamApi } from "../../../store/nats/stream_api.ts";
import { fact } from "../../support/fault.ts";
import { claimAll, type Node, nodeOf } from "./bed.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

const ACTOR = "order-1";

/** One attempt to save an event of the actor, of which nothing was heard. */
async function attempted(
  scene: Scene,
  { store }: Node,
  next?: AttemptsParts["headReader"]["next"],
): Promise<{ attempts: Attempts<string>; close: () => void }> {
  const layout = new Layout(scene.namespace);
  const requests = openRequests(await scene.connect());
  const api = new StreamApi(requests, layout, "$JS.API");
  const subject = layout.event(ACTOR, store.shards);
  const headReader = {
    subjectOf: () => subject,
    next: next ??
      ((_: string, after: number) => api.get({ seq: after + 1, next_by_subj: subject }, 1_000)),
  } as unknown as AttemptsParts["headReader"];
  const shard = store.shardOf(ACTOR);
  const fence = (await store.fence(shard))!;
  const claim: ShardClaim = { shard, fence, closing: false };
  const heads = new Map([[ACTOR, { version: 0, sequence: asStreamSequence(0) }]]);
  const parts = { api, headReader, requestTimeout: 1_000 };
  const attempts = new Attempts<string>(parts, heads, new Set([claim]));
  attempts.add("a batch", { op: undefined, places: new Map(), runs: [], actors: new Set([ACTOR]) });
  return { attempts, close: () => requests.close() };
}

natsTest("an attempt of which nothing is seen may be stored still", async (scene) => {
  await using a = await nodeOf(scene, "a");
  await claimAll(a, 1);
  const { attempts, close } = await attempted(scene, a);
  assertEquals(await attempts.outcome(), "unknown");
  close();
});

natsTest("an attempt can never be stored once its fence or its actor moved on", async (scene) => {
  await using a = await nodeOf(scene, "a");
  await claimAll(a, 1);
  const fenced = await attempted(scene, a);
  await a.store.renew(a.store.shardOf(ACTOR));
  assertEquals(await fenced.attempts.outcome(), "not-saved");
  fenced.close();
  const overtaken = await attempted(scene, a);
  await a.store.saveEvent(fact(ACTOR, 1));
  assertEquals(await overtaken.attempts.outcome(), "not-saved");
  overtaken.close();
});

natsTest(
  "a broken guard settles nothing where the actor moved, and nobody says by whom",
  async (scene) => {
    await using a = await nodeOf(scene, "a");
    await claimAll(a, 1);
    const { attempts, close } = await attempted(scene, a, () => Promise.resolve(undefined));
    await a.store.saveEvent(fact(ACTOR, 1));
    await a.store.renew(a.store.shardOf(ACTOR));
    assertEquals(await attempts.outcome(), "unknown");
    close();
  },
);
