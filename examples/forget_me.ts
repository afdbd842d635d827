// Forgets one of two customers, whose data is sealed in the events of several actors.
import {
  appendEvents,
  type Event,
  type EventStore,
  FORGOTTEN,
  type Forgotten,
  InMemoryEventStore,
  InMemoryKeyStore,
  isAetherError,
  sealedCodec,
} from "@flowmade-one/aether";

type Registered = Event<"Registered", {
  customer: string;
  plan: string;
  name: string | Forgotten;
}>;
type OrderPlaced = Event<"OrderPlaced", {
  customer: string;
  total: number;
  address: string | Forgotten;
}>;
type ShopEvent = Registered | OrderPlaced;

// The compiler wants each field whose type has `Forgotten` in it, and the subject that it is of.
const codec = sealedCodec<ShopEvent>({
  keys: new InMemoryKeyStore(), // in production KvKeyStore, or your own on a key service
  fields: {
    Registered: { name: "customer" },
    OrderPlaced: { address: "customer" },
  },
});
const store = new InMemoryEventStore({ codec });

async function show(store: EventStore): Promise<void> {
  for await (const { actorId, eventType, data } of store.readAll()) {
    const shown = JSON.stringify(
      data,
      (_, value) => value === FORGOTTEN ? "(forgotten)" : value,
    );
    console.log(`  ${actorId} ${eventType}: ${shown}`);
  }
}

const register = (customer: string, name: string) =>
  appendEvents<ShopEvent>(store, `customer-${customer}`, 0, [
    { eventType: "Registered", data: { customer, plan: "free", name } },
  ]);

await register("c1", "Ada");
await register("c2", "Bob");
await appendEvents<ShopEvent>(store, "order-1", 0, [
  { eventType: "OrderPlaced", data: { customer: "c1", total: 5, address: "1 High Street" } },
]);
console.log("Stored:");
await show(store);

const { duties } = await codec.forget("c1");
console.log("After c1 is forgotten:");
await show(store);
console.log(`Left to do: ${duties.map(({ place }) => place).join(", ")}`);

// The histories go on; what cannot be sealed is not saved.
try {
  await appendEvents<ShopEvent>(store, "order-1", 1, [
    { eventType: "OrderPlaced", data: { customer: "c1", total: 7, address: "2 High Street" } },
  ]);
} catch (error) {
  if (!isAetherError(error, "InvalidEventError")) throw error;
  console.log(error.message);
}
await store[Symbol.asyncDispose]();
