/**
 * What the tests of reactors and processes share: stores, a stock that can run out, and runs.
 *
 * @module
 */

import {
  type CheckpointStore,
  createEvent,
  type Decider,
  type Event,
  type EventStore,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  JetStreamEventStore,
  KvCheckpointStore,
} from "../../../mod.ts";
import { natsTest } from "../../support/fixture.ts";

export { Running as Run } from "../projection/bed.ts";

/** The tools of a test; `open` gives the store as another process opens it. */
export interface Bed {
  readonly store: EventStore;
  readonly checkpoints: CheckpointStore;
  open(): Promise<EventStore>;
}

/** A test on memory, and on a real server with checkpoints in KV. */
export function both(name: string, run: (bed: Bed) => Promise<void>): void {
  Deno.test(`${name} (memory)`, async () => {
    await using store = new InMemoryEventStore();
    const open = () => Promise.resolve(store);
    await run({ store, checkpoints: new InMemoryCheckpointStore(), open });
  });
  natsTest(`${name} (JetStream)`, async (scene) => {
    await using stack = new AsyncDisposableStack();
    const { namespace } = scene;
    const connection = await scene.connect();
    const open = async () => stack.use(await JetStreamEventStore.open(connection, { namespace }));
    const checkpoints = stack.use(await KvCheckpointStore.open(connection, { namespace }));
    await run({ store: await open(), checkpoints, open });
  });
}

export type StockEvent = Event<"Added", { pieces: number }> | Event<"Taken", { pieces: number }>;

/** A stock that refuses to give what it does not have. */
export class Stock implements Decider<number, { add?: number; take?: number }, StockEvent> {
  decided = 0;
  initialState = () => 0;
  evolve = (pieces: number, { eventType, data }: StockEvent) =>
    eventType === "Added" ? pieces + data.pieces : pieces - data.pieces;
  decide = ({ add = 0, take = 0 }: { add?: number; take?: number }, pieces: number) => {
    this.decided++;
    if (add > 0) return { eventType: "Added" as const, data: { pieces: add } };
    if (take > pieces) throw new RangeError(`there are only ${pieces}`);
    return { eventType: "Taken" as const, data: { pieces: take } };
  };
}

/** Resolves when `look` gives true; looks every 5 ms. */
export async function until(look: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000; // far more than it takes, also on a busy machine
  while (!await look()) {
    if (performance.now() > deadline) throw new Error("It did not come true within 60 s");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Saves an event of an order. */
export async function place(store: EventStore, actorId: string, version = 1, id?: string) {
  const event = createEvent({ eventType: "OrderPlaced", actorId, version, data: { pieces: 1 } });
  return await store.saveEvent(id === undefined ? event : { ...event, id });
}

/** The types of an actor's events. */
export async function typesOf(store: EventStore, actorId: string): Promise<string[]> {
  return (await store.getEvents(actorId)).map(({ eventType }) => eventType);
}
