/**
 * User code may do anything: throw values without text or prototype, give what cannot be stored,
 * never settle, change what it was given. Every function that the library takes from its user is on
 * the list below, by its name in the public types; one that is missing fails the test.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  type CheckpointStore,
  type Codec,
  createEvent,
  type Decider,
  type Event,
  type EventStore,
  type EventStoreOptions,
  execute,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  InMemorySnapshotStore,
  isAetherError,
  JetStreamEventStore,
  LocalEventBus,
  NatsEventBus,
  Projection,
  rehydrate,
  type SnapshotStore,
} from "../../mod.ts";
import { natsTest } from "../support/fixture.ts";
import { nastyValues, spoil } from "../support/nasty.ts";

/** What a function of the user does when it is called for the first time. */
interface Act {
  readonly name: string;
  readonly kind: "throws" | "rejects" | "gives" | "hangs" | "spoils";
  /** Does it; `args` are what the function was given. */
  do(...args: unknown[]): unknown;
  /** What it threw or rejected with. */
  readonly thrown: { readonly value: unknown } | undefined;
}

/** Opens stores, each with events of its own. */
interface Bed {
  readonly stack: AsyncDisposableStack;
  open(options?: EventStoreOptions): Promise<EventStore>;
}

type Scenario = (bed: Bed, act: Act) => Promise<void>;

/** All acts: each nasty value thrown, rejected with and given; never settling; changing what it gets. */
function acts(): Act[] {
  const of = (name: string, kind: Act["kind"], work: (...args: unknown[]) => unknown): Act => {
    let thrown: Act["thrown"];
    return {
      name: `${kind} ${name}`,
      kind,
      get thrown() {
        return thrown;
      },
      do: (...args) => {
        if (kind !== "throws" && kind !== "rejects") return work(...args);
        thrown = { value: work() };
        if (kind === "rejects") return Promise.reject(thrown.value);
        throw thrown.value;
      },
    };
  };
  return [
    ...nastyValues().flatMap(([name, make]) => [
      of(name, "throws", make),
      of(name, "rejects", make),
      of(name, "gives", make),
    ]),
    of("for good", "hangs", () => new Promise(() => {})),
    of("its arguments", "spoils", (...args) => args.forEach((arg) => spoil(arg))),
  ];
}

/** A function that acts at its first call, and does `sound` from then on. */
function once<Args extends unknown[], Result>(
  act: Act,
  sound: (...args: Args) => Result,
): (...args: Args) => Result {
  let calls = 0;
  return (...args) => calls++ === 0 ? act.do(...args) as Result : sound(...args);
}

const DATA = { n: 1, list: [{ a: 1 }] };

function fact(version = 1, eventType = "T", actorId = "a-1"): Event {
  return createEvent({ eventType, actorId, version, data: structuredClone(DATA) });
}

async function assertStored(store: EventStore, versions: number[], actorId = "a-1"): Promise<void> {
  const events = await store.getEvents(actorId);
  assertEquals(events.map(({ version }) => version), versions);
  for (const { data } of events) assertEquals(data, DATA);
}

/** The error of a call that has to fail, or to succeed as `mayPass` says. */
async function failureOf(
  work: Promise<unknown>,
  mayPass = false,
): Promise<{ readonly error: unknown } | undefined> {
  try {
    await work;
  } catch (error) {
    return { error };
  }
  assert(mayPass, "It has to fail");
  return undefined;
}

const json: Codec<Event> = {
  encode: (event) => new TextEncoder().encode(JSON.stringify(event)),
  decode: (bytes) => JSON.parse(new TextDecoder().decode(bytes)),
};

interface Counter {
  count: number;
  deep: { seen: unknown[] };
}
type Command = { readonly by: number; readonly why: string[] };

const counter: Decider<Counter, Command> = {
  initialState: () => ({ count: 0, deep: { seen: [] } }),
  evolve: ({ count, deep }, event) => ({
    count: count + (event.data as { n: number }).n,
    deep: { seen: [...deep.seen, (event.data as typeof DATA).list] },
  }),
  decide: () => ({ eventType: "T", data: structuredClone(DATA) }),
};

/** Runs a command with rules that act once; then sound ones have to find what was stored. */
async function decides(bed: Bed, act: Act, rules: Decider<Counter, Command>): Promise<void> {
  const store = await bed.open();
  const command = { by: 1, why: ["because"] };
  await execute(store, "a-1", counter, command);
  const options = act.kind === "hangs" ? { timeout: 30 } : {};
  const failure = await failureOf(execute(store, "a-1", rules, command, options), true);
  // A promise is awaited of decide() alone, and refused elsewhere.
  if (act.kind === "rejects" && rules.decide === counter.decide) {
    assert(failure === undefined || failure.error instanceof TypeError);
  } else if (act.thrown !== undefined && failure !== undefined) {
    assert(Object.is(failure.error, act.thrown.value), "The very value that was thrown");
  }
  assertEquals(command, { by: 1, why: ["because"] }, "The caller's command");
  const stored = failure === undefined ? 2 : 1;
  await assertStored(store, [1, 2].slice(0, stored));
  const { state, events } = await execute(store, "a-1", counter, command);
  assertEquals([state.count, state.deep.seen.length], [stored + 1, stored + 1]);
  spoil(state);
  spoil(events);
  const again = await execute(store, "a-1", counter, command);
  assertEquals(again.state.deep.seen, Array(stored + 2).fill([{ a: 1 }]));
  assertEquals((await rehydrate(store, "a-1", counter)).state, again.state);
}

/** Runs three commands with snapshots: whatever the hooks do, the results are right. */
async function snapshots(
  bed: Bed,
  act: Act,
  kept: SnapshotStore,
  more: { every?: () => boolean; onError?: () => void } = {},
): Promise<void> {
  const store = await bed.open();
  const every = more.every ?? 1;
  const { onError = () => {} } = more;
  const timeout = act.kind === "hangs" ? 100 : 10_000;
  const options = { snapshots: { store: kept, schemaVersion: 1, every, onError }, timeout };
  const command = { by: 1, why: [] };
  let stored = 0;
  for (const _time of [1, 2, 3]) {
    const failure = await failureOf(execute(store, "a-1", counter, command, options), true);
    if (failure === undefined) stored++;
    else assert(act.kind === "hangs" && isAetherError(failure.error, "StoreUnavailableError"));
  }
  assert(stored >= 2);
  const { state } = await rehydrate(store, "a-1", counter, {
    snapshots: { store: kept, schemaVersion: 1, onError },
  });
  assertEquals([state.count, state.deep.seen], [stored, Array(stored).fill([{ a: 1 }])]);
}

/** A snapshot store one of whose methods acts at its first call. */
function shelf(act: Act, method: "saveSnapshot" | "getLatestSnapshot"): SnapshotStore {
  const inner = new InMemorySnapshotStore();
  const own: SnapshotStore = {
    saveSnapshot: (snapshot) => inner.saveSnapshot(snapshot),
    getLatestSnapshot: (actorId, query) => inner.getLatestSnapshot(actorId, query),
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
  const sound = own[method] as (...args: unknown[]) => unknown;
  return Object.assign(own, { [method]: once(act, sound) });
}

/** Runs a projection over three events: each is handled, in order, whatever the hooks do. */
async function projects(
  bed: Bed,
  act: Act,
  options: {
    handler?: (event: Event) => void;
    onError?: () => void;
    onSwitch?: () => void;
    checkpoints?: CheckpointStore;
    rebuild?: boolean;
    fails?: boolean;
  },
): Promise<void> {
  const store = await bed.open();
  for (const version of [1, 2, 3]) await store.saveEvent(fact(version));
  const seen: unknown[] = [];
  let failures = options.fails ? 1 : 0;
  const handler = options.handler ?? (() => {});
  await using projection = new Projection({
    name: "p",
    store,
    checkpoints: options.checkpoints ?? new InMemoryCheckpointStore(),
    retry: { attempts: 3, delay: 1 },
    onError: options.onError ?? (() => {}),
    ...(options.onSwitch && { onSwitch: options.onSwitch }),
    handler: async (event, { version }) => {
      if (failures-- > 0) throw undefined;
      const given = structuredClone(event.data);
      await handler(event);
      if (version === 1) seen.push([given, event.version]);
    },
  });
  const running = projection.run();
  running.catch(() => {}); // Awaited below.
  if (act.kind !== "hangs") {
    await Promise.race([projection.caughtUp, running]);
    assertEquals(seen.map((it) => (it as unknown[])[0]), [DATA, DATA, DATA]);
    const { positions } = await projection.status();
    assert(positions[0]! > 0 && (await projection.lag()).events === 0);
    if (options.rebuild) assertEquals(await projection.rebuild(), 2);
  } else if (options.rebuild) {
    await projection.caughtUp;
    failureOf(projection.rebuild());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await projection[Symbol.asyncDispose]();
  await running;
}

/** A checkpoint store one of whose methods acts at its first call. */
function checkpointStore(act: Act, method: "load" | "save" | "transaction"): CheckpointStore {
  const inner = new InMemoryCheckpointStore();
  const own: CheckpointStore = {
    load: (key) => inner.load(key),
    save: (key, checkpoint) => inner.save(key, checkpoint),
    ...(method === "transaction" && { transaction: (work) => work(undefined) }),
  };
  const sound = own[method] as (...args: unknown[]) => unknown;
  return Object.assign(own, { [method]: once(act, sound) });
}

/** Publishes two events: whatever one subscriber does with the first, both reach everybody. */
async function publishes(
  act: Act,
  hooks: ConstructorParameters<typeof LocalEventBus>[0] & {
    handler?: (event: Event) => void;
    own?: (error: unknown) => void;
    capacity?: number;
  },
): Promise<void> {
  await using bus = new LocalEventBus({ onError: () => {}, ...hooks });
  const end = new AbortController();
  const { handler = () => {}, own } = hooks;
  const handled: number[] = [];
  bus.on("orders", async (event) => {
    handled.push(event.version);
    await handler(event);
  }, { signal: end.signal, ...(own && { onError: own }) });
  const lossy = bus.subscribe("orders", { capacity: hooks.capacity ?? 10 });
  const other: unknown[] = [];
  bus.on("orders", ({ data }) => void other.push(data));
  for (const version of [1, 2, 3]) {
    await bus.publish("orders", fact(version));
    await new Promise((resolve) => setTimeout(resolve));
  }
  assertEquals(other, [DATA, DATA, DATA]);
  assertEquals(handled, act.kind === "hangs" && hooks.handler ? [1] : [1, 2, 3]);
  await lossy[Symbol.asyncDispose]();
}

const failing = (): never => {
  throw Object.create(null);
};

/** What each function does to the library when it acts; text says why there is nothing to see. */
const HOOKS: Readonly<Record<string, Scenario | string>> = {
  "Codec.encode()": async (bed, act) => {
    const store = await bed.open({ codec: { ...json, encode: once(act, json.encode) } });
    const event = fact();
    const failure = await failureOf(store.saveEvent(event));
    assert(isAetherError(failure!.error), "A typed error");
    assertEquals(event.data, DATA, "The caller's event");
    await store.saveEvent(event);
    await assertStored(store, [1]);
  },
  "Codec.decode()": async (bed, act) => {
    const store = await bed.open({ codec: { ...json, decode: once(act, json.decode) } });
    await store.saveEvent(fact());
    const signal = AbortSignal.timeout(act.kind === "hangs" ? 20 : 10_000);
    const read = async () => {
      for await (const _event of store.readEvents("a-1", { signal }));
    };
    const failure = await failureOf(read());
    if (act.kind !== "hangs") assert(isAetherError(failure!.error, "CorruptEventError"));
    await assertStored(store, [1]);
  },
  "Upcaster": async (bed, act) => {
    const upcasters: Record<string, ((data: unknown, event: Event) => unknown)[]> = {};
    const store = await bed.open({ upcasters });
    const event = fact();
    await store.saveEvent(event);
    upcasters.T = [once(act, (data) => data)];
    const failure = await failureOf(store.getEvents("a-1"), act.kind === "gives");
    if (failure !== undefined) assert(isAetherError(failure.error, "CorruptEventError"));
    await assertStored(store, [1]);
    upcasters.T = [(data, given) => (spoil(given), data)];
    const [{ data: _data, ...rest } = fact()] = await store.getEvents("a-1");
    const { data: _own, ...saved } = event;
    assertEquals(rest, saved);
  },
  "Broadcaster.publish()": async (bed, act) => {
    const publish = once(act, () => {});
    const store = await bed.open({ broadcaster: { publish }, onBroadcastError: () => {} });
    for (const version of [1, 2]) {
      assertEquals((await store.saveEvent(fact(version))).duplicate, false);
    }
    await assertStored(store, [1, 2]);
    await store[Symbol.asyncDispose]();
  },
  "EventStoreOptions.onBroadcastError": async (bed, act) => {
    const onBroadcastError = once(act, () => {});
    const store = await bed.open({ broadcaster: { publish: failing }, onBroadcastError });
    for (const version of [1, 2]) await store.saveEvent(fact(version));
    await assertStored(store, [1, 2]);
    await store[Symbol.asyncDispose]();
  },
  "Evolution.initialState": async (bed, act) => {
    const store = await bed.open();
    const rules = { ...counter, initialState: once(act, counter.initialState) };
    const failure = await failureOf(rehydrate(store, "a-1", rules), true);
    if (act.kind === "throws") assert(Object.is(failure!.error, act.thrown!.value));
    await decides(bed, act, rules);
  },
  "Evolution.evolve": async (bed, act) => {
    if (act.kind === "spoils") {
      const evolve: typeof counter.evolve = (state, event) => {
        const next = counter.evolve(structuredClone(state), event);
        const own = structuredClone(next);
        spoil(event);
        return own;
      };
      return await decides(bed, act, { ...counter, evolve });
    }
    await decides(bed, act, { ...counter, evolve: once(act, counter.evolve) });
  },
  "Decider.decide": async (bed, act) => {
    const spoils = (command: Command, state: Counter) => {
      act.do(command, state);
      return counter.decide(command, state);
    };
    const decide = act.kind === "spoils" ? spoils : once(act, counter.decide);
    await decides(bed, act, { ...counter, decide });
  },
  "SnapshotPolicy": async (bed, act) => {
    const every = once(act, () => true) as () => boolean;
    await snapshots(bed, act, new InMemorySnapshotStore(), { every });
  },
  "SnapshotOptions.onError": async (bed, act) => {
    const broken = { ...shelf(act, "saveSnapshot"), saveSnapshot: failing };
    await snapshots(bed, act, broken, { onError: once(act, () => {}) });
  },
  "SnapshotStore.saveSnapshot()": (bed, act) => snapshots(bed, act, shelf(act, "saveSnapshot")),
  "SnapshotStore.getLatestSnapshot()": (bed, act) =>
    snapshots(bed, act, shelf(act, "getLatestSnapshot")),
  "ProjectionHandler": async (bed, act) => {
    if (act.kind === "hangs") return; // It holds its partition, as the contract says.
    const handler = once(act, () => {});
    await projects(bed, act, { handler });
    // In a transaction, and failing after it has changed the event.
    let left = 2;
    await projects(bed, act, {
      checkpoints: checkpointStore({ ...act, do: failing }, "transaction"),
      handler: (event) => {
        spoil(event);
        if (left-- > 0) return act.do(event) as void;
      },
    });
  },
  "ProjectionOptions.onError": (bed, act) =>
    act.kind === "hangs"
      ? projects(bed, { ...act, kind: "gives" }, { onError: once(act, () => {}), fails: true })
      : projects(bed, act, { onError: once(act, () => {}), fails: true }),
  "ProjectionOptions.onSwitch": (bed, act) =>
    projects(bed, act, { onSwitch: once(act, () => {}), rebuild: true }),
  "CheckpointStore.load()": (bed, act) =>
    projects(bed, act, { checkpoints: checkpointStore(act, "load") }),
  "CheckpointStore.save()": async (bed, act) => {
    if (act.kind === "gives") return; // A store that lies about its saves is none.
    await projects(bed, act, { checkpoints: checkpointStore(act, "save") });
  },
  "CheckpointStore.transaction()": async (bed, act) => {
    if (act.kind === "gives" || act.kind === "spoils" || act.kind === "hangs") return; // As above.
    await projects(bed, act, { checkpoints: checkpointStore(act, "transaction") });
  },
  "EventHandler": async (_bed, act) => {
    if (act.kind === "hangs") return; // Disposal waits for it, as the contract says.
    await publishes(act, { handler: once(act, () => {}) });
  },
  "EventBusOptions.onError": (_bed, act) =>
    publishes({ ...act, kind: "gives" }, { handler: failing, onError: once(act, () => {}) }),
  "HandlerOptions.onError": (_bed, act) =>
    publishes({ ...act, kind: "gives" }, { handler: failing, own: once(act, () => {}) }),
  "EventBusOptions.onDrop": (_bed, act) =>
    publishes({ ...act, kind: "gives" }, { capacity: 1, onDrop: once(act, () => {}) }),
  "NatsEventBusOptions.onReconnect": "tested below, on a server",
  "FencedEventStoreOptions.onDeposed": "called by callHook(), as onError is",
  "DeadlineClock.now()": "not drawn from yet",
  "DeadlineClock.wait()": "not drawn from yet",
  "Effect.run": "not drawn from yet",
  "OutgoingDecider.decide": "not drawn from yet",
  "OutgoingDecider.evolve": "not drawn from yet",
  "OutgoingDecider.initialState": "not drawn from yet",
  "Process.correlate": "not drawn from yet",
  "Process.evolve": "not drawn from yet",
  "Process.initialState": "not drawn from yet",
  "Process.react": "not drawn from yet",
  "ProcessManagerOptions.onError": "not drawn from yet",
  "ReactorOptions.onError": "not drawn from yet",
  "ReactorOptions.onRefused": "not drawn from yet",
  "ReactorOptions.react": "not drawn from yet",
  "SendCommand": "not drawn from yet",
  "VerifyEvolution.evolve": "not drawn from yet",
  "VerifyEvolution.initialState": "not drawn from yet",
  "effect": "not drawn from yet",
};

/** The library implements these: their methods are no code of the user's. */
const OURS = [
  "EventBus",
  "EventStore",
  "EventSubscription",
  "HandlerSubscription",
  "SaveOutcomeUnknownError",
  "Subscription",
];

Deno.test("Every function that the library takes from its user is on the list", async () => {
  const root = new URL("../../", import.meta.url);
  const entries = ["store/mod.ts", "bus/mod.ts", "store/fencing/fenced_store.ts"];
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--json", ...entries],
    cwd: root,
    stderr: "inherit",
  }).output();
  assert(success);
  const { nodes } = JSON.parse(new TextDecoder().decode(stdout)) as { nodes: Record<string, Doc> };
  const found = new Set(
    Object.values(nodes).flatMap(({ symbols }) => symbols.flatMap(functionsOf)),
  );
  const taken = [...found].filter((name) => !OURS.includes(name.split(".")[0]!));
  assertEquals(taken.toSorted(), Object.keys(HOOKS).toSorted());
});

interface TsType {
  readonly kind: string;
  readonly value: unknown;
}
interface Param {
  readonly tsType?: TsType;
}
interface Method {
  readonly name: string;
  readonly params?: readonly Param[];
  readonly functionDef?: { readonly params: readonly Param[] };
}
interface Symbol_ {
  readonly name: string;
  readonly declarations: readonly {
    readonly kind: string;
    readonly declarationKind: string;
    readonly def?: {
      readonly methods?: readonly Method[];
      readonly constructors?: readonly Method[];
      readonly properties?: readonly { readonly name: string; readonly tsType?: TsType }[];
      readonly params?: readonly Param[];
      readonly tsType?: TsType;
    };
  }[];
}
interface Doc {
  readonly symbols: readonly Symbol_[];
}

/** The functions in a public type that somebody else may have to write. */
function functionsOf({ name, declarations }: Symbol_): string[] {
  return declarations.flatMap(({ kind, declarationKind, def = {} }) => {
    if (declarationKind !== "export") return [];
    const takes = (params: readonly Param[] = []) =>
      params.some(({ tsType }) => isFunction(tsType));
    const { methods = [], constructors = [], properties = [] } = def;
    if (kind === "typeAlias") return isFunction(def.tsType) ? [name] : [];
    if (kind === "function") return takes(def.params) ? [name] : [];
    const fields = properties.filter(({ tsType }) => isFunction(tsType)).map((it) => it.name);
    const called = kind === "interface"
      ? methods.filter((it) => !it.name.startsWith("[")).map((it) => `${it.name}()`)
      : [...methods, ...constructors].filter((it) => takes((it.functionDef ?? it).params))
        .map((it) => it.name);
    return [...fields, ...called].map((field) => `${name}.${field}`);
  });
}

function isFunction(type: TsType | undefined): boolean {
  if (type === undefined) return false;
  if (type.kind === "fnOrConstructor") return true;
  const parts = Array.isArray(type.value) ? type.value as TsType[] : [type.value as TsType];
  const nested = ["union", "intersection", "parenthesized", "optional", "rest"];
  return nested.includes(type.kind) && parts.some(isFunction);
}

/** Runs `work` for each act, with the console silent; names the act that fails. */
async function eachAct(list: readonly Act[], work: (act: Act) => Promise<void>): Promise<void> {
  const { warn, error } = console;
  console.warn = console.error = () => {};
  try {
    const outcomes = await Promise.allSettled(list.map(work));
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.status === "fulfilled") continue;
      const { reason: cause } = outcome;
      throw new Error(`It does not hold when the function ${list[at]!.name}`, { cause });
    }
  } finally {
    Object.assign(console, { warn, error });
  }
}

for (const [name, scenario] of Object.entries(HOOKS)) {
  if (typeof scenario === "string") continue;
  Deno.test(`Whatever ${name} does stays with it (memory)`, async () => {
    await eachAct(acts(), async (act) => {
      await using stack = new AsyncDisposableStack();
      const open = (options: EventStoreOptions = {}) =>
        Promise.resolve(stack.use(new InMemoryEventStore(options)));
      await scenario({ stack, open }, act);
    });
  });
}

natsTest("Whatever user code does stays with it (a server)", async (scene) => {
  const connection = await scene.connect();
  let run = 0;
  for (const [name, scenario] of Object.entries(HOOKS)) {
    if (typeof scenario === "string" || name.includes("Bus") || name === "EventHandler") continue;
    const all = acts();
    // Some that are drawn, and the two that are not about values.
    const drawn = all.slice(-2);
    while (drawn.length < 5) drawn.push(all[Math.floor(Math.random() * all.length)]!);
    try {
      await eachAct(drawn, async (act) => {
        await using stack = new AsyncDisposableStack();
        const open = async (options: EventStoreOptions = {}) => {
          const namespace = `${scene.namespace}-${++run}`;
          const own = { ...options, namespace, timeout: 2_000 };
          return stack.use(await JetStreamEventStore.open(connection, own));
        };
        await scenario({ stack, open }, act);
      });
    } catch (cause) {
      throw new Error(`It does not hold for ${name}`, { cause });
    }
  }
});

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

Deno.test("What cannot be stored is refused by a typed error, at any place of an event", async () => {
  await using bus = new LocalEventBus();
  for (const [name, make] of nastyValues()) {
    for (const key of ["data", "metadata", "timestamp", "id", "eventType", "actorId", "whole"]) {
      await using store = new InMemoryEventStore();
      const event = key === "whole" ? make() as Event : { ...fact(), [key]: make() };
      for (const save of [() => store.saveEvent(event), () => bus.publish("orders", event)]) {
        const failure = await failureOf(save(), true);
        assert(failure === undefined || isAetherError(failure.error), `${name} as ${key}`);
      }
    }
  }
});

Deno.test("A signal may be aborted for any reason", async () => {
  await using store = new InMemoryEventStore();
  for (const [name, make] of nastyValues()) {
    const abort = new AbortController();
    const reason = make();
    abort.abort(reason);
    const failure = await failureOf(store.saveEvents([fact()], abort));
    assert(isAetherError(failure!.error, "StoreUnavailableError"), name);
    if (reason !== undefined) assert(Object.is(failure!.error.cause, reason), name);
  }
});

natsTest("A signal may be aborted for any reason while a save is under way", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  await using store = await JetStreamEventStore.open(connection, { namespace });
  await scene.server.pause();
  const list = nastyValues();
  const saves = list.map(async ([name, make], at) => {
    const abort = new AbortController();
    const save = store.saveEvents([fact(1, "T", `a-${at}`)], abort);
    setTimeout(() => abort.abort(make()), 20);
    const { error } = (await failureOf(save))!;
    assert(isAetherError(error), name);
    return await failureOf(execute(store, `b-${at}`, counter, { by: 1, why: [] }, abort));
  });
  await Promise.all(saves);
  await scene.server.resume();
});

// The control: an array of events that is handed out as it is kept does not stand this.
Deno.test("The acts notice a store that shares its events", async () => {
  class Sharing extends InMemoryEventStore {
    readonly #event = fact();
    override getEvents<E extends Event>(): Promise<E[]> {
      return Promise.resolve([this.#event as E]);
    }
  }
  await using store = new Sharing();
  spoil(await store.getEvents());
  let isNoticed = false;
  await assertStored(store, [1]).catch(() => isNoticed = true);
  assert(isNoticed);
});
