/**
 * Hooks of a cluster, which are called on a server alone. One node lives through all that they do.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  Cluster,
  type ClusterOptions,
  type CommandHandler,
  isAetherError,
  type ReplyToDuplicate,
} from "../../mod.ts";
import {
  type Clock,
  Discovery,
  type DiscoveryOptions,
  Election,
  type Leader,
} from "../../cluster/mod.ts";
import { appendEvents } from "../../store/append.ts";
import { called } from "../../store/base/abort.ts";
import { QUICK, settled } from "../cluster/bed.ts";
import { type Act, acts } from "../support/acts.ts";
import { natsTest, type Scene } from "../support/fixture.ts";
import { nastyValues, spoil } from "../support/nasty.ts";
import { fact, failureOf } from "./bed.ts";

/** Runs `work` for one act after another, with the console silent; names the act that fails. */
async function inTurn(work: (act: Act) => Promise<void>): Promise<void> {
  const { warn, error } = console;
  console.warn = console.error = () => {};
  try {
    for (const act of acts()) {
      try {
        await work(act);
      } catch (cause) {
        throw new Error(`It does not hold when the function ${act.name}`, { cause });
      }
    }
  } finally {
    Object.assign(console, { warn, error });
  }
}

/** Resolves when `reached`; each wait is for a hook that is called many times a second. */
async function until(reached: () => boolean, what: string): Promise<void> {
  for (const deadline = performance.now() + 15_000; !reached();) {
    assert(performance.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Ends within `ms`, whatever hangs. */
async function within<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} takes over ${ms} ms`)), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function joined(scene: Scene, options: ClusterOptions): Promise<Cluster> {
  const { namespace } = scene;
  return await Cluster.join(await scene.connect(), { ...QUICK, namespace, ...options });
}

async function found(scene: Scene, options: DiscoveryOptions): Promise<Discovery> {
  const { namespace } = scene;
  const quick = { ...QUICK, heartbeat: 40, ping: 40 };
  return await Discovery.join(await scene.connect(), { ...quick, namespace, ...options });
}

natsTest("Whatever a CommandHandler does stays with its command", async (scene) => {
  let handle: CommandHandler = () => "fine";
  const node = await joined(scene, { nodeId: "node", leaveTimeout: 2_000, onError: () => {} });
  node.handle((command, context) => handle(command, context));
  const sender = await joined(scene, { nodeId: "sender", capacity: 0 });
  await settled(node);
  await inTurn(async (act) => {
    const command = { n: 1, list: [{ a: 1 }] };
    for (const [at, from] of [node, sender].entries()) {
      const actorId = `a-${act.name.length % 7}-${at}`;
      handle = (command, context) => act.do(command, context);
      // A handler that hangs holds its actor, as the contract says.
      const own = act.kind === "hangs" ? `hangs-${at}` : actorId;
      const timeout = act.kind === "hangs" ? 200 : 10_000;
      const failure = await failureOf(from.send(own, command, { timeout }), true);
      if (act.kind === "hangs") {
        assert(isAetherError(failure!.error, "CommandOutcomeUnknownError"));
      } else if (act.kind === "throws" || act.kind === "rejects") {
        assert(isAetherError(failure!.error, "CommandFailedError"), String(failure?.error));
      } else {
        assert(failure === undefined || isAetherError(failure.error, "CommandFailedError"));
      }
      assertEquals(command, { n: 1, list: [{ a: 1 }] }, "The caller's command");
      handle = () => "fine";
      assertEquals(await from.send(actorId, command), "fine");
    }
  });
  assertEquals(node.view.members.length, 2);
  await sender.leave();
  await within(4_000, node.leave(), "leave(), while two handlers hang,");
});

natsTest("A handler may change its events while they are saved, and its store", async (scene) => {
  const node = await joined(scene, { nodeId: "node" });
  node.handle(async (_command, { actorId, store }) => {
    const event = fact(await store.getLatestVersion(actorId) + 1, "T", actorId);
    const events = [event];
    const saving = store.saveEvents(events);
    spoil(event);
    events.length = 0;
    spoil(store);
    return (await saving).duplicate;
  }, { onDuplicate: (events) => events.map(({ data }) => data) });
  await settled(node);
  for (const commandId of ["1", "2"]) {
    assertEquals(await node.send("a-1", {}, { commandId }), false);
    assertEquals(await node.send("a-1", {}, { commandId }), false);
  }
  await node.leave();
});

natsTest("Whatever a ReplyToDuplicate does stays with its command", async (scene) => {
  let reply: ReplyToDuplicate = () => undefined;
  const node = await joined(scene, { nodeId: "node", maxActors: 1, leaveTimeout: 2_000 });
  const handler: CommandHandler = async (_command, { actorId, store }) => {
    const version = await store.getLatestVersion(actorId);
    const data = { list: [{ a: 1 }] };
    await appendEvents(store, actorId, version, [{ eventType: "Saved", data }]);
    return "saved";
  };
  node.handle(handler, { onDuplicate: (events, context) => reply(events, context) });
  await settled(node);
  let at = 0;
  await inTurn(async (act) => {
    const [actorId, commandId] = [`a-${at++}`, `c-${at}`];
    assertEquals(await node.send(actorId, {}, { commandId }), "saved");
    reply = (events, context) => act.do(events, context);
    const timeout = act.kind === "hangs" ? 200 : 10_000;
    // Other actors take its place in between: it is read again.
    await node.send(`b-${at}`, {});
    const again = await failureOf(node.send(actorId, {}, { commandId, timeout }), true);
    if (act.kind === "hangs") {
      assert(isAetherError(again!.error, "CommandOutcomeUnknownError"));
      return;
    }
    assert(again === undefined || isAetherError(again.error, "CommandFailedError"));
    reply = (events) => events.map(({ data }) => data);
    await node.send(`b-${at}`, {});
    assertEquals(await node.send(actorId, {}, { commandId }), [{ list: [{ a: 1 }] }]);
  });
  await within(4_000, node.leave(), "leave(), while a reply hangs,");
});

natsTest(
  "Whatever load() and onError of a cluster do, its node remains a member",
  async (scene) => {
    let act: Act | undefined;
    let calls = 0;
    const hook = (...args: unknown[]) => {
      calls++;
      return act?.do(...args) as never;
    };
    const sender = await joined(scene, { nodeId: "sender", capacity: 0 });
    const node = await joined(scene, {
      ...{ nodeId: "node", heartbeat: 50, load: hook, onError: hook },
    });
    node.handle(() => "fine");
    await settled(node);
    await inTurn(async (next) => {
      act = next;
      const before = calls;
      await until(() => calls > before, "load() is called with each heartbeat");
    });
    act = undefined;
    assertEquals(await sender.send("a-1", {}), "fine");
    assertEquals(sender.view.members.map(({ nodeId }) => nodeId), ["sender", "node"]);
    await within(4_000, node.leave(), "leave()");
    await sender.leave();
  },
);

natsTest(
  "Whatever load() and onError of Discovery do, the node remains a member",
  async (scene) => {
    let act: Act | undefined;
    let calls = 0;
    const hook = (...args: unknown[]) => {
      calls++;
      return act?.do(...args) as never;
    };
    const other = await found(scene, { nodeId: "other" });
    const node = await found(scene, { nodeId: "node", load: hook, onError: hook });
    const { incarnation } = node;
    await inTurn(async (next) => {
      act = next;
      const before = calls;
      await until(() => calls > before, "load() is called with each heartbeat");
    });
    assertEquals(other.view.members.map(({ nodeId }) => nodeId), ["other", "node"]);
    assertEquals([node.incarnation, node.validFor > 0], [incarnation, true]);
    await within(4_000, node.leave(), "leave()");
    await other.leave();
  },
);

natsTest("Whatever a RoleWork does, its node coordinates and leaves", async (scene) => {
  const node = await found(scene, { nodeId: "node", onError: () => {} });
  const ran: string[] = [];
  await inTurn(async (act) => {
    let calls = 0;
    node.onCoordinate((signal) => {
      calls++;
      return act.do(signal) as void;
    });
    await until(() => calls > 0, "it runs at once");
    const stop = node.onCoordinate(() => void ran.push(act.name));
    await until(() => ran.at(-1) === act.name, "the next work runs");
    stop();
  });
  const other = await found(scene, { nodeId: "other" });
  assertEquals(node.view.members.length, 2);
  // One of them never ends.
  await within(4_000, node.leave(), "leave()");
  await until(() => other.view.coordinator === "other", "the other one coordinates");
  await other.leave();
});

natsTest("Whatever a Leadership yields, nodes agree on members and leave", async (scene) => {
  const all = acts();
  let calls = 0;
  const node = await found(scene, {
    nodeId: "node",
    onError: () => {},
    leadership: {
      changes: (options) => {
        const act = all[calls++ % all.length]!;
        if (calls % 2 === 0) return act.do(options) as AsyncIterable<Leader>;
        let next = 0;
        return {
          [Symbol.asyncIterator]: () => ({
            next: () => {
              const value = next++ === 0 ? act.do() : undefined;
              // Every third one is no result at all.
              if (calls % 3 === 0) return value as Promise<IteratorResult<Leader>>;
              return Promise.resolve({ done: next > 1, value: value as Leader });
            },
          }),
        };
      },
    },
  });
  await until(() => calls > 5, "it is asked again after an error");
  const hanging = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) };
  const other = await found(scene, { nodeId: "other", leadership: { changes: () => hanging } });
  assertEquals(node.view.members.length, 2);
  await within(4_000, node.leave(), "leave()");
  await within(4_000, other.leave(), "leave()");
});

for (const method of ["monotonic", "wall"] as const) {
  natsTest(
    `Whatever Clock.${method}() does, nobody believes in a lease too long`,
    async (scene) => {
      const sound: Clock = { monotonic: () => performance.now(), wall: () => Date.now() };
      let act: Act | undefined;
      const clock: Clock = {
        ...sound,
        [method]: () => act === undefined ? sound[method]() : act.do() as number,
      };
      const { namespace } = scene;
      const timings = { namespace, lease: 2_000, renew: 300, margin: 100 };
      const connection = await scene.connect();
      await using election = await Election.open(connection, { ...timings, nodeId: "a", clock });
      await using other = await Election.open(await scene.connect(), { ...timings, nodeId: "b" });
      const node = await found(scene, { nodeId: "node", clock, onError: () => {} });
      await inTurn(async (next) => {
        const lease = await election.campaign();
        act = next;
        try {
          if (typeof (next.kind === "gives" && next.do()) !== "number") {
            assertEquals([lease.validFor, node.validFor], [0, 0]);
          }
          const problem = await failureOf(called(() => lease.assertValid()), true);
          assert(problem === undefined || isAetherError(problem.error, "LeaseLostError"));
          await lease.resign();
        } finally {
          act = undefined;
        }
        assertEquals((await election.leader())?.nodeId, undefined);
      });
      // A candidate whose clock fails does not take another one's lease.
      const held = await other.campaign();
      [act] = acts();
      const taking = await failureOf(election.campaign({ signal: AbortSignal.timeout(1_000) }));
      assert(!isAetherError(taking!.error) && held.validFor > 0);
      act = undefined;
      await held.resign();
      await until(() => node.validFor > 0, "the heartbeat is believed in again");
      await node.leave();
    },
  );
}

natsTest("Metadata may be anything: it is refused, or all nodes read it", async (scene) => {
  const other = await found(scene, { nodeId: "other" });
  const values = nastyValues().flatMap(([, make]) => [make(), { value: make() }]);
  const nodes: Discovery[] = [];
  await Promise.allSettled(values.map(async (metadata, at) => {
    const options = { nodeId: `node-${at}`, metadata: metadata as Record<string, string> };
    nodes.push(await found(scene, options));
  }));
  assert(nodes.length > 0 && nodes.length < values.length, `${nodes.length} have joined`);
  const ids = nodes.map(({ nodeId }) => nodeId).toSorted();
  const seen = () => other.view.members.map(({ nodeId }) => nodeId).slice(1).toSorted();
  await until(() => seen().length === ids.length, "all that have joined are members");
  assertEquals(seen(), ids);
  await Promise.all(nodes.map((node) => node.leave()));
  await other.leave();
});
