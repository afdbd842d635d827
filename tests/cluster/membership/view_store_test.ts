import { assertEquals } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import type { ViewStep } from "../../../cluster/membership/view.ts";
import { ViewStore } from "../../../cluster/membership/view_store.ts";
import { Bucket } from "../../../store/kv/bucket.ts";
import { natsTest } from "../../support/fixture.ts";

const join = (nodeId: string): ViewStep => ({
  type: "join",
  node: { nodeId, incarnation: "1", metadata: {}, capacity: 1 },
});

/** Holds a write back that is told to be lost, until the next one goes out, as servers without a quorum do. */
function detour(connection: NatsConnection) {
  let isArmed = false;
  let held: (() => void) | undefined;
  const publish: NatsConnection["publish"] = (subject, ...rest) => {
    if (subject.startsWith("$KV.")) {
      if (isArmed) {
        isArmed = false;
        held = () => connection.publish(subject, ...rest);
        return;
      }
      held?.();
      held = undefined;
    }
    connection.publish(subject, ...rest);
  };
  const own = new Proxy(connection, {
    get(target, name): unknown {
      if (name === "publish") return publish;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { connection: own, arm: () => isArmed = true };
}

natsTest(
  "a writer knows the view that is stored, if an earlier try of its was late",
  async (scene) => {
    const slow = detour(await scene.connect());
    const options = { bucket: scene.namespace, timeout: 5_000 };
    const bucket = await Bucket.open(slow.connection, options);
    const there = await Bucket.open(await scene.connect(), options);
    const store = new ViewStore(bucket, "writer-1");
    const other = new ViewStore(there, "writer-2");
    await store.write(() => [join("old"), join("y")]);
    let tries = 0;
    slow.arm();
    // What a coordinator knows by its second try: `y` has crashed.
    const view = await store.write(() => [
      join("a"),
      ...(++tries > 1
        ? [{ type: "depart", nodeId: "y", incarnation: "1", how: "crashed" } as ViewStep]
        : []),
    ]);
    assertEquals(tries, 2);
    assertEquals(view, await other.refresh());
    await bucket.close();
    await there.close();
  },
);
