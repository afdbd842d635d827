/**
 * The parts of the library that are opened, used for a moment and closed in each round of the
 * scenario `leaks`.
 *
 * @module
 */

import type { NatsConnection } from "@nats-io/transport-node";
import { Cluster, Election } from "../../../cluster/mod.ts";
import {
  appendEvents,
  createEvent,
  type Decider,
  type Event,
  type EventStore,
  JetStreamEventStore,
  KvCheckpointStore,
  NatsEventBus,
  type Process,
  ProcessManager,
  Projection,
  ProjectionLeases,
  Reactor,
} from "../../../mod.ts";
import { readerOf } from "../../../store/jetstream/event_store.ts";
import { count, QUICK } from "../../cluster/bed.ts";
import { Desk } from "../../inspector/bed.ts";
import type { Chaos } from "../scenario.ts";

/** The tools of a round. */
export interface Round {
  readonly connection: NatsConnection;
  /** The part's own. */
  readonly namespace: string;
  /** Outlives all rounds. */
  readonly signal: AbortSignal;
  readonly chaos: Chaos;
}

/** Opens, uses and closes a part of the library; gives the objects that nothing may refer to then. */
export type Part = (round: Round) => Promise<readonly object[]>;

/** Events that are read through a consumer of the server, on more than one page. */
const MANY = 900;

/** A process that ends by a deadline of 1 ms; that of one actor never comes, so that a timer waits for it. */
export const timed: Process<null> = {
  name: "timed",
  correlate: ({ actorId }) => actorId,
  initialState: () => null,
  evolve: (state) => state,
  react: (_state, input, { now }) => {
    if ("kind" in input) return { done: true };
    const wait = input.actorId === WAITING ? 3_600_000 : 1;
    return { deadlines: { end: new Date(now.getTime() + wait) } };
  },
};
const WAITING = "thing-waiting";

/** Stores each command. */
export const counter: Decider<null, number, Event<"Counted", number>> = {
  initialState: () => null,
  evolve: (state) => state,
  decide: (by) => ({ eventType: "Counted", data: by }),
};

/** A first event of an actor. */
function happened(actorId = `thing-${crypto.randomUUID()}`): Event {
  return createEvent({ eventType: "Happened", actorId, version: 1, data: "it" });
}

function openStore({ connection, namespace }: Round): Promise<JetStreamEventStore> {
  return JetStreamEventStore.open(connection, { namespace });
}

/** All that a projection, a reactor and a process manager need, which `work` makes and uses. */
async function workshop(
  round: Round,
  make: (parts: {
    readonly store: JetStreamEventStore;
    readonly checkpoints: KvCheckpointStore;
    readonly leases: ProjectionLeases;
  }) => { readonly worker: Worker; readonly use: (store: EventStore) => Promise<void> },
): Promise<readonly object[]> {
  const { connection, namespace, signal } = round;
  await using store = await openStore(round);
  await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
  await using leases = await ProjectionLeases.open(connection, { namespace });
  const { worker, use } = make({ store, checkpoints, leases });
  const running = worker.run({ signal });
  await use(store);
  await worker[Symbol.asyncDispose]();
  await running;
  return [worker, store, checkpoints, leases];
}

type Worker = AsyncDisposable & { run(options: { readonly signal: AbortSignal }): Promise<void> };

/** Subscribes, takes one event, and ends in one of the ways. */
async function subscribeOnce(
  { chaos, signal }: Round,
  store: JetStreamEventStore,
  from: number,
): Promise<object> {
  const end = chaos.pick(["break", "signal", "disposal"]);
  const own = new AbortController();
  const subscription = store.subscribe({ from, signal: end === "signal" ? own.signal : signal });
  for await (const _event of subscription) {
    if (end === "break") break;
    own.abort();
    if (end === "disposal") await subscription[Symbol.asyncDispose]();
  }
  return subscription;
}

/** Each part by its name. */
export const PARTS: Readonly<Record<string, Part>> = {
  store: async (round) => {
    await using store = await openStore(round);
    const { actorId } = happened();
    await store.saveEvent(happened(actorId));
    await store.getEvents(actorId);
    await store.getLatestVersion(actorId, { fresh: true });
    return [store, readerOf(store).api.requests];
  },

  subscription: async (round) => {
    await using store = await openStore(round);
    const { sequence } = await store.saveEvent(happened());
    const ended = await Promise.all([0, 1, 2].map(() => subscribeOnce(round, store, sequence)));
    const left = store.subscribe({ from: sequence, signal: round.signal });
    const events = left[Symbol.asyncIterator]();
    await events.next(); // It is open when the store is closed.
    return [store, left, ...ended];
  },

  readAll: async (round) => {
    await using store = await openStore(round);
    if (await store.getLatestVersion("thing-1") === 0) {
      const drafts = Array.from({ length: MANY }, () => ({ eventType: "Happened", data: "it" }));
      await appendEvents(store, "thing-1", 0, drafts);
    }
    let last = Math.floor(round.chaos.between(1, MANY));
    const events = store.readAll({ signal: round.signal });
    for await (const _event of events) if (--last === 0) break;
    return [store];
  },

  projection: (round) =>
    workshop(round, (parts) => {
      const handler = () => {};
      const worker = new Projection({ ...parts, name: "thing", partitions: 4, handler });
      const use = async (store: EventStore) => {
        const { sequence } = await store.saveEvent(happened());
        await worker.reached(sequence);
      };
      return { worker, use };
    }),

  process: (round) =>
    workshop(round, (parts) => {
      const filter = { category: "thing" };
      const worker = new ProcessManager({ ...parts, process: timed, filter, from: "start" });
      const use = async (store: EventStore) => {
        if (await store.getLatestVersion(WAITING) === 0) await store.saveEvent(happened(WAITING));
        const event = happened();
        await store.saveEvent(event);
        const own = { actorId: worker.actorOf(event.actorId) };
        for await (const { eventType } of store.subscribe({ filter: own })) {
          if (eventType === "ProcessEnded") break;
        }
      };
      return { worker, use };
    }),

  reactor: (round) =>
    workshop(round, (parts) => {
      const worker = new Reactor({
        ...{ ...parts, name: "thing", filter: { category: "thing" }, from: "start" },
        react: ({ id }) => ({ actorId: `counter-${id}`, decider: counter, command: 1 }),
      });
      const use = async (store: EventStore) => {
        await store.saveEvent(happened());
        await worker.caughtUp;
      };
      return { worker, use };
    }),

  bus: async ({ connection, namespace, signal }) => {
    await using one = new NatsEventBus(connection);
    await using other = new NatsEventBus(connection);
    const heard = Promise.withResolvers<void>();
    const handler = one.on(namespace, () => heard.resolve(), { queue: "some", signal });
    const subscription = one.subscribe(namespace, { signal });
    await Promise.all([handler.ready, subscription.ready]);
    await other.publish(namespace, happened());
    for await (const _event of subscription) break;
    await heard.promise;
    return [one, other, handler, subscription];
  },

  election: async ({ connection, namespace, signal }) => {
    await using election = await Election.open(connection, { namespace, nodeId: "node-1" });
    const lease = await election.campaign({ signal });
    for await (const leader of election.changes({ signal })) {
      if (leader?.term === lease.term) break;
    }
    lease.assertValid();
    return [election, lease];
  },

  cluster: async ({ connection, namespace }) => {
    const options = { ...QUICK, namespace, nodeId: "node-1" };
    await using cluster = await Cluster.join(connection, options);
    count(cluster);
    await cluster.send("counter-1", { by: 1 });
    return [cluster];
  },

  inspector: async (round) => {
    await using store = await openStore(round);
    const desk = new Desk({ store, signal: round.signal });
    await desk.view("store");
    await using live = await desk.live("live", { views: ["store"] });
    await live.find("store");
    await using tail = await desk.live("tail");
    await tail.find("ready");
    // The tail begins in the background; what is saved before is not shown.
    while (store.metrics.eventsDelivered === 0) await store.saveEvent(happened());
    await tail.find("event");
    return [store, desk];
  },
};
