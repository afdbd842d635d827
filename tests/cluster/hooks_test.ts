import { assert, assertEquals, assertRejects } from "@std/assert";
import { stub } from "@std/testing/mock";
import { Cluster } from "../../cluster/cluster.ts";
import { Discovery } from "../../cluster/membership/discovery.ts";
import type { Leader } from "../../cluster/election/leader_key.ts";
import { appendEvents } from "../../store/append.ts";
import { CommandFailedError } from "../../store/errors.ts";
import { QUICK, settled } from "./bed.ts";
import { natsTest } from "../support/fixture.ts";
import { nastyValues } from "../support/nasty.ts";

/** What a function of the user's may do instead of what it should. */
const FAULTS: readonly ((value: unknown) => unknown)[] = [
  (value) => {
    throw value;
  },
  (value) => Promise.reject(value),
  (value) => value,
];

natsTest("whatever load, onError and leadership do, a node remains a member", async (scene) => {
  using _printed = stub(console, "warn");
  const { namespace } = scene;
  const quick = { ...QUICK, namespace, heartbeat: 100 };
  const other = await Discovery.join(await scene.connect(), { ...quick, nodeId: "other" });
  const faults = nastyValues().flatMap(([, make]) => FAULTS.map((fault) => () => fault(make())));
  let calls = 0;
  const next = () => faults[calls++ % faults.length]!() as never;
  const connection = await scene.connect();
  const discovery = await Discovery.join(connection, {
    ...quick,
    ping: 60,
    nodeId: "nasty",
    load: next,
    onError: next,
    leadership: {
      changes: async function* (): AsyncGenerator<Leader | undefined, void> {
        yield null as unknown as Leader;
        await new Promise((resolve) => setTimeout(resolve, 20));
        await next();
      },
    },
  });
  const stop = discovery.onCoordinate(() => next());
  const { incarnation } = discovery;
  while (calls < 2 * faults.length) await new Promise((resolve) => setTimeout(resolve, 20));
  await connection.flush();
  assertEquals(other.view.members.map(({ nodeId }) => nodeId), ["other", "nasty"]);
  assertEquals([discovery.incarnation, discovery.validFor > 0], [incarnation, true]);
  stop();
  await discovery.leave();
  await other.leave();
});

natsTest("the errors of a load are reported, and the others see no load", async (scene) => {
  const { namespace } = scene;
  const errors: unknown[] = [];
  const gauge = new Error("no gauge");
  let load: () => number = () => 7;
  const discovery = await Discovery.join(await scene.connect(), {
    ...QUICK,
    namespace,
    nodeId: "a",
    heartbeat: 50,
    load: () => load(),
    onError: (error) => errors.push(error),
  });
  const loadIs = async (expected: number | undefined) => {
    while ((await discovery.loads()).get("a") !== expected) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  await loadIs(7);
  load = () => {
    throw gauge;
  };
  await loadIs(undefined);
  load = () => NaN;
  while (errors.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(errors[0], gauge);
  assert(errors[1] instanceof TypeError && errors[1].message.endsWith("load() gave NaN"));
  load = () => 8;
  await loadIs(8);
  assertEquals(errors.length, 2);
  await discovery.leave();
});

natsTest("whatever handlers do, each command has an answer and the node goes on", async (scene) => {
  using _printed = stub(console, "warn");
  const { namespace } = scene;
  const [own, far] = await Promise.all([scene.connect(), scene.connect()]);
  let fault: () => unknown = () => {};
  const nasty = () => fault() as never;
  const node = await Cluster.join(own, {
    ...QUICK,
    maxActors: 1,
    ...{ namespace, nodeId: "node", load: nasty, onError: nasty, onDeposed: nasty },
  });
  node.handle(async (command, { actorId, store }) => {
    if (command === "save") {
      const version = await store.getLatestVersion(actorId);
      await appendEvents(store, actorId, version, [{ eventType: "Saved", data: null }]);
    }
    return await fault();
  }, { onDuplicate: nasty });
  const sender = await Cluster.join(far, { ...QUICK, namespace, nodeId: "sender", capacity: 0 });
  await settled(node);
  for (const [name, make] of nastyValues()) {
    for (const [at, each] of FAULTS.entries()) {
      fault = () => each(make());
      for (const from of [node, sender]) {
        for (const command of ["read", "save"]) {
          const commandId = `${name} ${at} ${from.nodeId} ${command}`;
          // The node has forgotten the actor when the command comes again.
          for (const actorId of ["a-1", "b-1", "a-1"]) {
            const reply = from.send(actorId, command, { commandId, timeout: 5_000 });
            if (at < 2) await assertRejects(() => reply, CommandFailedError, "", commandId);
            else await reply.catch((error) => assert(error instanceof CommandFailedError, error));
          }
        }
      }
    }
  }
  fault = () => "fine";
  assertEquals(await sender.send("a-1", "read"), "fine");
  assertEquals(node.view.members.length, 2);
  await sender.leave();
  await node.leave();
});
