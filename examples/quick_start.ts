import process from "node:process";
import { connect } from "@nats-io/transport-node";
import {
  appendEvents,
  type Event,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
} from "@flowmade-one/aether";

type Placed = Event<"OrderPlaced", { total: number }>;
type Shipped = Event<"OrderShipped", { tracking: string }>;

// In memory, or with --nats on a real server: the rest is the same.
const servers = process.argv.includes("--nats") && (process.env.NATS_URL ?? "127.0.0.1:4222");
const nats = servers ? await connect({ servers }) : undefined;
const store = nats
  ? await JetStreamEventStore.open(nats, { namespace: `quick-start-${Date.now()}` })
  : new InMemoryEventStore();

// Save two events, both or none. The order has none yet, so they become versions 1 and 2.
const placed = { eventType: "OrderPlaced", data: { total: 99.99 } };
const shipped = { eventType: "OrderShipped", data: { tracking: "FS123456" } };
await appendEvents(store, "order-123", 0, [placed, shipped]);

// Replay them: the state is what the events make of it.
let order = { status: "new", total: 0, tracking: "" };
const events = await store.getEvents<Placed | Shipped>("order-123");
for (const { eventType, data } of events) {
  if (eventType === "OrderPlaced") order = { ...order, status: "placed", total: data.total };
  else order = { ...order, status: "shipped", tracking: data.tracking };
}
console.log(`Order state after replaying ${events.length} events:`);
console.log(`  Status: ${order.status}\n  Total: $${order.total}\n  Tracking: ${order.tracking}`);

// Two writers decide on version 2: one wins, the other learns where the order is now.
const note = { eventType: "NoteAdded", data: { text: "gift wrap" } };
await appendEvents(store, "order-123", 2, [note]);
await appendEvents(store, "order-123", 2, [note]).catch((error) => {
  if (!isAetherError(error, "VersionConflictError")) throw error;
  console.log(`Conflict: ${error.message}`);
});

await store[Symbol.asyncDispose]();
await nats?.close();
