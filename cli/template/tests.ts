/** The tests of a new project, for `deno test` and `node --test`. */
export const TESTS = `import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { execute, JetStreamEventStore } from "@flowmade-one/aether";
import { deciderSpec, projectionSpec } from "@flowmade-one/aether/testing";
import { startNats } from "@flowmade-one/aether/testing/nats";
import { order, Refused } from "./order.ts";
import { ordersView, project, table } from "./orders_view.ts";

const placed = { eventType: "OrderPlaced", data: { total: 5 } } as const;
const paid = { eventType: "OrderPaid", data: null } as const;

test("an order is placed, then paid, once each", () => {
  const spec = deciderSpec(order);
  spec.given().when({ type: "place", total: 5 }).then(placed);
  spec.given(placed).when({ type: "pay" }).then(paid);
  spec.given([placed, paid]).when({ type: "pay" }).then([]);
  spec.given(placed).when({ type: "place", total: 5 }).then(Refused);
  spec.given().when({ type: "pay" }).then(Refused);
});

test("the table has each order with its status", async () => {
  const spec = projectionSpec(() => {
    const db = new DatabaseSync(":memory:");
    table.prepare(db);
    return {
      handler: project,
      tx: db,
      read: () => db.prepare("SELECT * FROM orders ORDER BY id").all(),
      close: () => db.close(),
    };
  });
  await spec.given([
    { ...placed, actorId: "order-1" },
    { ...placed, actorId: "order-2" },
    { ...paid, actorId: "order-1" },
  ]).then([
    { id: "order-1", total: 5, status: "paid" },
    { id: "order-2", total: 5, status: "placed" },
  ]);
});

test("an order reaches the table, on a real server", async () => {
  const nats = await startNats();
  const connection = await connect({ servers: nats.urls });
  const store = await JetStreamEventStore.open(connection, { namespace: "test" });
  const db = new DatabaseSync(":memory:");
  const view = ordersView(store, db);
  const running = view.run();
  try {
    const { sequence } = await execute(store, "order-1", order, { type: "place", total: 5 });
    await view.reached(sequence);
    assert.equal(db.prepare("SELECT status FROM orders").get()?.["status"], "placed");
  } finally {
    await view[Symbol.asyncDispose]();
    await running;
    await store[Symbol.asyncDispose]();
    await connection.close();
    await nats[Symbol.asyncDispose]();
    db.close();
  }
});
`;
