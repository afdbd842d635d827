import process from "node:process";
import { connect } from "@nats-io/transport-node";
import {
  createEvent,
  type Event,
  EVENT_STORED,
  type EventStore,
  InMemoryEventStore,
  isAetherError,
  JetStreamEventStore,
  LocalEventBus,
} from "@flowmade-one/aether";

type OrderPlaced = Event<"OrderPlaced", { total: number; items: number }>;
type OrderShipped = Event<"OrderShipped", { carrier: string; tracking: string }>;
type NoteAdded = Event<"NoteAdded", { text: string }>;
type OrderEvent = OrderPlaced | OrderShipped | NoteAdded;

interface Order {
  status: "new" | "placed" | "shipped";
  total: number;
  tracking?: string;
}

function evolve(order: Order, event: OrderEvent): Order {
  switch (event.eventType) {
    case "OrderPlaced":
      return { ...order, status: "placed", total: event.data.total };
    case "OrderShipped":
      return { ...order, status: "shipped", tracking: event.data.tracking };
    case "NoteAdded":
      return order;
  }
}

// In memory, or with --nats on a real server: the rest is the same.
const namespace = `quick-start-${Date.now()}`;
const bus = new LocalEventBus();
const nats = process.argv.includes("--nats")
  ? await connect({ servers: process.env.NATS_URL ?? "127.0.0.1:4222" })
  : undefined;
const store: EventStore = nats
  ? await JetStreamEventStore.open(nats, { namespace, broadcaster: bus })
  : new InMemoryEventStore({ namespace, broadcaster: bus });

// Hear of each event that is stored.
const notifications: string[] = [];
bus.on(namespace, (event) => {
  notifications.push(`  ${event.eventType}: version ${event.version} of ${event.actorId}`);
}, { eventTypes: [EVENT_STORED] });

// Save what happened, each event at its version.
const actorId = "order-123";
await store.saveEvent(createEvent<OrderPlaced>({
  eventType: "OrderPlaced",
  actorId,
  version: 1,
  data: { total: 99.99, items: 3 },
}));
await store.saveEvent(createEvent<OrderShipped>({
  eventType: "OrderShipped",
  actorId,
  version: 2,
  data: { carrier: "FastShip", tracking: "FS123456" },
}));

// Replay it: the state is what the events make of it.
const events = await store.getEvents<OrderEvent>(actorId);
const order = events.reduce(evolve, { status: "new", total: 0 });
console.log(`Order state after replaying ${events.length} events:`);
console.log(`  Status: ${order.status}`);
console.log(`  Total: $${order.total}`);
console.log(`  Tracking: ${order.tracking}`);

// Two writers at one version: one wins, the other is told where the order is now.
function addNote(version: number, text: string) {
  return store.saveEvent(
    createEvent<NoteAdded>({ eventType: "NoteAdded", actorId, version, data: { text } }),
  );
}
const next = await store.getLatestVersion(actorId) + 1;
await addNote(next, "gift wrap");
try {
  await addNote(next, "ring twice");
} catch (error) {
  if (!isAetherError(error, "VersionConflictError")) throw error;
  console.log(`Conflict: ${error.message}`);
  await addNote(error.currentVersion + 1, "ring twice");
  console.log(`Retried: saved at version ${await store.getLatestVersion(actorId)}`);
}

await store[Symbol.asyncDispose]();
await bus[Symbol.asyncDispose]();
await nats?.close();
console.log("Notifications:");
console.log(notifications.join("\n"));
