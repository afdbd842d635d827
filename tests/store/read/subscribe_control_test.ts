import { assert, assertRejects } from "@std/assert";
import type { NatsConnection, SubscriptionOptions } from "@nats-io/transport-node";
import {
  type EventSubscription,
  type EventSubscriptionOptions,
  InMemoryEventStore,
  JetStreamEventStore,
  type RecordedEvent,
} from "../../../store/mod.ts";
import { turns } from "../../../testing/event_store/kit.ts";
import { eventSubscriptionSuite } from "../../../testing/event_subscription/suite.ts";
import { fact, storedIn } from "../../support/fault.ts";
import { natsTest, nextStatus, type Scene } from "../../support/fixture.ts";
import type { Proxy as Between } from "../../support/proxy.ts";
import { consumersAre, Watch } from "../../support/watch.ts";

/** `connection`, where consumers are made with what `change` makes of their configuration. */
function misplacing(
  connection: NatsConnection,
  change: (config: Record<string, unknown>) => void,
): NatsConnection {
  return replaced(connection, "publish", (subject: string, payload: string, options: unknown) => {
    if (subject.startsWith("$JS.API.CONSUMER.CREATE.")) {
      const query = JSON.parse(payload);
      change(query.config);
      payload = JSON.stringify(query);
    }
    connection.publish(subject, payload, options as never);
  });
}

/** `connection` with the deliveries of consumers counted again: a loss leaves no gap. */
function recounting(connection: NatsConnection): NatsConnection {
  const counts = new Map<string, number>();
  return replaced(connection, "subscribe", (subject: string, options: SubscriptionOptions) => {
    const { callback = () => {} } = options;
    return connection.subscribe(subject, {
      ...options,
      callback(error, message) {
        const tokens = message?.reply?.split(".") ?? [];
        if (tokens[1] !== "ACK") {
          if (message?.headers?.code !== 100) callback(error, message);
          return;
        }
        const count = (counts.get(tokens[3]!) ?? 0) + 1;
        counts.set(tokens[3]!, count);
        tokens[6] = String(count);
        callback(error, replaced(message, "reply", tokens.join(".")));
      },
    });
  });
}

/** `target` with another value under one name. */
function replaced<T extends object>(target: T, name: string, value: unknown): T {
  return new Proxy(target, {
    get(target, key) {
      if (key === name) return value;
      const own: unknown = Reflect.get(target, key, target);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
}

/** The target of a test's harm. */
interface Bed {
  readonly proxy: Between;
  /** The subscription's connection, through the proxy. */
  readonly connection: NatsConnection;
  /** Another one, past it. */
  readonly operator: NatsConnection;
  readonly stream: string;
}

/** Three events: the first is seen before the harm, the second saved in it, the third after it. */
async function throughHarm(
  scene: Scene,
  tamper: (connection: NatsConnection) => NatsConnection,
  harm: (bed: Bed, save: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const { namespace } = scene;
  const options = { namespace, timeout: 1_000 };
  await using store = await JetStreamEventStore.open(tamper(connection), options);
  const operator = await scene.connect();
  await using writer = await JetStreamEventStore.open(operator, options);
  await writer.saveEvent(fact("order-1", 1));
  const watch = new Watch(store.subscribe());
  await watch.further(1);
  const { stream } = store;
  await harm({ proxy, connection, operator, stream }, () => writer.saveEvent(fact("order-1", 2)));
  await writer.saveEvent(fact("order-1", 3));
  await watch.assertSaw(await storedIn(operator, stream));
}

/** One of three events is saved while the connection is away. */
function awayForOne(
  scene: Scene,
  tamper: (connection: NatsConnection) => NatsConnection,
): Promise<void> {
  return throughHarm(scene, tamper, async ({ proxy, connection, operator, stream }, save) => {
    const before = await consumersAre(operator, stream, ({ length }) => length === 1);
    const reconnected = nextStatus(connection, "reconnect");
    proxy.refusing = true;
    proxy.cut();
    await save();
    proxy.refusing = false;
    await reconnected;
    await consumersAre(operator, stream, ([name]) => name !== undefined && name !== before[0]);
  });
}

/** One of three events is lost on its way. */
function oneLost(
  scene: Scene,
  tamper: (connection: NatsConnection) => NatsConnection,
): Promise<void> {
  return throughHarm(scene, tamper, async ({ proxy }, save) => {
    const meal = proxy.eatFromServer((frame) => (frame.replyTo ?? "").startsWith("$JS.ACK."), 1);
    await save();
    await meal.done;
  });
}

natsTest("An event saved while the connection is away comes once", async (scene) => {
  await awayForOne(scene, (connection) => connection);
});

natsTest(
  "Control: a subscription that goes on with what is new has a gap, which is noticed",
  async (scene) => {
    let consumers = 0;
    const tamper = (connection: NatsConnection) =>
      misplacing(connection, (config) => {
        if (consumers++ === 0) return;
        config.deliver_policy = "new";
        delete config.opt_start_seq;
      });
    await assertRejects(() => awayForOne(scene, tamper), Error, "events between them are lost");
  },
);

natsTest("A consumer that begins earlier than it should repeats nothing", async (scene) => {
  let moved = 0;
  await awayForOne(scene, (connection) =>
    misplacing(connection, (config) => {
      if (config.opt_start_seq === 1) return;
      config.opt_start_seq = 1;
      moved++;
    }));
  assert(moved > 0, "A consumer began earlier");
});

natsTest("An event lost on its way comes once", async (scene) => {
  await oneLost(scene, (connection) => connection);
});

natsTest(
  "Control: a subscription that does not count has a gap, which is noticed",
  async (scene) => {
    await assertRejects(() => oneLost(scene, recounting), Error, "events between them are lost");
  },
);

/** A store in memory whose subscriptions are what `spoil` makes of them. */
class Spoiled extends InMemoryEventStore {
  readonly #spoil: (events: AsyncIterable<RecordedEvent>) => AsyncGenerator<RecordedEvent>;

  constructor(spoil: (events: AsyncIterable<RecordedEvent>) => AsyncGenerator<RecordedEvent>) {
    super();
    this.#spoil = spoil;
  }

  override subscribe(options?: EventSubscriptionOptions): EventSubscription<never> {
    const subscription = super.subscribe(options);
    const events = this.#spoil(subscription);
    return replaced(subscription, Symbol.asyncIterator as never, () => events) as never;
  }
}

/** A subscription with one promise broken must fail the tests of that promise. */
function control(
  broken: string,
  spoil: (events: AsyncIterable<RecordedEvent>) => AsyncGenerator<RecordedEvent>,
  caughtBy: readonly string[],
): void {
  Deno.test(`the suite catches a subscription that ${broken}`, async () => {
    const tests = new Map<string, () => Promise<void>>();
    eventSubscriptionSuite({
      test: (name, run) => void tests.set(name, run),
      create: () => new Spoiled(spoil),
      capabilities: { reopen: false },
    });
    for (const name of caughtBy) {
      const run = tests.get(name);
      assert(run !== undefined, `there is no test "${name}"`);
      const failure = await run().then(() => undefined, (error: unknown) => error);
      await turns();
      assert(failure instanceof Error, `"${name}" passes`);
    }
  });
}

control("repeats an event", async function* (events) {
  let count = 0;
  for await (const event of events) {
    yield event;
    if (++count === 2) yield event;
  }
}, [
  "subscribe() replays stored events, then goes on with new ones",
  "events saved while a subscription replays come once, in order",
  "the events of a batch come whole and side by side",
]);

control("changes the order", async function* (events) {
  let held: RecordedEvent | undefined;
  for await (const event of events) {
    if (held === undefined) {
      held = event;
      continue;
    }
    yield event;
    yield held;
    held = undefined;
  }
}, ["events saved while a subscription replays come once, in order"]);

control("throws at its end", async function* (events) {
  yield* events;
  throw new Error("the end");
}, [
  "a subscription ends quietly on its signal, at any time",
  "disposal of the store ends its subscriptions",
]);

control("hides errors", async function* (events) {
  try {
    yield* events;
  } catch {
    // No report is made.
  }
}, [
  "a start beyond the end is StreamRegressedError",
  "subscribe() never throws; the iteration refuses impossible options",
  "an event that cannot be read ends the iteration at its place",
]);

control("leaves out the sequence", async function* (events) {
  for await (const { sequence: _, ...event } of events) yield event as RecordedEvent;
}, ["subscribe() replays stored events, then goes on with new ones"]);

control("loses metadata", async function* (events) {
  for await (const { metadata: _, ...event } of events) yield event;
}, ["subscribe() replays stored events, then goes on with new ones"]);
