/**
 * The program of a new project, the same on Deno and Node. `NAME` stands for the project's name.
 * It holds no backtick, so that it can be written down as it is.
 *
 * @module
 */

/** The rules. */
export const ORDER = `import type { Decider, Event } from "@flowmade-one/aether";

/** The events of an order. */
export type OrderEvent = Event<"OrderPlaced", { total: number }> | Event<"OrderPaid", null>;

/** The commands to an order. */
export type OrderCommand = { type: "place"; total: number } | { type: "pay" };

/** Thrown for a command that an order cannot follow. */
export class Refused extends Error {}

/** The rules: plain functions, which order.test.ts tests without a store. */
export const order: Decider<string, OrderCommand, OrderEvent> = {
  initialState: () => "new",
  evolve: (_status, { eventType }) => eventType === "OrderPlaced" ? "placed" : "paid",
  decide: (command, status) => {
    if (command.type === "place") {
      if (status !== "new") throw new Refused("Cannot place the order: it is " + status);
      return { eventType: "OrderPlaced", data: { total: command.total } };
    }
    if (status === "paid") return []; // Once is enough.
    if (status === "new") throw new Refused("Cannot pay the order: there is none");
    return { eventType: "OrderPaid", data: null };
  },
};
`;

/** The read model. */
export const VIEW = `import type { DatabaseSync } from "node:sqlite";
import { type EventStore, Projection } from "@flowmade-one/aether";
import { SqliteCheckpointStore, VersionedTable } from "@flowmade-one/aether/sqlite";
import type { OrderEvent } from "./order.ts";

/** The table of orders: readers use the view "orders", whatever version is behind it. */
export const table: VersionedTable = new VersionedTable(
  "orders",
  (name) => "CREATE TABLE " + name + " (id TEXT PRIMARY KEY, total REAL, status TEXT) STRICT",
);

/** Writes an event into the table. */
export function project(
  event: OrderEvent,
  context: { readonly tx: DatabaseSync; readonly version: number },
): void {
  const name = table.of(context);
  if (event.eventType === "OrderPlaced") {
    context.tx.prepare("INSERT INTO " + name + " VALUES (?, ?, 'placed')")
      .run(event.actorId, event.data.total);
  } else {
    context.tx.prepare("UPDATE " + name + " SET status = 'paid' WHERE id = ?").run(event.actorId);
  }
}

/** Keeps the table up to date; rows and position commit together, so each event counts once. */
export function ordersView(
  store: EventStore,
  db: DatabaseSync,
): Projection<DatabaseSync, OrderEvent> {
  table.prepare(db);
  return new Projection<DatabaseSync, OrderEvent>({
    name: "orders",
    store,
    checkpoints: new SqliteCheckpointStore(db),
    filter: { category: "order" },
    handler: project,
    onSwitch: (version, tx) => table.switchTo(version, tx),
  });
}
`;

/** The program. */
export const MAIN =
  `// Places and pays one order, and shows all orders. It needs a server: see the README.
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { connect } from "@nats-io/transport-node";
import { execute, JetStreamEventStore } from "@flowmade-one/aether";
import { order } from "./order.ts";
import { ordersView } from "./orders_view.ts";

const servers = process.env["NATS_URL"] ?? "127.0.0.1:4222";
const connection = await connect({ servers, maxReconnectAttempts: -1 });
const store = await JetStreamEventStore.open(connection, { namespace: "NAME" });
const db = new DatabaseSync(process.env["FILE"] ?? "orders.db");
const view = ordersView(store, db);
const running = view.run();

const id = "order-" + Date.now();
await execute(store, id, order, { type: "place", total: 5 });
const { sequence } = await execute(store, id, order, { type: "pay" });
await view.reached(sequence); // the table has what was saved
for (const row of db.prepare("SELECT * FROM orders").all()) console.log({ ...row });

await view[Symbol.asyncDispose]();
await running;
await store[Symbol.asyncDispose]();
await connection.close();
db.close();
`;
