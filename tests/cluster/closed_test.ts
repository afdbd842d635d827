import { assert, assertEquals, assertRejects } from "@std/assert";
import { Cluster } from "../../cluster/cluster.ts";
import { Election } from "../../cluster/election/election.ts";
import { Discovery } from "../../cluster/membership/discovery.ts";
import { isAetherError, StoreUnavailableError } from "../../store/errors.ts";
import { QUICK } from "./bed.ts";
import { natsTest } from "../support/fixture.ts";

/** Reads changes until they end; resolves with the error that ends them. */
async function endOf(changes: AsyncIterable<unknown>): Promise<unknown> {
  const read = async () => {
    for await (const _ of changes);
  };
  return await read().catch((error) => error);
}

natsTest(
  "a connection that closed for good ends all that it carried, and says so",
  async (scene) => {
    const { namespace, server } = scene;
    const connection = await scene.connect({ maxReconnectAttempts: 1, reconnectTimeWait: 10 });
    const errors: unknown[] = [];
    const options = { ...QUICK, nodeId: "a", onError: (error: unknown) => errors.push(error) };
    const cluster = await Cluster.join(connection, { ...options, namespace });
    const discovery = await Discovery.join(connection, { ...options, namespace: `${namespace}-2` });
    const election = await Election.open(connection, { nodeId: "a", namespace });
    const ended = Promise.all([cluster, discovery, election].map((it) => endOf(it.changes())));
    let coordinating: AbortSignal | undefined;
    discovery.onCoordinate((signal) => void (coordinating = signal));
    while (cluster.leader === undefined || !coordinating) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const send = cluster.send("a-1", null); // Nobody handles it: it waits.
    const sent = assertRejects(() => send, StoreUnavailableError);
    await server.kill();
    await connection.closed();
    for (const error of await ended) {
      assert(
        isAetherError(error, "StoreUnavailableError"),
        `${error}`,
      );
    }
    await sent;
    for (const { signal } of [cluster, discovery]) {
      assert(signal.aborted && isAetherError(signal.reason, "StoreUnavailableError"));
    }
    assertEquals([discovery.coordinates, cluster.describe().coordinates], [false, false]);
    assertEquals([coordinating.aborted, cluster.leader], [true, undefined]);
    assertEquals(errors.length, 2);
    await assertRejects(() => cluster.send("a-1", null), StoreUnavailableError);
    assert(isAetherError(await endOf(cluster.changes()), "StoreUnavailableError"));
    await cluster.leave();
    await discovery[Symbol.asyncDispose]();
    await election[Symbol.asyncDispose]();
  },
  { leakCheck: false },
); // There is no server any more.

natsTest(
  "a node whose connection has closed leaves nothing behind, though nobody calls leave()",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    const options = { ...QUICK, nodeId: "a", onError: () => {} };
    const cluster = await Cluster.join(connection, { ...options, namespace });
    cluster.handle(() => "handled");
    assertEquals(await cluster.send("a-1", null), "handled");
    await connection.close();
    // The active actor is gone once the node has ended by itself.
    while (cluster.describe().actors > 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await cluster.leave(); // Resolves when all of that has ended, and does nothing else.
  },
  { leakCheck: false }, // The server drops the consumers of a closed connection later.
);

natsTest("a connection that closes after its node has left tells nobody", async (scene) => {
  const connection = await scene.connect();
  const errors: unknown[] = [];
  const { namespace } = scene;
  const cluster = await Cluster.join(connection, {
    ...QUICK,
    namespace,
    nodeId: "a",
    onError: (error) => errors.push(error),
  });
  const changes = endOf(cluster.changes());
  await cluster.leave();
  assertEquals(await changes, undefined);
  await connection.close();
  assertEquals(errors, []);
  assert(!isAetherError(cluster.signal.reason));
});
