/**
 * The bed of tests of projections: events, read models that notice events that are doubled or out
 * of order, and the checkpoint stores that projections run on.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { SqliteCheckpointStore } from "../../../adapters/sqlite/mod.ts";
import {
  type CheckpointStore,
  createEvent,
  type Event,
  type EventStore,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  JetStreamEventStore,
  KvCheckpointStore,
  Projection,
  type ProjectionOptions,
  type RecordedEvent,
} from "../../../store/mod.ts";
import { natsTest } from "../../support/fixture.ts";

/** The tools of a test of projections. */
export interface Bed {
  readonly store: EventStore;
  readonly checkpoints: CheckpointStore<unknown>;
}

/** A test on memory, and on a real server with checkpoints in KV and in SQLite. */
export function projectionTest(name: string, run: (bed: Bed) => Promise<void>): void {
  Deno.test(`${name} (memory)`, async () => {
    await using store = new InMemoryEventStore();
    await run({ store, checkpoints: new InMemoryCheckpointStore() });
  });
  natsTest(`${name} (KV)`, async (scene) => {
    const { namespace } = scene;
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { namespace });
    await using checkpoints = await KvCheckpointStore.open(connection, { namespace });
    await run({ store, checkpoints });
  });
  natsTest(`${name} (SQLite)`, async (scene) => {
    const { namespace } = scene;
    await using store = await JetStreamEventStore.open(await scene.connect(), { namespace });
    const db = new DatabaseSync(":memory:");
    await run({ store, checkpoints: new SqliteCheckpointStore(db) as CheckpointStore<unknown> });
    db.close();
  });
}

/** An event of an actor. */
export function fact(actorId: string, version: number, eventType = "Happened"): Event {
  return createEvent({ eventType, actorId, version, data: { version } });
}

/** Saves events of several actors in turn, each from `from` to `to`. */
export async function fill(
  store: EventStore,
  actors: readonly string[],
  from: number,
  to: number,
): Promise<void> {
  for (let version = from; version <= to; version++) {
    await store.saveEvents(actors.map((actorId) => fact(actorId, version)));
  }
}

/** Keeps what a handler was given. */
export class Model {
  /** In the order of handling. */
  readonly seen: RecordedEvent[] = [];

  /** The handler. */
  readonly handle = (event: RecordedEvent): void => void this.seen.push(event);

  /** The versions that came of an actor. */
  of(actorId: string): number[] {
    return this.seen.filter((event) => event.actorId === actorId).map(({ version }) => version);
  }
}

/** Options that tests share: quick tries, and silence where failures are meant. */
export function quick<Tx = unknown>(
  { store, checkpoints }: Bed,
  options: Partial<ProjectionOptions<Tx>> & Pick<ProjectionOptions<Tx>, "handler">,
): ProjectionOptions<Tx> {
  return {
    name: "model",
    store,
    checkpoints: checkpoints as CheckpointStore<Tx>,
    retry: { attempts: 3, delay: 1 },
    onError: () => {},
    ...options,
  };
}

/** Something that runs until it is ended. */
export class Running<T extends AsyncDisposable & { run(): Promise<void> }>
  implements AsyncDisposable {
  readonly of: T;
  readonly #done: Promise<unknown>;

  constructor(of: T) {
    this.of = of;
    this.#done = of.run().then(() => undefined, (error: unknown) => error);
  }

  /** Resolves with what it ends with by itself. */
  get end(): Promise<unknown> {
    return this.#done;
  }

  /** Ends it; it must not have failed. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.of[Symbol.asyncDispose]();
    const error = await this.#done;
    if (error !== undefined) throw error;
  }
}

/** A projection that runs until it is ended. */
export class Run<Tx = unknown> extends Running<Projection<Tx>> {
  constructor(options: ProjectionOptions<Tx>) {
    super(new Projection(options));
  }

  get projection(): Projection<Tx> {
    return this.of;
  }
}

/** The numbers from `from` to `to`. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

/** Passes if each actor's versions came once, in order, up to `to`. */
export function assertWhole(model: Model, actors: readonly string[], to: number): void {
  for (const actorId of actors) assertEquals(model.of(actorId), range(1, to), actorId);
}
