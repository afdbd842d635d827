import {
  createEvent,
  type Event,
  type Forgotten,
  InMemoryKeyStore,
  type KeyStore,
} from "../../../store/mod.ts";

/** A customer, and what only the customer may know. */
export type Registered = Event<"Registered", {
  readonly customer: string;
  readonly plan: string;
  readonly name: string | Forgotten;
  readonly email?: string | Forgotten;
}>;

/** A present, of two customers. */
export type Given = Event<"Given", {
  readonly from: string;
  readonly to: string;
  readonly wish: string | Forgotten;
  readonly address: { readonly street: string } | Forgotten;
}>;

/** An event of which nothing is sealed. */
export type Counted = Event<"Counted", { readonly count: number }>;

/** All of them. */
export type ShopEvent = Registered | Given | Counted;

/** What is sealed of them. */
export const FIELDS = {
  Registered: { name: "customer", email: "customer" },
  Given: { wish: ({ data }: Given) => data.from, address: "to" },
} as const;

/** A customer that has registered. */
export function registered(customer: string, version = 1, name = "Ada"): Registered {
  const data = { customer, plan: "free", name, email: `${name}@example.com` };
  return createEvent({ actorId: `customer-${customer}`, eventType: "Registered", version, data });
}

/** A present, from `a` to `b`. */
export function given(version = 1): Given {
  const data = { from: "a", to: "b", wish: "a secret wish", address: { street: "1 High Street" } };
  return createEvent({ actorId: "present-1", eventType: "Given", version, data });
}

/** Keys that are out of reach for as long as a test says. */
export class MovedKeys implements KeyStore {
  /** The keys themselves. */
  readonly inner: KeyStore;
  /** What calls end with, if anything. */
  fails: (() => Promise<never>) | undefined;
  /** Calls of `get` and `getOrCreate`. */
  calls = 0;

  constructor(keys: KeyStore = new InMemoryKeyStore()) {
    this.inner = keys;
  }

  get(subject: string): ReturnType<KeyStore["get"]> {
    this.calls++;
    return this.fails?.() ?? this.inner.get(subject);
  }

  getOrCreate(subject: string): ReturnType<KeyStore["getOrCreate"]> {
    this.calls++;
    return this.fails?.() ?? this.inner.getOrCreate(subject);
  }

  forget(subject: string): Promise<boolean> {
    return this.fails?.() ?? this.inner.forget(subject);
  }
}
