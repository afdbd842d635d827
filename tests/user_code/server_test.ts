/**
 * Hooks that are called on a server alone.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { isAetherError, NatsEventBus } from "../../mod.ts";
import { acts, eachAct } from "../support/acts.ts";
import { natsTest } from "../support/fixture.ts";
import { claimAll, nodeOf } from "../store/fencing/bed.ts";
import { assertStored, DATA, fact, failureOf } from "./bed.ts";

natsTest("Whatever onReconnect does stays with it", async (scene) => {
  await eachAct(acts().filter((_, at) => at % 9 === 0), async (act) => {
    const connection = await scene.connect();
    const called = Promise.withResolvers<void>();
    await using bus = new NatsEventBus(connection, {
      onReconnect: (report) => {
        called.resolve();
        return act.do(report) as void;
      },
    });
    const subscription = bus.subscribe("orders");
    await subscription.ready;
    await connection.reconnect();
    await called.promise;
    await bus.publish("orders", fact());
    for await (const event of subscription) {
      assertEquals(event.data, DATA);
      break;
    }
  });
});

natsTest("Whatever onDeposed does stays with it", async (scene) => {
  await eachAct(acts().filter((act, at) => at % 9 === 0 || act.kind === "spoils"), async (act) => {
    const namespace = `${scene.namespace}-${crypto.randomUUID()}`;
    const deposed: number[] = [];
    const onDeposed = (shard: number, error: unknown) => {
      deposed.push(shard);
      return act.do(shard, error) as void;
    };
    await using a = await nodeOf(scene, "a", { namespace, onDeposed });
    await using b = await nodeOf(scene, "b", { namespace });
    await claimAll(a, 1);
    await a.store.saveEvent(fact(1));
    await claimAll(b, 2);
    const shard = a.store.shardOf("a-1");
    for (const version of [2, 2, 3]) {
      const { error } = (await failureOf(a.store.saveEvent(fact(version))))!;
      assert(isAetherError(error, "FencedError"));
      assertEquals([error.shard, error.holder?.nodeId, error.holder?.mapVersion], [shard, "b", 2]);
    }
    assertEquals(deposed.filter((it) => it === shard), [shard], "Called once for a shard");
    await b.store.saveEvent(fact(2));
    await assertStored(b.store, [1, 2]);
    // It can own the shard again.
    await a.store.claim(shard, 3);
    await a.store.saveEvent(fact(3));
    await assertStored(a.store, [1, 2, 3]);
  });
});
