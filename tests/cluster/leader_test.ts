import { assertEquals } from "@std/assert";
import { encodeLeaderClaim, LEADER_KEY } from "../../cluster/election/leader_key.ts";
import { clusterBucket } from "../../cluster/subjects.ts";
import { Bucket } from "../../store/kv/bucket.ts";
import { join, settled } from "./bed.ts";
import { natsTest } from "../support/fixture.ts";

natsTest(
  "a node names no leader that is no longer a member, though its lease lasts",
  async (scene) => {
    const { namespace } = scene;
    const bucket = await Bucket.open(await scene.connect(), { bucket: clusterBucket(namespace) });
    const claim = encodeLeaderClaim({ nodeId: "dead", incarnation: "1", nonce: "lost" });
    const held = await bucket.put(LEADER_KEY, claim, { revision: 0, ttl: 60 });
    if (held.kind !== "stored") throw new Error(held.kind);
    const node = await join(scene, "a");
    await settled(node);
    const named = new Set<string | undefined>();
    let isHeld = true;
    while (node.leader?.nodeId !== "a") {
      named.add(node.leader?.nodeId);
      if (isHeld) await bucket.remove(LEADER_KEY, held.first);
      isHeld = false;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assertEquals(named, new Set([undefined]));
    await node.leave();
    await bucket.close();
  },
);
