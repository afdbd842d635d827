/** The program that workerd and Chromium run: the package in memory, and on NATS over a WebSocket. */
import { wsconnect } from "@nats-io/nats-core";
import {
  appendEvents,
  type Decider,
  type Event,
  type EventStore,
  execute,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
  Projection,
} from "@flowmade-one/aether";

type Counted = Event<"Counted", number>;

const counter: Decider<number, number, Counted> = {
  initialState: () => 0,
  evolve: (sum, { data }) => sum + data,
  decide: (by, sum) => {
    if (sum + by < 0) throw new RangeError(`there are only ${sum}`);
    return { eventType: "Counted", data: by };
  },
};

/** Runs it; gives what it found, which is the same wherever it runs. */
export async function program(url: string): Promise<readonly unknown[]> {
  const memory = new InMemoryEventStore();
  const inMemory = await on(memory);
  await memory[Symbol.asyncDispose]();
  const connection = await wsconnect({ servers: url });
  const namespace = `anywhere-${crypto.randomUUID()}`;
  const store = await JetStreamEventStore.open(connection, { namespace });
  const onNats = await on(store);
  await store[Symbol.asyncDispose]();
  await connection.close();
  return [inMemory, onNats];
}

async function on(store: EventStore): Promise<unknown> {
  const handled: number[] = [];
  const projection = new Projection<undefined, Counted>({
    name: "sums",
    store,
    checkpoints: new InMemoryCheckpointStore(),
    handler: ({ data }) => void handled.push(data),
  });
  const running = projection.run();
  const { state } = await execute(store, "counter-1", counter, 5);
  const took = [1, 2, 3, 4].map((by) => execute(store, "counter-1", counter, -by));
  const outcomes = (await Promise.allSettled(took)).map(({ status }) => status);
  const conflict = await appendEvents(store, "counter-1", 0, [{ eventType: "Counted", data: 1 }])
    .catch((error) => isAetherError(error, "VersionConflictError") && error.currentVersion);
  await projection.caughtUp;
  await projection[Symbol.asyncDispose]();
  await running;
  const events = await store.getEvents("counter-1");
  return { state, outcomes, conflict, handled, events: events.length };
}
