/**
 * Slips in arguments, as a caller makes them whom no compiler warns: each is a `TypeError` in words
 * of ours, at once, before anything is sent.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "node:path";
import { Cluster, type EventStore } from "../mod.ts";
import { ROOT } from "../tools/root.ts";
import { natsTest } from "./support/fixture.ts";

/** Everything public, by name, of any type: a program without types. */
// deno-lint-ignore no-explicit-any -- that is the point
type Untyped = Record<string, any>;

const manifest = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
const modules: Untyped[] = await Promise.all(
  Object.values<string>(manifest.exports).map((path) => import(`../${path}`)),
);
const all: Untyped = Object.assign({}, ...modules);

/** A connection that nothing may go over. */
const connection = Object.fromEntries(
  ["publish", "request", "isClosed", "isDraining", "subscribe"].map((name) => [name, () => {
    throw new Error(`${name}() was called`);
  }]),
);

/** Options of all event stores that are of another kind than they take. */
const STORE_OPTIONS: [options: Untyped, names: RegExp][] = [
  [{ codec: 5 }, /codec is 5, not an object with encode and decode/],
  [{ codec: {} }, /codec is an empty object/],
  [{ upcasters: 5 }, /upcasters is 5/],
  [{ upcasters: { OrderPlaced: 5 } }, /upcasters of "OrderPlaced" is 5, not an array of functions/],
  [{ upcasters: { OrderPlaced: [5] } }, /upcasters of "OrderPlaced" is an array/],
  [{ events: 5 }, /`events` is not what defineEvents\(\) gives/],
  [{ broadcaster: 5 }, /broadcaster is 5, not an object with publish/],
  [{ broadcaster: {} }, /broadcaster is an empty object/],
  [{ onBroadcastError: 5 }, /onBroadcastError is 5, not a function/],
];

/** Options of what is opened over a connection that are of another kind than it takes. */
const OPENED: Record<string, [options: Untyped, names: RegExp][]> = {
  Cluster: [
    ...STORE_OPTIONS,
    [{ onError: 5 }, /onError is 5, not a function/],
    [{ load: "x" }, /load is "x", not a function/],
    [{ clock: {} }, /clock is an empty object, not an object with monotonic and wall/],
  ],
  Discovery: [
    [{ onError: 5 }, /onError is 5, not a function/],
    [{ load: "x" }, /load is "x", not a function/],
    [{ clock: {} }, /clock is an empty object, not an object with monotonic and wall/],
    [{ leadership: {} }, /leadership is an empty object, not an object with changes/],
  ],
  Election: [[{ clock: { wall: Date.now } }, /clock is an object with wall/]],
  JetStreamEventStore: STORE_OPTIONS,
  FencedEventStore: [...STORE_OPTIONS, [{ onDeposed: 5 }, /onDeposed is 5, not a function/]],
  JetStreamSnapshotStore: [[{ codec: {} }, /codec is an empty object/]],
};

const store: EventStore = new all.InMemoryEventStore();
const keys = new all.InMemoryKeyStore();
const checkpoints = new all.InMemoryCheckpointStore();
const decider = { initialState: () => 0, evolve: () => 0, decide: () => [] };
const rules = {
  name: "payment",
  correlate: () => "1",
  initialState: () => 0,
  evolve: () => 0,
  react: () => ({}),
};
const parts = { name: "orders", store, checkpoints };
const process = { process: rules, store, checkpoints, from: "start" };
const mail = all.effect("mail", () => null);
const request = new Request("http://localhost");
const draft = { eventType: "OrderPlaced", data: null };
const event = all.createEvent({ ...draft, actorId: "order-1", version: 1 });

/** Slips by the public name that they are of: the call, and what the message has to name. */
const SLIPS: Record<string, [call: () => unknown, names: RegExp][]> = {
  appendEvents: [
    [() => all.appendEvents("order-1", 0, [draft]), /store is "order-1"/],
    [() => all.appendEvents(store, 0, "order-1", [draft]), /actorId, the second argument, is 0/],
    [() => all.appendEvents(store, "order-1", [draft]), /expectedVersion.* is an array/],
    [
      () => all.appendEvents(store, "order-1", 0, draft),
      /drafts is an object with eventType, data/,
    ],
    [() => all.appendEvents(store, "order-1", 0, ["OrderPlaced"]), /draft is "OrderPlaced"/],
  ],
  causedBy: [[() => all.causedBy(draft), /by is missing/]],
  createEvent: [
    [() => all.createEvent(), /its argument is missing/],
    [() => all.createEvent("OrderPlaced", { total: 5 }), /its argument is "OrderPlaced"/],
  ],
  effect: [
    [() => all.effect(() => {}), /name, the first argument, is a function/],
    [() => all.effect("mail"), /run, the second argument, is missing/],
  ],
  execute: [
    [() => all.execute("order-1", store, decider, {}), /store is "order-1"/],
    [
      () => all.execute(store, decider, "order-1", {}),
      /actorId, the second argument, is an object/,
    ],
    [
      () => all.execute(store, "order-1", { pay: 5 }, decider),
      /decider, the third.* object with pay/,
    ],
    [() => all.execute(store, "order-1"), /decider, the third argument, is missing/],
    [() => all.execute(store, "order-1", decider, {}, "k1"), /options is "k1"/],
    [() => all.execute(store, "order-1", decider, {}, { signal: {} }), /signal is an empty object/],
  ],
  executeAll: [
    [() => all.executeAll([], store), /store is an array/],
    [() => all.executeAll(store, { actorId: "a", decider, command: 1 }), /parts is an object/],
    [() => all.executeAll(store, [{ actorId: "a", command: 1 }]), /decider of part 0 is missing/],
    [
      () => all.executeAll(store, [{ actorId: "a", decider, command: 1 }], { signal: {} }),
      /signal is an empty object/,
    ],
  ],
  rehydrate: [
    [() => all.rehydrate(store, decider, "order-1"), /actorId, the second argument/],
    [() => all.rehydrate(store, "order-1"), /evolution, the third argument, is missing/],
    [() => all.rehydrate(store, "order-1", decider, { signal: {} }), /signal is an empty object/],
  ],
  markRestored: [[() => all.markRestored({ namespace: "shop" }), /connection is an object/]],
  sealedCodec: [
    [() => all.sealedCodec(), /options is missing/],
    [() => all.sealedCodec({ fields: {} }), /keys is missing/],
    [() => all.sealedCodec({ fields: {}, keys, now: 5 }), /now is 5, not a function/],
    [() => all.sealedCodec({ fields: {}, keys }).snapshots(), /subjectsOf is missing/],
  ],
  defineEvents: [
    [() => all.defineEvents({}).jsonSchema({ convert: 5 }), /convert is 5, not a function/],
    [() => all.defineEvents("OrderPlaced"), /schemas is "OrderPlaced"/],
    [() => all.defineEvents({ OrderPlaced: {} }), /its schema is none of Standard Schema/],
  ],
  richJsonCodec: [[() => all.richJsonCodec(JSON.stringify), /library is a function/]],
  schemaVersions: [[() => all.schemaVersions({}), /Standard Schema/]],
  inspector: [
    [() => all.inspector(), /parts is missing/],
    [() => all.inspector({ store, onError: 5 }), /onError is 5, not a function/],
    [() => all.inspector({ store, signal: {} }), /signal is an empty object/],
    [() => all.inspector({ store, cluster: {} }), /cluster is an empty object, not a Cluster/],
    [() => all.inspector({ store, deciders: { order: {} } }), /the decider of "order" is an empty/],
    [() => all.inspector({ store, projections: 5 }), /projections is 5, not an array/],
    [() => all.inspector({ store, processes: [5] }), /one of processes is 5, not an object/],
  ],
  problem: [
    [() => all.problem(new Error("gone"), 404), /options is 404/],
    [() => all.problem(new Error("gone"), { status: 404 }), /status is 404, not a function/],
  ],
  verify: [
    [() => all.verify({ namespace: "shop" }), /not a JetStreamEventStore/],
    [() => all.verify(store, { signal: {} }), /signal is an empty object/],
    [() => all.verify(store, { projections: 5 }), /projections is 5, not an array/],
    [() => all.verify(store, { projections: [{ name: "a" }] }), /checkpoints of a projection is/],
    [() => all.verify(store, { snapshots: {} }), /store of snapshots is missing/],
    [
      () => all.verify(store, { snapshots: { store: new all.InMemorySnapshotStore() } }),
      /evolution of snapshots is missing/,
    ],
  ],
  InMemoryEventStore: [
    [() => new all.InMemoryEventStore("shop"), /options is "shop"/],
    ...STORE_OPTIONS.map(([options, names]): [() => unknown, RegExp] => [
      () => new all.InMemoryEventStore(options),
      names,
    ]),
    [() => store.saveEvents([event], null as never), /options is null/],
    [() => store.saveEvents([event], { signal: {} as never }), /signal is an empty object/],
    [() => store.saveEvents([event], { expect: 5 as never }), /expect is 5, not an array/],
    [() => store.saveEvents([event], { expect: [5 as never] }), /a part of expect is 5/],
    [() => Array.fromAsync(store.readEvents("a", { signal: {} as never })), /signal is an empty/],
    [() => Array.fromAsync(store.readAll({ signal: {} as never })), /signal is an empty object/],
    [() => store.subscribe({ signal: {} as never }), /signal is an empty object/],
    [() => store.readAll("start" as never)[Symbol.asyncIterator]().next(), /options is "start"/],
    [() => store.subscribe((() => {}) as never), /options is a function/],
  ],
  InMemorySnapshotStore: [
    [() => new all.InMemorySnapshotStore("shop"), /options is "shop"/],
    [() => new all.InMemorySnapshotStore({ codec: {} }), /codec is an empty object/],
  ],
  LocalEventBus: [
    [() => new all.LocalEventBus({ onError: "warn" }), /onError is "warn", not a function/],
    [() => new all.LocalEventBus({ onDrop: "warn" }), /onDrop is "warn", not a function/],
    [() => new all.LocalEventBus().on("shop", () => {}, { onError: 5 }), /onError is 5, not a/],
    [() => new all.LocalEventBus().subscribe("shop", { signal: {} }), /signal is an empty object/],
    [() => new all.LocalEventBus().on("shop", {}, () => {}), /handler is not a function/],
    [() => new all.LocalEventBus().subscribe("shop", () => {}), /handlers go to on\(\)/],
    [() => new all.LocalEventBus().publish(draft), /namespace/],
  ],
  NatsEventBus: [
    [() => new all.NatsEventBus({ onError: () => {} }), /connection is an object/],
    [() => new all.NatsEventBus(connection, { onDrop: 5 }), /onDrop is 5, not a function/],
    [() => new all.NatsEventBus(connection, { onReconnect: 5 }), /onReconnect is 5, not a/],
  ],
  Projection: [
    [() => new all.Projection(), /options is missing/],
    [() => new all.Projection({ store, checkpoints, handler() {} }), /name is missing/],
    [() => new all.Projection(parts), /projection "orders": handler is missing/],
    [() => new all.Projection({ ...parts, handler: {} }), /handler is an empty object/],
    [() => new all.Projection({ ...parts, handler() {}, store: undefined }), /store is missing/],
    [() => new all.Projection({ ...parts, handler() {}, checkpoints: {} }), /checkpoints is/],
    [() => new all.Projection({ ...parts, handler() {}, filter: "order" }), /filter is "order"/],
    [() => new all.Projection({ ...parts, handler() {}, leases: {} }), /leases is an empty object/],
    [() => new all.Projection({ ...parts, handler() {}, onSwitch: 2 }), /onSwitch is 2/],
  ],
  Reactor: [
    [() => new all.Reactor(), /options is missing/],
    [() => new all.Reactor({ ...parts, from: "start" }), /reactor "orders": react is missing/],
    [() => new all.Reactor({ ...parts, react() {}, from: "start", send: {} }), /send is/],
    [() => new all.Reactor({ ...parts, react() {} }), /from is missing/],
  ],
  ProcessManager: [
    [() => new all.ProcessManager(), /options is missing/],
    [() => new all.ProcessManager({ ...process, process: undefined }), /process is missing/],
    [
      () => new all.ProcessManager({ ...process, process: { ...rules, react: undefined } }),
      /manage "payment": react of the process is missing/,
    ],
    [() => new all.ProcessManager({ ...process, store: {} }), /store is an empty object/],
    [
      () => new all.ProcessManager({ ...process, checkpoints: undefined }),
      /checkpoints is missing/,
    ],
    [() => new all.ProcessManager({ ...process, deciders: { stock: {} } }), /decider of "stock"/],
    [() => new all.ProcessManager({ ...process, effects: [() => {}] }), /effect is a function/],
    [
      () => new all.ProcessManager({ ...process, effects: [{ run() {} }] }),
      /name of an effect is missing/,
    ],
    [
      () => new all.ProcessManager({ ...process, effects: [{ name: "mail", run() {} }] }),
      /retry of effect "mail" is missing/,
    ],
    [
      () => new all.ProcessManager({ ...process, effects: [mail, { ...mail }] }),
      /two of its effects are named "mail"/,
    ],
    [() => new all.ProcessManager({ ...process, from: undefined }), /from is missing/],
    [() => new all.ProcessManager({ ...process, clock: {} }), /clock is an empty object/],
    [() => new all.ProcessManager({ ...process, onError: 5 }), /onError is 5, not a function/],
  ],
  SqliteCheckpointStore: [[() => new all.SqliteCheckpointStore("shop.db"), /db is "shop.db"/]],
  PostgresCheckpointStore: [[
    () => new all.PostgresCheckpointStore("postgres://"),
    /no Pool of pg/,
  ]],
  VersionedTable: [
    ...modules.filter(({ VersionedTable }) => VersionedTable).map(
      ({ VersionedTable }): [() => unknown, RegExp] => [
        () => new VersionedTable("orders", "CREATE TABLE orders"),
        /create, the second argument, is "CREATE TABLE orders"/,
      ],
    ),
  ],
  accepted: [[() => all.accepted(), /receipt is missing/]],
  commandId: [[() => all.commandId({ req: request }), /request is an object with req/]],
  expectedVersion: [[() => all.expectedVersion(), /request is missing/]],
  eventStream: [
    [() => all.eventStream(store), /request is of class InMemoryEventStore/],
    [() => all.eventStream(request), /store is missing/],
    [() => all.eventStream(request, store, { message: 5 }), /message is 5, not a function/],
    [() => all.eventStream(request, store, { onError: 5 }), /onError is 5, not a function/],
    [() => all.eventStream(request, store, { signal: {} }), /signal is an empty object/],
  ],
  jsonBody: [[() => all.jsonBody({ req: request }), /request is an object with req/]],
  reached: [[() => all.reached(request), /readModel is missing/]],
  deciderSpec: [[() => all.deciderSpec(rules), /decider is an object with name, correlate/]],
  processSpec: [[() => all.processSpec(decider), /process is an object/]],
  projectionSpec: [[
    () => all.projectionSpec({ handler() {} }),
    /open, .* is an object with handler/,
  ]],
  reactorSpec: [
    [() => all.reactorSpec(), /reactor is missing/],
    [() => all.reactorSpec({ name: "mail" }), /react is missing/],
  ],
  faultyConnection: [
    [() => all.faultyConnection({ seed: 7 }), /connection is an object with seed/],
    [() => all.faultyConnection(connection, { seed: 7, only: "a" }), /only is "a", not a function/],
  ],
  startNats: [[() => all.startNats("2.14"), /options is 2.14/]],
  formatShardMap: [[() => all.formatShardMap(), /map is missing/]],
  parseShardMap: [[() => all.parseShardMap(), /not JSON/]],
  planShards: [
    [() => all.planShards(), /current is missing/],
    [() => all.planShards({ shards: [] }), /members is missing/],
  ],
  nextShardMap: [
    [() => all.nextShardMap(), /current is missing/],
    [() => all.nextShardMap({ shards: [] }, [], { gone: 5 }), /gone is 5, not a function/],
  ],
  shardMoves: [[() => all.shardMoves(), /before is missing/]],
  ...Object.fromEntries(
    ["checkpointStore", "eventBus", "eventStore", "eventSubscription", "keyStore", "snapshotStore"]
      .map((
        of,
      ) => [
        `${of}Suite`,
        [
          [() => all[`${of}Suite`](), /suite is missing/],
          [() => all[`${of}Suite`]({ create() {} }), /test is missing/],
        ],
      ]),
  ),
  ...Object.fromEntries(
    [
      ...["FencedEventStore", "JetStreamEventStore", "JetStreamSnapshotStore", "KvCheckpointStore"],
      ...["KvKeyStore", "ProjectionLeases", "Election", "Cluster", "Discovery"],
    ].map((name) => {
      const opens = all[name].open === undefined ? "join" : "open";
      return [name, [
        [() => all[name][opens](), /connection is missing/],
        [() => all[name][opens]({ namespace: "shop" }), /connection is an object with namespace/],
        [() => new all[name]({ namespace: "shop" }), /construct/],
        ...(OPENED[name] ?? []).map(([options, names]) => [
          () => all[name][opens](connection, { nodeId: "a", ...options }),
          names,
        ]),
      ]];
    }),
  ),
};

/** Public functions without a slip that a TypeError can tell, each for its reason. */
const NONE: Record<string, string> = {
  InMemoryCheckpointStore: "takes nothing",
  unchecked: "takes nothing",
  InMemoryKeyStore: "takes nothing",
  emptyShardMap: "a number out of range: a RangeError",
  etag: "a number out of range: a RangeError",
  snapshotEvery: "a number out of range: a RangeError",
  streamSequenceOf: "a number, and a number it gives",
  importEvents: "the command line's; its store says what it is not",
  main: "the command line's; it prints what is wrong",
};

/** What a call gives that is not done right: thrown, or rejected with. */
async function slipOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error;
  }
}

for (const [name, slips] of Object.entries(SLIPS)) {
  Deno.test(`${name} tells a slip in its arguments by a TypeError in words of ours`, async () => {
    for (const [call, names] of slips) {
      const error = await slipOf(call);
      assert(error instanceof TypeError, `${call} gave ${error}`);
      assertMatch(error.message, /^Cannot [^:]+: /, `${call}`);
      assertMatch(error.message, names);
    }
  });
}

Deno.test("each public function and class is tried with a slip", () => {
  const functions = Object.entries(all)
    .filter(([name, value]) => typeof value === "function" && !name.endsWith("Error"))
    .map(([name]) => name);
  assertEquals(functions.sort(), [...Object.keys(SLIPS), ...Object.keys(NONE)].sort());
});

natsTest("a cluster tells a slip in the arguments of its methods", async (scene) => {
  await using cluster = await Cluster.join(await scene.connect(), { namespace: scene.namespace });
  const untyped = cluster as unknown as Untyped;
  const slip = async (call: () => unknown) => await call();
  await assertRejects(
    () => slip(() => untyped.handle({})),
    TypeError,
    "handler is an empty object",
  );
  await assertRejects(
    () => slip(() => untyped.handle(() => 1, { onDuplicate: 5 })),
    TypeError,
    "onDuplicate is 5, not a function",
  );
  untyped.handle(() => 1); // None was registered by then.
  await assertRejects(
    () => slip(() => untyped.send("a", {}, { signal: {} })),
    TypeError,
    "signal is an empty object, not an AbortSignal",
  );
  await assertRejects(
    () => slip(() => untyped.changes({ signal: {} })),
    TypeError,
    "signal is an empty object, not an AbortSignal",
  );
  await assertRejects(() => slip(() => untyped.send({ add: 1 }, "a")), TypeError, "actorId, the");
  await assertRejects(() => slip(() => untyped.send("a", {}, "k1")), TypeError, 'options is "k1"');
});

natsTest("what waits refuses a signal that is none, at once", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  await using election = await all.Election.open(connection, { namespace, nodeId: "a" });
  await using fenced = await all.FencedEventStore.open(connection, {
    ...{ namespace, nodeId: "a", shards: 4 },
  });
  await using projection = new all.Projection({ ...parts, handler: () => {} });
  await using manager = new all.ProcessManager(process);
  const none = { signal: {} as never };
  const calls: (() => unknown)[] = [
    () => election.campaign(none),
    () => election.changes(none),
    () => fenced.claim(1, 1, none),
    () => fenced.renew(1, none),
    () => fenced.release(1, none),
    () => fenced.barrier(1, none),
    () => projection.run(none),
    () => projection.reached(1, none),
    () => projection.lag(none),
    () => projection.unpark("order-1", none),
    () => projection.rebuild(none),
    () => manager.run(none),
    () => manager.retry("1", none),
  ];
  for (const call of calls) {
    const error = await assertRejects(async () => await call(), TypeError);
    assertMatch(error.message, /^Cannot [^:]+: signal is an empty object, not an AbortSignal$/);
  }
});
