/**
 * Projects orders to a read model in SQLite, live: each event has its effect exactly once, as rows
 * and position commit together. Then rebuilds the model beside the one that is read.
 *
 * @module
 */

import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { connect } from "@nats-io/transport-node";
import {
  appendEvents,
  type Event,
  type EventStore,
  InMemoryEventStore,
  JetStreamEventStore,
  Projection,
} from "@flowmade-one/aether";
import { SqliteCheckpointStore, VersionedTable } from "@flowmade-one/aether/sqlite";

type OrderEvent =
  | Event<"OrderPlaced", { customer: string; total: number }>
  | Event<"OrderShipped", { carrier: string }>;

// In memory, or with --nats on a real server: the rest is the same.
const nats = process.argv.includes("--nats")
  ? await connect({ servers: process.env.NATS_URL ?? "127.0.0.1:4222" })
  : undefined;
const store: EventStore = nats
  ? await JetStreamEventStore.open(nats, { namespace: `orders-${Date.now()}` })
  : new InMemoryEventStore();

// The read model: a table for each version of the projection, and a view on the one that is read.
const db = new DatabaseSync(":memory:");
const orders = new VersionedTable(
  "orders",
  (table) =>
    `CREATE TABLE ${table} (id TEXT PRIMARY KEY, customer TEXT, total REAL, status TEXT) STRICT`,
);
orders.prepare(db);

const projection = new Projection<DatabaseSync, OrderEvent>({
  name: "orders",
  store,
  checkpoints: new SqliteCheckpointStore(db),
  filter: { category: "order" },
  handler: (event, context) => {
    const { tx } = context;
    const table = orders.of(context);
    switch (event.eventType) {
      case "OrderPlaced": {
        const { customer, total } = event.data;
        tx.prepare(`INSERT INTO ${table} VALUES (?, ?, ?, 'placed')`)
          .run(event.actorId, customer, total);
        break;
      }
      case "OrderShipped":
        tx.prepare(`UPDATE ${table} SET status = 'shipped' WHERE id = ?`).run(event.actorId);
    }
  },
  // In the transaction that makes the new version the one that is read.
  onSwitch: (version, tx) => orders.switchTo(version, tx),
});

function show(title: string): void {
  console.log(title);
  for (const row of db.prepare("SELECT * FROM orders ORDER BY id").all()) {
    console.log(`  ${row["id"]} of ${row["customer"]}: ${row["total"]}, ${row["status"]}`);
  }
}

const running = projection.run();
const place = (id: string, customer: string, total: number) =>
  appendEvents<OrderEvent>(store, id, 0, [
    { eventType: "OrderPlaced", data: { customer, total } },
  ]);
await place("order-1", "Ada", 99.99);
await place("order-2", "Bob", 20);
await projection.caughtUp;
show("Two orders:");

await appendEvents<OrderEvent>(store, "order-1", 1, [
  { eventType: "OrderShipped", data: { carrier: "DHL" } },
]);
await projection.caughtUp;
show("One is shipped:");

db.exec("UPDATE orders_v1 SET total = 0"); // a mistake
show("The model is broken:");
const version = await projection.rebuild();
await place("order-3", "Cid", 7.5);
await projection.caughtUp;
show(`Version ${version}, from the events:`);
console.log(`behind by ${(await projection.lag()).events} events`);

await projection[Symbol.asyncDispose]();
await running;
await store[Symbol.asyncDispose]();
await nats?.close();
db.close();
