import {
  type Codec,
  createEvent,
  type Event,
  type EventStore,
  FORGOTTEN,
  InMemoryEventStore,
  isAetherError,
} from "@flowmade-one/aether";

/** Keeps one key for each actor, anywhere but beside the events: deleting it is forgetting. */
interface KeyStore {
  /** The actor's key, made when it is first asked for; `undefined` once it is deleted. */
  keyOf(actorId: string): Promise<CryptoKey | undefined>;
  delete(actorId: string): void;
}

class InMemoryKeyStore implements KeyStore {
  readonly #keys = new Map<string, Promise<CryptoKey> | "deleted">();

  async keyOf(actorId: string): Promise<CryptoKey | undefined> {
    let key = this.#keys.get(actorId);
    if (key === undefined) {
      key = crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, [
        "encrypt",
        "decrypt",
      ]);
      this.#keys.set(actorId, key);
    }
    return key === "deleted" ? undefined : await key;
  }

  delete(actorId: string): void {
    this.#keys.set(actorId, "deleted");
  }
}

/** Encrypts the data of each event under its actor's key; the rest stays readable. */
function sealed(keys: KeyStore): Codec<Event> {
  // Sealed data cannot be moved to another event: the event's id has to match.
  const algorithm = (iv: Uint8Array<ArrayBuffer>, id: string) => ({
    name: "AES-GCM",
    iv,
    additionalData: new TextEncoder().encode(id),
  });
  return {
    async encode({ data, ...rest }) {
      const plain = new TextEncoder().encode(JSON.stringify(data)); // before the first await
      const key = await keys.keyOf(rest.actorId);
      if (key === undefined) throw new Error(`"${rest.actorId}" is forgotten`);
      const iv = crypto.getRandomValues(new Uint8Array(12));
      const bytes = await crypto.subtle.encrypt(algorithm(iv, rest.id), key, plain);
      const envelope = { ...rest, iv: [...iv], data: [...new Uint8Array(bytes)] };
      return new TextEncoder().encode(JSON.stringify(envelope));
    },
    async decode(stored) {
      const { iv, data, ...rest } = JSON.parse(new TextDecoder().decode(stored));
      const key = await keys.keyOf(rest.actorId);
      if (key === undefined) return { ...rest, data: FORGOTTEN };
      const bytes = new Uint8Array(data);
      const plain = await crypto.subtle.decrypt(algorithm(new Uint8Array(iv), rest.id), key, bytes);
      return { ...rest, data: JSON.parse(new TextDecoder().decode(plain)) };
    },
  };
}

async function show(store: EventStore): Promise<void> {
  for await (const { actorId, version, eventType, data } of store.readAll()) {
    const shown = data === FORGOTTEN ? "forgotten" : JSON.stringify(data);
    console.log(`  ${actorId} ${version} ${eventType}: ${shown}`);
  }
}

const keys = new InMemoryKeyStore();
const store = new InMemoryEventStore({ codec: sealed(keys) });
const happened = (actorId: string, version: number, eventType: string, data: unknown) =>
  store.saveEvent(createEvent({ actorId, version, eventType, data }));

await happened("customer-1", 1, "Registered", { name: "Ada", email: "ada@example.com" });
await happened("customer-2", 1, "Registered", { name: "Bob", email: "bob@example.com" });
await happened("customer-1", 2, "Moved", { city: "London" });
console.log("Stored:");
await show(store);

keys.delete("customer-1");
console.log("After the key of customer-1 is deleted:");
await show(store);

// The history continues; data that cannot be sealed is not saved.
console.log(`customer-1 is still at version ${await store.getLatestVersion("customer-1")}`);
try {
  await happened("customer-1", 3, "Moved", { city: "Paris" });
} catch (error) {
  if (!isAetherError(error, "InvalidEventError")) throw error;
  console.log(error.message);
}
await store[Symbol.asyncDispose]();
