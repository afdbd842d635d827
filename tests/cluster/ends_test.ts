import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import type { NatsConnection } from "@nats-io/transport-node";
import { Cluster } from "../../cluster/mod.ts";
import {
  InMemoryCheckpointStore,
  isAetherError,
  JetStreamEventStore,
  KvCheckpointStore,
  Projection,
  StreamConfigError,
} from "../../store/mod.ts";
import { fact } from "../support/fault.ts";
import { natsTest, type Scene } from "../support/fixture.ts";
import { QUICK } from "./bed.ts";

/** A connection that was closed leaves its consumers to the server, which drops them later. */
const CUT = { leakCheck: false };

/** The result of `work`, which is to end within `ms` ms. */
async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what} did not end in ${ms} ms`)), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

for (const kind of ["in memory", "in a bucket"]) {
  natsTest(
    `a closed connection ends run() and caughtUp, with checkpoints ${kind}`,
    async (scene) => {
      const { namespace } = scene;
      const connection = await scene.connect();
      await using store = await JetStreamEventStore.open(connection, { namespace });
      const checkpoints = kind === "in memory"
        ? new InMemoryCheckpointStore()
        : await KvCheckpointStore.open(connection, { namespace });
      await store.saveEvent(fact("a-1", 1));
      let isHeld = false;
      const held = Promise.withResolvers<void>();
      await using projection = new Projection({
        name: "p",
        store,
        checkpoints,
        handler: async () => {
          isHeld = true;
          await held.promise;
        },
        onError: () => {},
      });
      const running = projection.run();
      running.catch(() => {});
      const { caughtUp } = projection;
      while (!isHeld) await new Promise((resolve) => setTimeout(resolve, 5));
      await connection.close();
      held.resolve();
      const error = await assertRejects(() => within(3_000, "run()", running));
      assert(isAetherError(error, "StoreUnavailableError"), String(error));
      assertMatch(error.message, /closed/);
      // It has handled the event, or it never will in this process.
      await within(3_000, "caughtUp", caughtUp.catch(() => {}));
      await assertRejects(() => within(3_000, "run()", projection.run()));
      await within(3_000, "caughtUp", projection.caughtUp.catch(() => {}));
    },
    CUT,
  );
}

/** A connection on which the end of a subscription to what a node answers as `verb` fails. */
async function stubborn(scene: Scene, verb: string): Promise<NatsConnection> {
  const connection = await scene.connect();
  const subscribe = connection.subscribe.bind(connection);
  connection.subscribe = (subject, options) => {
    const subscription = subscribe(subject, options);
    if (!subject.endsWith(`.${verb}`)) return subscription;
    const unsubscribe = subscription.unsubscribe.bind(subscription);
    subscription.unsubscribe = () => {
      unsubscribe();
      throw new Error(`${verb} is stuck`);
    };
    return subscription;
  };
  return connection;
}

for (const verb of ["release", "command", "ping"]) {
  natsTest(`a node on which "${verb}" cannot be ended leaves all the same`, async (scene) => {
    const { namespace } = scene;
    const connection = await stubborn(scene, verb);
    const reported: string[] = [];
    const onError = (error: unknown) => reported.push((error as Error).message);
    const cluster = await Cluster.join(connection, { ...QUICK, namespace, onError });
    const failure = await cluster.leave().then(() => undefined, ({ message }) => message);
    // What the goodbye to the others fails with is reported.
    assertEquals([failure, ...reported].filter(Boolean), [`${verb} is stuck`]);
    assert(cluster.signal.aborted);
  });
}

natsTest("a node that cannot join tells why, and ends all that it has begun", async (scene) => {
  const { namespace } = scene;
  const connection = await stubborn(scene, "ping");
  await (await JetStreamEventStore.open(connection, { namespace, shards: 8 }))
    [Symbol.asyncDispose]();
  const reported: string[] = [];
  const onError = (error: unknown) => reported.push((error as Error).message);
  await assertRejects(
    () => Cluster.join(connection, { ...QUICK, namespace, onError, shards: 16 }),
    StreamConfigError,
  );
  assertEquals(reported, ["ping is stuck"]);
});

natsTest("a closed connection ends subscriptions and caughtUp of them", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, { namespace });
  await store.saveEvent(fact("a-1", 1));
  const live = store.subscribe();
  const reading = live[Symbol.asyncIterator]();
  await reading.next();
  const next = reading.next();
  await connection.close();
  await assertRejects(() => within(3_000, "the subscription", next));
  const late = store.subscribe();
  await assertRejects(() => within(3_000, "a late one", late[Symbol.asyncIterator]().next()));
  await assertRejects(() => within(3_000, "caughtUp", late.caughtUp));
}, CUT);

natsTest("a closed connection ends send(), to this node and to another", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  const other = await scene.connect();
  const cluster = await Cluster.join(connection, { namespace, nodeId: "a" });
  const second = await Cluster.join(other, { namespace, nodeId: "b" });
  const reached = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  let count = 0;
  const handler = async () => {
    if (++count === 4) reached.resolve();
    await held.promise;
  };
  cluster.handle(handler);
  second.handle(handler);
  const sends = ["a-1", "b-2", "c-3", "d-4"].map((actorId) =>
    cluster.send(actorId, 1).then(() => undefined, (error: unknown) => error)
  );
  await reached.promise;
  await connection.close();
  held.resolve();
  const errors = await within(3_000, "send()", Promise.all(sends));
  for (const error of errors) {
    // One that was handled here has its reply.
    const isTold = error === undefined || isAetherError(error, "CommandOutcomeUnknownError") ||
      isAetherError(error, "StoreUnavailableError");
    assert(isTold, String(error));
  }
  const late = await assertRejects(() => within(3_000, "send()", cluster.send("e-5", 1)));
  assert(isAetherError(late, "StoreUnavailableError"), String(late));
  await within(5_000, "leave()", cluster.leave());
  await second.leave();
}, CUT);

natsTest(
  "leave() keeps its leaveTimeout on a frozen server with a save under way",
  async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    const leaveTimeout = 2_000;
    const cluster = await Cluster.join(connection, { namespace, nodeId: "a", leaveTimeout });
    cluster.handle(async (_command, { actorId, store }) => {
      await store.saveEvent(fact(actorId, await store.getLatestVersion(actorId) + 1));
    });
    await cluster.send("a-1", 1);
    scene.server.pause();
    const sending = cluster.send("a-1", 2).catch(() => {});
    const start = performance.now();
    await cluster.leave();
    const ms = performance.now() - start;
    scene.server.resume();
    assert(ms < leaveTimeout + 500, `It took ${ms} ms`);
    await connection.close();
    await within(3_000, "send()", sending);
  },
  CUT,
);

const RIGHTS = `authorization { users: [
  { user: root, password: p }
  { user: deaf, password: p, permissions: { publish: ">", subscribe: { deny: ["SUBJECTS"] } } }
] }`;

for (const verb of ["command", "release", "status", "ping"]) {
  const config = RIGHTS.replace("SUBJECTS", `aether-cluster.*.node.*.*.${verb}`);
  natsTest(`join() is refused without the right to hear "${verb}"`, async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect({ user: "deaf", pass: "p" });
    const start = performance.now();
    const error = await assertRejects(() => Cluster.join(connection, { namespace, nodeId: "a" }));
    const ms = performance.now() - start;
    assert(isAetherError(error, "StoreRefusedError"), String(error));
    assertMatch(error.message, /Cannot join/);
    assert(ms < 2_000, `It took ${ms} ms`);
    // It is no member, and another one by its name is welcome.
    const root = await scene.connect({ user: "root", pass: "p" });
    const cluster = await Cluster.join(root, { namespace, nodeId: "a" });
    assertEquals(cluster.view.members.length, 1);
    await cluster.leave();
  }, { server: { config } });
}
