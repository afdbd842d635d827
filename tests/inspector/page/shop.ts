/** A shop to look at: a seeded store, a shared projection, processes and a cluster. */
import type { NatsConnection } from "@nats-io/transport-node";
import {
  Cluster,
  type Event,
  type EventMetadata,
  JetStreamEventStore,
  KvCheckpointStore,
  type Process,
  ProcessManager,
  Projection,
  ProjectionLeases,
  type Upcasters,
} from "../../../mod.ts";
import type { InspectorParts } from "../../../inspector/mod.ts";
import { Layout } from "../../../store/format/layout.ts";
import { asStreamSequence, positionOf } from "../../../store/format/position.ts";
import type { Scene } from "../../support/fixture.ts";

/** The namespace of everything. */
export const NAMESPACE = "shop";
/** An id that would run a script if it were taken for markup. */
export const HOSTILE = `order-<img src=x onerror="document.title='hit'">`;
/** Events of the actor with a long history. */
export const LONG = 1_000;
/** Visits, and events of each, that make the store large. */
const [VISITS, SEEN] = [5_000, 20];
/** Effects of one event, for the drawing. */
export const MAILS = 120;

/** The day on which everything happened. */
const DAY = Date.parse("2026-03-02T09:00:00.000Z");

/** Makes events whose ids and times are the same in each run. */
class Story {
  #number = 0;

  /** The next event. */
  event(
    actorId: string,
    version: number,
    eventType: string,
    data: unknown,
    cause?: Event,
    metadata?: EventMetadata,
  ): Event {
    const number = ++this.#number;
    const causation = cause && {
      causationId: cause.id,
      correlationId: cause.metadata?.correlationId ?? cause.id,
    };
    return {
      ...{ id: idOf(number), actorId, version, eventType, data },
      timestamp: new Date(DAY + number * 1_370),
      ...((causation || metadata) && { metadata: { ...metadata, ...causation } }),
    };
  }
}

/** The id of the event with this number. */
export function idOf(number: number): string {
  return `019ca000-0000-7000-8000-${String(number).padStart(12, "0")}`;
}

const upcasters: Upcasters = {
  // The release before saved cents.
  OrderPlaced: [
    (data) => ({ ...(data as object), total: (data as { cents: number }).cents / 100 }),
  ],
};

interface Line {
  readonly sku: string;
  readonly quantity: number;
}

interface Order {
  readonly status: string;
  readonly total: number;
  readonly lines: readonly Line[];
  readonly note?: string;
}

/** Folds the states of orders. */
const order = {
  initialState: (): Order => ({ status: "new", total: 0, lines: [] }),
  evolve(state: Order, { eventType, data }: Event): Order {
    const fact = data as { total: number; note: string; reason: string } & Line;
    switch (eventType) {
      case "OrderPlaced":
        return { ...state, status: "placed", total: fact.total };
      case "ItemAdded":
        return { ...state, lines: [...state.lines, { sku: fact.sku, quantity: fact.quantity }] };
      case "NoteAdded":
        return { ...state, note: fact.note };
      default:
        return { ...state, status: eventType.replace(/^Order/, "").toLowerCase() };
    }
  },
};

/** The shop: what an inspector is given, and what a test can change. */
export interface Shop extends AsyncDisposable {
  /** For {@linkcode inspector}. */
  readonly parts: InspectorParts;
  readonly store: JetStreamEventStore;
  /** Ids of events that a test names. */
  readonly ids: { readonly cancelled: string; readonly campaign: string };
  /** Mends what handlers fail at. */
  mend(): void;
  /** Stores a message that belongs to no actor; gives its position. */
  intrude(): Promise<number>;
  /** Takes the third node out of the cluster. */
  leave(): Promise<void>;
}

/** Opens the shop on a scene's server. */
export async function openShop(scene: Scene): Promise<Shop> {
  const stack = new AsyncDisposableStack();
  const connection = await scene.connect();
  const ids = await seed(connection);
  const store = stack.use(
    await JetStreamEventStore.open(connection, { namespace: NAMESPACE, upcasters }),
  );
  let isMended = false;
  const checkpoints = stack.use(await KvCheckpointStore.open(connection, { namespace: NAMESPACE }));
  const [orders] = await Promise.all([0, 1].map(async (at) => {
    const own = at === 0 ? connection : await scene.connect();
    const leases = stack.use(await ProjectionLeases.open(own, { namespace: NAMESPACE }));
    const projection = new Projection({
      name: "orders",
      ...{ store, checkpoints, leases, partitions: 4, onPoison: "park" },
      filter: { category: "order" },
      retry: { attempts: 2, delay: 1 },
      onError: () => {},
      handler: ({ actorId, data }) => {
        const { quantity } = data as Line;
        if (quantity > 50 && !isMended) {
          throw new RangeError(`Cannot book ${quantity} pieces for ${actorId}: there are 12`);
        }
      },
    });
    return run(stack, projection);
  }));
  // Nobody runs it here.
  const audit = new Projection({ name: "audit", store, checkpoints, handler: () => {} });
  stack.use(audit);
  const manager = run(
    stack,
    new ProcessManager({
      process: fulfilment(() => isMended),
      ...{ store, checkpoints, from: "start", partitions: 2, onError: () => {} },
      filter: { category: "order", eventTypes: ["OrderPlaced"] },
      retry: { attempts: 2, delay: 1 },
    }),
  );
  const nodes = await Promise.all(["berlin", "lisbon", "oslo"].map(async (nodeId, at) => {
    const own = at === 0 ? connection : await scene.connect();
    return await Cluster.join(own, { namespace: NAMESPACE, nodeId, metadata: { zone: nodeId } });
  }));
  for (const node of nodes) stack.defer(() => node.leave());
  await Promise.all([orders!.caughtUp, manager.caughtUp]);
  return {
    parts: {
      ...{ store, projections: [orders!, audit], processes: [manager], cluster: nodes[0]! },
      deciders: { order },
    },
    ...{ store, ids },
    mend: () => void (isMended = true),
    async intrude() {
      const subject = new Layout(NAMESPACE).event("legacy-1", store.shards);
      const answer = await connection.request(subject.replace(/legacy-1$/, "=ZZ"), "?");
      return positionOf(asStreamSequence(answer.json<{ seq: number }>().seq));
    },
    leave: () => nodes[2]!.leave(),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Runs something until the stack is disposed of. */
function run<T extends AsyncDisposable & { run(): Promise<void> }>(
  stack: AsyncDisposableStack,
  it: T,
): T {
  const running = it.run();
  running.catch(() => {}); // It is awaited at the end.
  stack.defer(async () => {
    await it[Symbol.asyncDispose]();
    await running;
  });
  return it;
}

/** Waits for payment, for an hour; fails at one order. */
function fulfilment(isMended: () => boolean): Process<string, Event, Event<"Asked", null>> {
  return {
    name: "fulfilment",
    correlate: ({ actorId }) => actorId.includes("<") ? undefined : actorId,
    initialState: () => "new",
    evolve: () => "asked",
    react(_state, input, { now, id }) {
      if ("kind" in input) return { done: true };
      if (id === "order-5" && !isMended()) {
        throw new TypeError("Cannot ask for a payment: the customer has no address");
      }
      return {
        facts: [{ eventType: "Asked", data: null }],
        deadlines: { payment: new Date(now.getTime() + 3_600_000) },
      };
    },
  };
}

/** Stores what has happened so far. */
async function seed(connection: NatsConnection): Promise<Shop["ids"]> {
  const story = new Story();
  const before = await JetStreamEventStore.open(connection, { namespace: NAMESPACE });
  await seedVisits(before);
  for (let at = 1; at <= 3; at++) {
    const placed = { cents: 1_250 * at, customer: `customer-${at}` };
    await before.saveEvent(story.event(`order-${at}`, 1, "OrderPlaced", placed));
  }
  await before[Symbol.asyncDispose]();
  const store = await JetStreamEventStore.open(connection, { namespace: NAMESPACE, upcasters });
  for (let at = 4; at <= 24; at++) {
    const customer = `customer-${1 + at % 7}`;
    const placed = story.event(`order-${at}`, 1, "OrderPlaced", { total: 12.5 * at, customer });
    const quantity = at === 13 || at === 21 ? 60 + at : at % 5 + 1;
    const added = story.event(
      `order-${at}`,
      2,
      "ItemAdded",
      { sku: `sku-${at}`, quantity },
      placed,
    );
    await store.saveEvents([placed, added]);
    if (at % 3 === 0) {
      await store.saveEvent(
        story.event(`order-${at}`, 3, "OrderShipped", { carrier: "post" }, added),
      );
    }
  }
  const cancelled = await cancelledOrder(store, story);
  const hostile = { note: "<script>document.title='hit'</script>", total: 1 };
  await store.saveEvent(story.event(HOSTILE, 1, "NoteAdded", hostile));
  const history = Array.from(
    { length: LONG },
    (_, at) =>
      story.event("order-long", at + 1, at === 0 ? "OrderPlaced" : "ItemAdded", {
        ...(at === 0 ? { total: 99 } : { sku: `sku-${at % 9}`, quantity: at % 4 + 1 }),
      }),
  );
  for (let at = 0; at < LONG; at += 500) await store.saveEvents(history.slice(at, at + 500));
  const campaign = story.event("campaign-spring", 1, "CampaignStarted", { mails: MAILS });
  const mails = Array.from(
    { length: MAILS },
    (_, at) => story.event(`mail-${at}`, 1, "MailSent", { to: `customer-${at}` }, campaign),
  );
  await store.saveEvents([campaign, ...mails]);
  await store[Symbol.asyncDispose]();
  return { cancelled: cancelled.id, campaign: campaign.id };
}

async function seedVisits(store: JetStreamEventStore): Promise<void> {
  const seen = (visit: number, version: number): Event => ({
    id: `019c9b00-0000-7000-9000-${String(visit * SEEN + version).padStart(12, "0")}`,
    ...{ actorId: `visit-${visit}`, version, eventType: "PageSeen", data: { page: version } },
    timestamp: new Date(DAY - 60_000 * (VISITS - visit)),
  });
  const save = (visit: number) =>
    store.saveEvents(Array.from({ length: SEEN }, (_, at) => seen(visit, at + 1)));
  for (let first = 0; first < VISITS; first += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, at) => save(first + at)));
  }
}

/** Order 7 is cancelled: why? */
async function cancelledOrder(store: JetStreamEventStore, story: Story): Promise<Event> {
  const clicked: EventMetadata = { causationId: "checkout-7", userId: "ada" };
  const next = story.event("order-7", 3, "ItemAdded", { sku: "sku-pen", quantity: 2 }, undefined, {
    ...clicked,
    correlationId: "checkout-7",
  });
  const asked = story.event("payment-7", 1, "PaymentAsked", { amount: 87.5 }, next);
  const reserved = story.event("stock-pen", 1, "StockReserved", { pieces: 2 }, next);
  const declined = story.event("payment-7", 2, "PaymentDeclined", { by: "card expired" }, asked);
  const reason = { reason: "card expired" };
  const cancelled = story.event("order-7", 4, "OrderCancelled", reason, declined);
  const released = story.event("stock-pen", 2, "StockReleased", { pieces: 2 }, cancelled);
  const mailed = story.event("mail-order-7", 1, "MailSent", { to: "customer-1" }, cancelled);
  for (const event of [next, asked, reserved, declined, cancelled, released, mailed]) {
    await store.saveEvent(event);
  }
  return cancelled;
}
