// The read model: a table of orders, whose rows commit with the projection's position.
import type { DatabaseSync } from "node:sqlite";
import { type EventStore, Projection } from "@flowmade-one/aether";
import { SqliteCheckpointStore, VersionedTable } from "@flowmade-one/aether/sqlite";
import type { OrderEvent } from "./order.ts";

export interface OrderRow {
  readonly id: string;
  readonly customer: string;
  /** In cents. */
  readonly total: number;
  readonly status: string;
  /** The parcel's number, or why it is cancelled. */
  readonly note: string | null;
}

const table = new VersionedTable(
  "orders",
  (name) =>
    `CREATE TABLE ${name} (id TEXT PRIMARY KEY, customer TEXT, total INTEGER, status TEXT, note TEXT) STRICT`,
);

/** The projection that fills the table. */
export function ordersProjection(
  store: EventStore,
  db: DatabaseSync,
): Projection<DatabaseSync, OrderEvent> {
  db.exec("PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 5000");
  table.prepare(db);
  return new Projection<DatabaseSync, OrderEvent>({
    name: "orders",
    store,
    checkpoints: new SqliteCheckpointStore(db),
    filter: { category: "order" },
    handler: (event, context) => {
      const { tx } = context;
      const name = table.of(context);
      const become = (status: string, note: string | null = null) =>
        tx.prepare(`UPDATE ${name} SET status = ?, note = ? WHERE id = ?`)
          .run(status, note, event.actorId);
      switch (event.eventType) {
        case "OrderPlaced":
          tx.prepare(`INSERT INTO ${name} VALUES (?, ?, ?, 'placed', NULL)`)
            .run(event.actorId, event.data.customer, event.data.total);
          break;
        case "OrderReserved":
          become("reserved");
          break;
        case "OrderPaid":
          become("paid");
          break;
        case "OrderShipped":
          become("shipped", event.data.parcel);
          break;
        case "OrderCancelled":
          become("cancelled", event.data.reason);
      }
    },
    onSwitch: (version, tx) => table.switchTo(version, tx),
  });
}

/** All orders, or the one of an id. */
export function ordersIn(db: DatabaseSync, id?: string): OrderRow[] {
  const query = "SELECT * FROM orders WHERE ? IS NULL OR id = ? ORDER BY id";
  const actorId = id === undefined ? null : `order-${id}`;
  return db.prepare(query).all(actorId, actorId).map((row) => ({
    ...row,
  })) as unknown as OrderRow[];
}
