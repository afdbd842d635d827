// Orders take stock of several articles, are paid or cancelled, and shipped by an HTTP call.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  appendEvents,
  type Decider,
  effect,
  type Event,
  execute,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  type Process,
  ProcessManager,
  rehydrate,
} from "@flowmade-one/aether";

type Placed = Event<"OrderPlaced", { skus: string[] }>;
type Input = Placed | Event<"OrderPaid", null>;
type Fact =
  | Event<"Ordered", string[]>
  | Event<"Reserved" | "Missing" | "Late" | "Shipped", string>
  | Event<"Paid", null>;
type Order = { waits: number; reserved: string[]; paid: boolean; end?: string };

/** A shelf gives only what it has. */
const shelf: Decider<number, { by: number }, Event<"Moved", number>> = {
  initialState: () => 0,
  evolve: (pieces, { data }) => pieces + data,
  decide: ({ by }, pieces) => {
    if (pieces + by < 0) throw new RangeError(`there are only ${pieces}`);
    return { eventType: "Moved", data: by };
  },
};

const fact = (eventType: Fact["eventType"], data: Fact["data"]) => [{ eventType, data } as Fact];
const move = (by: number) => (sku: string) => ({ actorId: `shelf-${sku}`, command: { by } });
const canShip = ({ waits, paid, end }: Order) => waits === 0 && paid && end === undefined;

const order: Process<Order, Input, Fact> = {
  name: "order",
  correlate: ({ actorId }) => actorId.slice("order-".length),
  initialState: () => ({ waits: 0, reserved: [], paid: false }),
  evolve: (order, { eventType, data }) => {
    const waits = order.waits - 1;
    if (eventType === "Ordered") return { ...order, waits: data.length };
    if (eventType === "Paid") return { ...order, paid: true };
    if (eventType === "Reserved") return { ...order, waits, reserved: [...order.reserved, data] };
    if (eventType === "Missing") return { ...order, waits, end: `cancelled, no ${data}` };
    return { ...order, end: data };
  },
  react: (before, input, { id, now }) => {
    if (!("kind" in input) && input.eventType === "OrderPlaced") {
      const { skus } = input.data;
      const payment = new Date(now.getTime() + 2_000);
      return { facts: fact("Ordered", skus), commands: skus.map(move(-1)), deadlines: { payment } };
    }
    if ("kind" in input && input.kind === "effect") {
      return { facts: fact("Shipped", `shipped as ${input.result}`), done: true };
    }
    const facts = !("kind" in input)
      ? fact("Paid", null)
      : input.kind === "deadline"
      ? fact("Late", "cancelled, not paid in time")
      : fact(input.refused ? "Missing" : "Reserved", input.actorId.slice("shelf-".length));
    const after = facts.reduce(order.evolve, before);
    if (after.end !== undefined && after.waits === 0) {
      return { facts, commands: after.reserved.map(move(1)), done: true }; // Gives all back.
    }
    const deadlines = after.paid && !before.paid ? { payment: null } : {};
    if (!canShip(after) || canShip(before)) return { facts, deadlines };
    return { facts, deadlines, effects: [{ name: "ship", input: { id } }] };
  },
};

let calls = 0;
const carrier = createServer((_, response) => {
  response.statusCode = ++calls < 3 ? 503 : 200;
  response.end(`parcel ${calls}`);
});
await new Promise<void>((resolve) => carrier.listen(0, "127.0.0.1", resolve));
const url = `http://127.0.0.1:${(carrier.address() as AddressInfo).port}/parcels`;
const ship = effect("ship", async ({ id }: { id: string }, { idempotencyKey, signal }) => {
  const headers = { "Idempotency-Key": idempotencyKey, "Connection": "close" };
  const response = await fetch(`${url}/${id}`, { method: "POST", headers, signal });
  const text = await response.text();
  if (!response.ok) throw new Error(`the carrier answers ${response.status}`);
  return text;
}, { delay: 10 });

await using store = new InMemoryEventStore(); // A JetStreamEventStore in production.
for (const sku of ["pen", "ink"]) await execute(store, `shelf-${sku}`, shelf, { by: 3 });
const manager = new ProcessManager({
  ...{ process: order, store, checkpoints: new InMemoryCheckpointStore(), from: "start" },
  ...{ filter: { category: "order" }, deciders: { shelf }, effects: [ship] },
  onError: (error) => console.log((error as Error).message),
});
const running = manager.run();
const place = (id: string, skus: string[]) =>
  appendEvents(store, `order-${id}`, 0, [{ eventType: "OrderPlaced", data: { skus } }]);
await place("1", ["pen", "ink"]);
await appendEvents(store, "order-1", 1, [{ eventType: "OrderPaid", data: null }]);
await place("2", ["pen", "ink"]); // Is never paid.
await place("3", ["pen", "paper"]); // There is no paper.
for (const id of ["1", "2", "3"]) {
  let found = await manager.describe(id);
  while (found.ended === undefined || found.commands.length > 0) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    found = await manager.describe(id);
  }
  console.log(`order ${id}: ${found.state?.end}`);
}
console.log("pens left:", (await rehydrate(store, "shelf-pen", shelf)).state);
await manager[Symbol.asyncDispose]();
await running;
carrier.close();
