/**
 * Options of a call hold as they are at the call, whatever the caller does with its objects afterwards:
 * it may fill them in for the next call.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { Cluster, Discovery, Election, FencedEventStore } from "../cluster/mod.ts";
import { inspector } from "../inspector/mod.ts";
import {
  AetherError,
  appendEvents,
  CommandFailedError,
  createEvent,
  type Event,
  execute,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  InMemorySnapshotStore,
  JetStreamEventStore,
  JetStreamSnapshotStore,
  KvCheckpointStore,
  KvKeyStore,
  LocalEventBus,
  ProcessManager,
  Projection,
  ProjectionLeases,
  Reactor,
  rehydrate,
  verify,
} from "../mod.ts";
import { bucketToken } from "../store/kv/bucket.ts";
import { QUICK } from "./cluster/bed.ts";
import { place, Run, Stock, until } from "./store/process/bed.ts";
import { natsTest } from "./support/fixture.ts";

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** JSON that counts what it encodes. */
class CountingCodec<T> {
  encoded = 0;

  encode(value: T): Uint8Array {
    this.encoded++;
    return new TextEncoder().encode(JSON.stringify(value));
  }

  decode(bytes: Uint8Array): T {
    return JSON.parse(new TextDecoder().decode(bytes));
  }
}

natsTest("a store is the one that open() was called for", async (scene) => {
  const connection = await scene.connect();
  const published: string[] = [];
  const codec = new CountingCodec<Event>();
  const options = {
    namespace: "first",
    codec,
    broadcaster: { publish: (namespace: string) => void published.push(namespace) },
  };
  const opening = JetStreamEventStore.open(connection, options);
  Object.assign(options, { namespace: "second", codec: new CountingCodec(), broadcaster: {} });
  await using store = await opening;
  await place(store, "order-1");
  assertEquals([store.namespace, store.stream], ["first", "AETHER_first"]);
  assertEquals([published, codec.encoded], [["first"], 1]);
});

natsTest(
  "options may be an instance of a class, whose getters and methods count",
  async (scene) => {
    class Settings {
      readonly #namespace: string = scene.namespace;
      readonly from = "start" as const;
      readonly filter = { category: "order" };
      readonly name: string = "greeter";
      readonly checkpoints = new InMemoryCheckpointStore();
      readonly errors: unknown[] = [];
      #reacted = 0;
      get namespace(): string {
        return this.#namespace;
      }
      get reacted(): number {
        return this.#reacted;
      }
      react() {
        this.#reacted++;
        return [];
      }
      onError(error: unknown) {
        this.errors.push(error);
      }
    }
    class Late extends Settings {
      readonly store: JetStreamEventStore;
      constructor(store: JetStreamEventStore) {
        super();
        this.store = store;
      }
    }
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, new Settings());
    assertEquals(store.namespace, scene.namespace);
    await place(store, "order-1");
    const late = new Late(store);
    await using reactor = new Reactor(late);
    await using _run = new Run(reactor);
    await reactor.caughtUp;
    assertEquals([late.reacted, late.errors], [1, []]);
  },
);

Deno.test("what a projection and a manager call may be methods of their options' class", async () => {
  class Settings {
    readonly name = "counts";
    readonly store = new InMemoryEventStore();
    readonly checkpoints = new InMemoryCheckpointStore();
    readonly retry = { attempts: 2, delay: 1 };
    readonly from = "start" as const;
    readonly filter = { category: "order" };
    readonly calls: string[] = [];
    handler(): void {
      this.calls.push("handler");
      if (this.calls.length === 1) throw new Error("once");
    }
    onError(): void {
      this.calls.push("onError");
    }
    onSwitch(): void {
      this.calls.push("onSwitch");
    }
    send(actorId: string): Promise<void> {
      this.calls.push(actorId);
      const failure = { name: "Error", message: "no" };
      return Promise.reject(new CommandFailedError("c", actorId, "node", failure));
    }
    readonly process = {
      name: "counting",
      correlate: () => "1",
      initialState: () => null,
      evolve: () => null,
      react: (_state: unknown, input: object) =>
        "kind" in input
          ? { done: true }
          : { commands: [{ actorId: "away-1", command: 1 }], effects: [{ name: "e", input: 1 }] },
    };
    readonly effects = [new Counted(this.calls)];
  }
  class Counted {
    readonly name = "e";
    readonly retry = { attempts: 1, delay: 1, maxDelay: 1 };
    readonly #calls: string[];
    constructor(calls: string[]) {
      this.#calls = calls;
    }
    run(): Promise<unknown> {
      this.#calls.push("effect");
      return Promise.reject(new Error("none"));
    }
  }
  const options = new Settings();
  await using _store = options.store;
  await place(options.store, "order-1");
  {
    await using projection = new Projection(options);
    await using _run = new Run(projection);
    await projection.caughtUp;
    assertEquals(options.calls, ["handler", "onError", "handler"]);
    await projection.rebuild();
    assertEquals(options.calls.slice(3), ["handler", "onSwitch"]);
  }
  options.calls.length = 0;
  await using manager = new ProcessManager(options);
  await using _run = new Run(manager);
  await until(() => new Set(options.calls).size === 3);
  assertEquals([...new Set(options.calls)].sort(), ["away-1", "effect", "onError"]);
});

natsTest(
  "options that getters of a class give are read wherever something is opened",
  async (scene) => {
    class Impossible {
      get timeout(): number {
        return NaN;
      }
    }
    const connection = await scene.connect();
    for (const open of [KvCheckpointStore.open, ProjectionLeases.open, KvKeyStore.open]) {
      await assertRejects(async () => await open(connection, new Impossible()), RangeError);
    }
    const cluster = await Cluster.join(connection, { ...QUICK, namespace: scene.namespace });
    await assertRejects(() => cluster.send("a-1", null, new Impossible()), RangeError, "timeout");
    class Hasty {
      get timeout(): number {
        return 100;
      }
    }
    // There is no handler: the command waits for one, and the default is longer than this test.
    await assertRejects(() => cluster.send("a-1", null, new Hasty()), AetherError);
    class Duplicates {
      readonly #text = "again";
      onDuplicate(): string {
        return this.#text;
      }
    }
    cluster.handle(async (_command, { actorId, store }) => {
      await appendEvents(store, actorId, 0, [{ eventType: "Handled", data: null }]);
    }, new Duplicates());
    const commandId = crypto.randomUUID();
    assertEquals(await cluster.send("a-1", null, { commandId }), undefined);
    await cluster.leave();
    const other = await Cluster.join(connection, { ...QUICK, namespace: scene.namespace });
    other.handle(() => "handled twice", new Duplicates());
    assertEquals(await other.send("a-1", null, { commandId }), "again");
    await other.leave();
  },
);

Deno.test("hooks of a bus may be methods of its options' class", async () => {
  class Settings {
    readonly calls: string[] = [];
    readonly capacity = 1;
    onDrop(): void {
      this.calls.push("onDrop");
    }
    onError(): void {
      this.calls.push("onError");
    }
  }
  const [shared, own] = [new Settings(), new Settings()];
  await using bus = new LocalEventBus(shared);
  const fail = () => {
    throw new Error("from the handler");
  };
  bus.on("orders", fail);
  bus.on("orders", fail, own);
  bus.subscribe("orders", { capacity: 1 });
  const event = { eventType: "OrderPlaced", actorId: "order-1", data: null };
  for (const version of [1, 2]) await bus.publish("orders", createEvent({ ...event, version }));
  await until(() => own.calls.length > 0 && shared.calls.length > 2);
  assertEquals([...new Set(shared.calls)].sort(), ["onDrop", "onError"]);
  assertEquals(new Set(own.calls), new Set(["onError"]));
});

natsTest(
  "options of stores and projections may be an instance of a class too",
  async (scene) => {
    const { namespace } = scene;
    class Place {
      get namespace(): string {
        return namespace;
      }
      get timeout(): number {
        return 0;
      }
    }
    class Patient extends Place {
      override get timeout(): number {
        return 5_000;
      }
      get lease(): number {
        return 3_000;
      }
    }
    const connection = await scene.connect();
    const opens = {
      KvCheckpointStore: (options: Place) => KvCheckpointStore.open(connection, options),
      KvKeyStore: (options: Place) => KvKeyStore.open(connection, options),
      ProjectionLeases: (options: Place) => ProjectionLeases.open(connection, options),
    };
    for (const [name, open] of Object.entries(opens)) {
      await using opened = await open(new Patient());
      assert(opened.bucket.endsWith(`_${bucketToken(namespace)}`), `${name}: ${opened.bucket}`);
      await assertRejects(() => open(new Place()), RangeError, "timeout is 0", name);
    }
    class Failing {
      readonly errors: unknown[] = [];
      readonly #told: string[] = [];
      get broadcaster(): { publish(): never } {
        return {
          publish: () => {
            throw new Error("no");
          },
        };
      }
      get told(): readonly string[] {
        return this.#told;
      }
      onBroadcastError(error: unknown) {
        this.errors.push(error);
      }
      get name(): string {
        return "own";
      }
      get checkpoints(): InMemoryCheckpointStore {
        return this.#checkpoints;
      }
      readonly #checkpoints = new InMemoryCheckpointStore();
      handler({ actorId }: { actorId: string }) {
        this.#told.push(actorId);
      }
    }
    const failing = new Failing();
    await using store = new InMemoryEventStore(failing);
    await place(store, "order-1");
    assertEquals(failing.errors.length, 1);
    class Telling extends Failing {
      readonly store: InMemoryEventStore = store;
    }
    const telling = new Telling();
    await using projection = new Projection(telling);
    await using _run = new Run(projection);
    await projection.caughtUp;
    assertEquals(telling.told, ["order-1"]);
  },
);

natsTest("a snapshot store is the one that open() was called for", async (scene) => {
  const connection = await scene.connect();
  const codec = new CountingCodec<Parameters<JetStreamSnapshotStore["saveSnapshot"]>[0]>();
  const options = { namespace: "first", codec };
  const opening = JetStreamSnapshotStore.open(connection, options);
  Object.assign(options, { namespace: "second", codec: new CountingCodec() });
  await using store = await opening;
  const facts = { actorId: "order-1", name: "order", schemaVersion: 1 };
  await store.saveSnapshot({ ...facts, version: 1, state: null, timestamp: new Date() });
  assertEquals([store.namespace, store.stream], ["first", "AETHER-SNAPSHOT_first"]);
  assertEquals(codec.encoded, 1);
});

natsTest(
  "a fenced store stays the node that it was opened as, and reads as it did",
  async (scene) => {
    const connection = await scene.connect();
    const options: Writable<Parameters<typeof FencedEventStore.open>[1]> = {
      namespace: scene.namespace,
      nodeId: "one",
    };
    const deposed: string[] = [];
    options.onDeposed = () => deposed.push("one");
    const opening = FencedEventStore.open(connection, options);
    Object.assign(options, { nodeId: "two", onDeposed: () => deposed.push("two") });
    await using one = await opening;
    await using two = await FencedEventStore.open(connection, options);
    Object.assign(options, { nodeId: "three", reads: "fenced" });
    assertEquals([one.nodeId, two.nodeId], ["one", "two"]);
    const shard = one.shardOf("order-1");
    assertEquals((await one.claim(shard, 1)).nodeId, "one");
    await two.claim(shard, 2);
    // A fenced read would find out that the shard is another node's.
    assertEquals(await one.getEvents("order-1"), []);
    assertEquals((await one.getEventsOf(["order-1"])).size, 1);
    await one.saveEvent(createEvent({ eventType: "A", actorId: "order-1", version: 1, data: 1 }))
      .catch(() => {});
    assertEquals(deposed, ["one"]);
  },
);

natsTest("a node joins as the one that it was called to be", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  const named = { namespace, nodeId: "one", metadata: { address: "1" } };
  const change = (options: typeof named) => {
    options.metadata.address = "2";
    Object.assign(options, { namespace: "other", nodeId: "two", metadata: {}, timeout: 1 });
  };
  const forElection = structuredClone(named);
  const electing = Election.open(connection, forElection);
  change(forElection);
  await using election = await electing;
  await using lease = await election.campaign();
  assertEquals([election.nodeId, lease.nodeId], ["one", "one"]);

  const forDiscovery = structuredClone(named);
  const discovering = Discovery.join(connection, forDiscovery);
  change(forDiscovery);
  await using discovery = await discovering;
  const [member] = discovery.view.members;
  assertEquals([member?.nodeId, member?.metadata], ["one", { address: "1" }]);
});

natsTest("a cluster is joined as the node that the call named", async (scene) => {
  const options = { ...QUICK, namespace: scene.namespace, nodeId: "one", capacity: 0 };
  const metadata = { address: "1" };
  const given = { ...options, metadata };
  const joining = Cluster.join(await scene.connect(), given);
  metadata.address = "2";
  Object.assign(given, { namespace: "other", nodeId: "two", capacity: 5, leaveTimeout: -1 });
  await using cluster = await joining;
  const [member] = cluster.view.members;
  assertEquals([member?.nodeId, member?.metadata, member?.capacity], ["one", { address: "1" }, 0]);
  assertEquals([cluster.nodeId, cluster.namespace], ["one", scene.namespace]);
});

Deno.test("a projection follows the filter and the beginning that it was made with", async () => {
  await using store = new InMemoryEventStore();
  await place(store, "order-1");
  const handled: string[] = [];
  const eventTypes = ["OrderPlaced"];
  const filter = { category: "order", eventTypes };
  const from = new Date(Date.now() + 60_000);
  await using projection = new Projection({
    ...{ name: "orders", store, checkpoints: new InMemoryCheckpointStore(), filter, from },
    handler: ({ actorId }) => void handled.push(actorId),
  });
  filter.category = "stock";
  eventTypes[0] = "Added";
  from.setTime(0);
  await using _run = new Run(projection);
  await projection.caughtUp;
  await place(store, "order-2");
  await place(store, "stock-1");
  await projection.caughtUp;
  assertEquals(handled, ["order-2"]);
});

Deno.test("a reactor goes by the functions that it was made with", async () => {
  await using store = new InMemoryEventStore();
  const commands: unknown[] = [];
  const options = {
    ...{
      name: "greeter",
      store,
      checkpoints: new InMemoryCheckpointStore(),
      from: "start" as const,
    },
    filter: { category: "order" },
    react: () => ({ actorId: "mail-1", command: "own" }),
    send: (_actorId: string, command: unknown) => Promise.resolve(void commands.push(command)),
  };
  await using reactor = new Reactor(options);
  options.filter.category = "stock";
  options.react = () => ({ actorId: "mail-1", command: "other" });
  await place(store, "order-1");
  await using _run = new Run(reactor);
  await reactor.caughtUp;
  assertEquals(commands, ["own"]);
});

Deno.test("a process manager keeps the targets that it was made with", async () => {
  await using store = new InMemoryEventStore();
  const stock = new Stock();
  const deciders: Record<string, Stock> = { stock };
  const filter = { category: "order" };
  await using manager = new ProcessManager({
    ...{ store, checkpoints: new InMemoryCheckpointStore(), from: "start", filter, deciders },
    onPoison: "park",
    onError: () => {},
    process: {
      name: "restock",
      correlate: ({ actorId }) => actorId,
      initialState: () => 0,
      evolve: (state) => state,
      react: (_state, input) =>
        "kind" in input ? undefined : { commands: [{ actorId: "stock-1", command: { add: 5 } }] },
    },
  });
  delete deciders["stock"];
  filter.category = "nothing";
  await place(store, "order-1");
  await using _run = new Run(manager);
  await until(async () => stock.decided > 0 || (await manager.parked()).length > 0);
  assertEquals([stock.decided, await manager.parked()], [1, []]);
});

Deno.test("a verification, an inspector and commands keep the options of their call", async () => {
  await using store = new InMemoryEventStore();
  const stock = new Stock();
  const [own, other] = [new InMemorySnapshotStore(), new InMemorySnapshotStore()];
  const snapshots = { store: own, schemaVersion: 1, name: "stock", every: 1 };
  const executed = execute(store, "stock-1", stock, { add: 5 }, { snapshots });
  snapshots.store = other;
  await executed;
  const query = { schemaVersion: 1, name: "stock" };
  await until(async () =>
    await own.getLatestSnapshot("stock-1", query) !== undefined ||
    await other.getLatestSnapshot("stock-1", query) !== undefined
  );
  assertEquals((await own.getLatestSnapshot("stock-1", query))?.state, 5);

  const at = new Date(Date.now() + 60_000);
  const past = rehydrate(store, "stock-1", stock, { at });
  at.setTime(0);
  assertEquals((await past).version, 1);

  const projections = [{ name: "none", checkpoints: new InMemoryCheckpointStore() }];
  const asked = { from: 0, projections };
  const verification = verify(store, asked);
  asked.from = 1_000;
  projections.pop();
  const { events } = await verification;
  assertEquals(events, 1);

  const deciders: Record<string, Stock> = { stock };
  const handler = inspector({ store, deciders });
  delete deciders["stock"];
  const answer = await handler(
    new Request("http://localhost/api/states", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ actorId: "stock-1" }),
    }),
  );
  await answer.body?.cancel();
  assertEquals(answer.status, 200);
});
