/**
 * Runs a projection from a process of its own, whose effects can be counted: rows in a table of
 * SQLite where `checkpoints` is a path, else lines in the file `effects` with checkpoints in KV.
 * Says `ready` at its first event, and ends with its input.
 *
 *     projection_process.ts <url> <namespace> <options as JSON>
 *
 * @module
 */

import { connect } from "@nats-io/transport-node";
import { DatabaseSync } from "node:sqlite";
import { SqliteCheckpointStore } from "../../../adapters/sqlite/mod.ts";
import {
  JetStreamEventStore,
  KvCheckpointStore,
  Projection,
  ProjectionLeases,
} from "../../../store/mod.ts";

/** The process's instructions. */
export interface ProcessOptions {
  /** The path of the SQLite database; without it, checkpoints are in KV. */
  readonly database?: string;
  /** The file that gets a line for each event, if there is no database. */
  readonly effects?: string;
  readonly partitions?: number;
  readonly batch?: number;
  /** Whether partitions are shared; for how long a lease holds, in ms. */
  readonly lease?: number;
}

if (import.meta.main) {
  const [url = "", namespace = "", json = "{}"] = Deno.args;
  const options: ProcessOptions = JSON.parse(json);
  const connection = await connect({ servers: url, maxReconnectAttempts: -1 });
  const store = await JetStreamEventStore.open(connection, { namespace });
  const worker = `${Deno.pid}`;
  let isReady = false;
  const ready = (): void => {
    if (!isReady) console.log("ready");
    isReady = true;
  };
  const { lease, partitions = 1, batch = 100 } = options;
  const leases = lease === undefined
    ? undefined
    : await ProjectionLeases.open(connection, { namespace, lease });
  const shared = {
    ...{ name: "effects", store, partitions, batch },
    ...(leases && { leases }),
    onError() {}, // Kills and freezes are meant.
  };
  let projection: AsyncDisposable & { run(): Promise<void> };
  if (options.database === undefined) {
    const file = await Deno.open(options.effects!, { append: true, create: true });
    const encoder = new TextEncoder();
    projection = new Projection({
      ...shared,
      checkpoints: await KvCheckpointStore.open(connection, { namespace }),
      handler: ({ sequence, actorId, version }, { partition }) => {
        const line = `${sequence} ${actorId} ${version} ${partition} ${worker}\n`;
        file.writeSync(encoder.encode(line));
        ready();
      },
    });
  } else {
    const db = new DatabaseSync(options.database);
    db.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL"); // others have it too
    const checkpoints = new SqliteCheckpointStore(db);
    db.exec(`
      CREATE TABLE IF NOT EXISTS effects (
        at INTEGER PRIMARY KEY, sequence INTEGER, actor TEXT, version INTEGER,
        partition INTEGER, worker TEXT
      );
      CREATE TABLE IF NOT EXISTS totals (actor TEXT PRIMARY KEY, events INTEGER)`);
    projection = new Projection({
      ...shared,
      checkpoints,
      handler: ({ sequence, actorId, version }, { tx, partition }) => {
        tx.prepare(
          "INSERT INTO effects (sequence, actor, version, partition, worker) VALUES (?, ?, ?, ?, ?)",
        ).run(sequence, actorId, version, partition, worker);
        tx.prepare(
          "INSERT INTO totals VALUES (?, 1) ON CONFLICT DO UPDATE SET events = events + 1",
        ).run(actorId);
        ready();
      },
    });
  }
  const running = projection.run();
  const input = Deno.stdin.readable.pipeTo(new WritableStream());
  await Promise.race([running, input]);
  await projection[Symbol.asyncDispose]();
  Deno.exit(0);
}
