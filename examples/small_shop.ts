// HTTP, a read model in SQLite, and a process with a timeout, in one file: node small_shop.ts
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { serve } from "@hono/node-server";
import { connect } from "@nats-io/transport-node";
import { Hono } from "hono";
import {
  type Decider,
  type Event,
  execute,
  JetStreamEventStore,
  KvCheckpointStore,
  type Process,
  ProcessManager,
  Projection,
} from "@flowmade-one/aether";
import { accepted, commandId, jsonBody, problem, reached } from "@flowmade-one/aether/http";
import { SqliteCheckpointStore, VersionedTable } from "@flowmade-one/aether/sqlite";

const { PORT = "8080", NATS_URL = "127.0.0.1:4222", FILE = "orders.db", PAYMENT_TIME = "900000" } =
  process.env;

// 1. What an order is.
type OrderEvent =
  | Event<"OrderPlaced", { total: number }>
  | Event<"OrderPaid" | "OrderCancelled", null>;
type Command = { type: "place"; total: number } | { type: "pay" } | { type: "cancel" };
class Refused extends Error {}

const order: Decider<string, Command, OrderEvent> = {
  initialState: () => "new",
  evolve: (_status, { eventType }) => eventType.slice("Order".length).toLowerCase(),
  decide: (command, status) => {
    if (status !== (command.type === "place" ? "new" : "placed")) {
      throw new Refused(`Cannot ${command.type}: the order is ${status}`);
    }
    if (command.type === "place") {
      return { eventType: "OrderPlaced", data: { total: command.total } };
    }
    return { eventType: command.type === "pay" ? "OrderPaid" : "OrderCancelled", data: null };
  },
};

// 2. What happens by itself: an order that is not paid in time is cancelled.
const payment: Process<null, OrderEvent> = {
  name: "payment",
  correlate: ({ actorId }) => actorId,
  initialState: () => null,
  evolve: (state) => state,
  react: (_state, input, { id, now }) => {
    if ("kind" in input) {
      return input.kind === "deadline"
        ? { commands: [{ actorId: id, command: { type: "cancel" } }] }
        : undefined;
    }
    if (input.eventType !== "OrderPlaced") return { deadlines: { payment: null }, done: true };
    return { deadlines: { payment: new Date(now.getTime() + Number(PAYMENT_TIME)) } };
  },
};

// 3. What is read: a table whose rows commit with the projection's position.
const db = new DatabaseSync(FILE);
const table = new VersionedTable(
  "orders",
  (name) => `CREATE TABLE ${name} (id TEXT PRIMARY KEY, total REAL, status TEXT) STRICT`,
);
table.prepare(db);

const connection = await connect({ servers: NATS_URL, maxReconnectAttempts: -1 });
const store = await JetStreamEventStore.open(connection, { namespace: "small-shop" });
const checkpoints = await KvCheckpointStore.open(connection, { namespace: "small-shop" });
const orders = new Projection<DatabaseSync, OrderEvent>({
  name: "orders",
  store,
  checkpoints: new SqliteCheckpointStore(db),
  filter: { category: "order" },
  handler: (event, context) => {
    const name = table.of(context);
    if (event.eventType === "OrderPlaced") {
      context.tx.prepare(`INSERT INTO ${name} VALUES (?, ?, 'placed')`)
        .run(event.actorId, event.data.total);
    } else {
      context.tx.prepare(`UPDATE ${name} SET status = ? WHERE id = ?`)
        .run(order.evolve("placed", event), event.actorId);
    }
  },
  onSwitch: (version, tx) => table.switchTo(version, tx),
});
const manager = new ProcessManager({
  process: payment,
  store,
  checkpoints,
  filter: { category: "order" },
  from: "start",
  deciders: { order },
});
const running = Promise.all([orders.run(), manager.run()]);

// 4. HTTP.
const app = new Hono();

async function run(request: Request, id: string, command: Command): Promise<Response> {
  const key = commandId(request); // Sent again with its Idempotency-Key, it is handled once.
  const options = key === undefined ? {} : { commandId: key };
  const result = await execute(store, `order-${id}`, order, command, options);
  return await accepted(result, { request, readModel: orders });
}

app.post("/orders/:id", async ({ req }) => {
  const { total } = await jsonBody<{ total?: unknown }>(req.raw);
  if (typeof total !== "number") throw new Refused("Cannot place: an order has a total");
  return await run(req.raw, req.param("id"), { type: "place", total });
});
app.post("/orders/:id/payment", ({ req }) => run(req.raw, req.param("id"), { type: "pay" }));
app.get("/orders", async ({ req, json }) => {
  await reached(req.raw, orders); // A client that sends Aether-Position reads its own write.
  return json(db.prepare("SELECT * FROM orders ORDER BY id").all());
});
app.onError((error, { req }) => {
  const status = (error: unknown) => error instanceof Refused ? 409 : undefined;
  return problem(error, { request: req.raw, status });
});

const server = serve(
  { fetch: app.fetch, port: Number(PORT), hostname: "127.0.0.1" },
  ({ port }) => {
    console.log(`The shop is open at http://127.0.0.1:${port}`);
  },
);

// 5. The end.
const signal = new Promise<void>((resolve) => {
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => resolve());
});
await Promise.race([signal, running]);
await new Promise((resolve) => server.close(resolve)); // Requests under way are answered.
await Promise.all([orders[Symbol.asyncDispose](), manager[Symbol.asyncDispose]()]);
await checkpoints[Symbol.asyncDispose]();
await store[Symbol.asyncDispose]();
await connection.close();
db.close();
console.log("The shop is closed");
