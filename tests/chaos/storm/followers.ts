/**
 * What a process of a storm follows: a subscription, two projections, notifications, and the
 * processes that wait for deadlines.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { SqliteCheckpointStore } from "../../../adapters/sqlite/mod.ts";
import type { EventBus } from "../../../bus/mod.ts";
import {
  type EventStored,
  isAetherError,
  type JetStreamEventStore,
  type KvCheckpointStore,
  ProcessManager,
  Projection,
  type ProjectionLeases,
} from "../../../store/mod.ts";
import { alarm, BELLS } from "./alarm.ts";
import type { Recorder } from "./history.ts";

/** How long followers may take to come to the end once nothing harms them, in ms. */
const PATIENCE = 60_000;

/** What followers work with. */
export interface FollowerParts {
  readonly store: JetStreamEventStore;
  readonly bus: EventBus;
  readonly checkpoints: KvCheckpointStore;
  readonly leases: ProjectionLeases;
  readonly recorder: Recorder;
  /** The path of this process's history. */
  readonly history: string;
  /** The read model that processes share. */
  readonly db: DatabaseSync;
}

/** All that one process follows. */
export class Followers implements AsyncDisposable {
  readonly #parts: FollowerParts;
  readonly #ends = new AbortController();
  readonly #projections: readonly Projection<never>[];
  readonly #stack = new AsyncDisposableStack();
  readonly #running: Promise<void>[] = [];
  #position = 0;
  #moved = Promise.withResolvers<void>();

  /** Begins. */
  constructor(parts: FollowerParts) {
    this.#parts = parts;
    const { store, recorder, bus, checkpoints, leases } = parts;
    const shared = { store, leases, batch: 20, onError() {} }; // Outages are meant.
    const inKv = new Projection({
      ...{ ...shared, name: "lines", partitions: 3, checkpoints },
      handler: ({ sequence: position, id }) => recorder.see("projected", { position, id }),
    });
    const { db } = parts;
    const inSqlite = new Projection<DatabaseSync>({
      ...{ ...shared, name: "rows", partitions: 2, checkpoints: new SqliteCheckpointStore(db) },
      handler: ({ sequence }, { tx }) => {
        tx.prepare("INSERT INTO rows (position) VALUES (?)").run(sequence);
      },
    });
    const processes = new ProcessManager({
      ...{ process: alarm, store, checkpoints, leases, partitions: 4, deciders: BELLS },
      ...{ filter: { category: "ask" }, from: "start" },
      onError: (error) => recorder.see("trouble", String(error)), // Outages are meant.
    });
    this.#projections = [inKv, inSqlite] as unknown as Projection<never>[];
    this.#stack.defer(() => db.close());
    for (const one of [inKv, inSqlite, processes]) {
      this.#stack.use(one);
      this.#running.push(one.run().catch((error) => this.#fail("a follower", error)));
    }
    const heard = bus.on<EventStored>(store.namespace, ({ data }) => {
      const { eventId: id, actorId, version, sequence: position } = data;
      recorder.see("heard", { id, actorId, version, position });
    }, { eventTypes: ["EventStored"] });
    this.#stack.use(heard);
    this.#running.push(this.#subscribe());
  }

  /** Resolves when all that is followed has come to `position`. */
  async reached(position: number): Promise<void> {
    const over = performance.now() + PATIENCE;
    while (this.#position < position) {
      if (performance.now() > over) {
        return this.#fail("a subscription", `at ${this.#position}, not ${position}`);
      }
      const wait = Promise.withResolvers<void>();
      const timer = setTimeout(wait.resolve, 1_000);
      await Promise.race([this.#moved.promise, wait.promise]);
      clearTimeout(timer);
    }
    await Promise.all(this.#projections.map(async (projection) => {
      await projection.reached(position, { timeout: PATIENCE })
        .catch((error) => this.#fail(projection.name, error));
    }));
  }

  /** Ends all. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ends.abort();
    await this.#stack.disposeAsync();
    await Promise.all(this.#running);
  }

  #fail(what: string, error: unknown): void {
    this.#parts.recorder.see("failed", `${what}: ${error}`);
  }

  /** Notes each event before it goes on, and goes on behind what the life before had noted. */
  async #subscribe(): Promise<void> {
    const { store, recorder, history } = this.#parts;
    this.#position = lastNoted(history);
    const { signal } = this.#ends;
    while (!signal.aborted) {
      try {
        const from = this.#position + 1;
        for await (const { sequence: position, id } of store.subscribe({ from, signal })) {
          recorder.see("subscribed", { position, id });
          this.#position = position;
          this.#moved.resolve();
          this.#moved = Promise.withResolvers();
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!isAetherError(error, "StoreUnavailableError")) {
          return this.#fail("a subscription", error);
        }
      }
    }
  }
}

/** Opens the read model; a frozen process may hold its lock for seconds. */
export async function openRows(path: string): Promise<DatabaseSync> {
  for (;;) {
    const db = new DatabaseSync(path);
    try {
      db.exec(`PRAGMA busy_timeout = 200; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
        CREATE TABLE IF NOT EXISTS rows (at INTEGER PRIMARY KEY, position INTEGER)`);
      return db;
    } catch (error) {
      db.close();
      if (!String(error).includes("locked")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** The position that was noted last in a history. */
function lastNoted(path: string): number {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const at = text.lastIndexOf('"kind":"subscribed"');
  if (at < 0) return 0;
  const line = text.slice(text.lastIndexOf("\n", at) + 1).split("\n", 1)[0]!;
  try {
    return JSON.parse(line).what.position;
  } catch {
    throw new Error(`A line of "${path}" is torn: ${line}`);
  }
}
