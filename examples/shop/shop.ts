// The parts of the shop, opened in order and closed in the opposite one.
import { DatabaseSync } from "node:sqlite";
import type { NatsConnection } from "@nats-io/transport-node";
import { JetStreamEventStore, KvCheckpointStore, ProcessManager } from "@flowmade-one/aether";
import { type Carrier, fulfilment, shipping } from "./fulfilment.ts";
import { order } from "./order.ts";
import { ordersProjection } from "./orders_view.ts";
import { type Route, routes } from "./routes.ts";
import { stock } from "./stock.ts";
import { traced } from "./telemetry.ts";

export interface ShopOptions {
  /** Who dials, closes. */
  readonly connection: NatsConnection;
  readonly carrier: Carrier;
  /** The file of the read model. */
  readonly file: string;
  /** How long an order waits for its payment, in ms. */
  readonly paymentTime?: number;
  readonly namespace?: string;
}

export interface Shop {
  readonly routes: readonly Route[];
  /** Ends with the shop; rejects if the projection or the process cannot go on. */
  readonly running: Promise<unknown>;
  /** Ends the streams of events, so that a server can finish what it answers. */
  endStreams(): void;
  /** Ends the rest, after the server has ended: nothing is lost that is not done. */
  close(): Promise<void>;
}

export async function openShop(
  { connection, carrier, file, paymentTime = 15 * 60_000, namespace = "shop" }: ShopOptions,
): Promise<Shop> {
  const store = await JetStreamEventStore.open(connection, { namespace });
  const checkpoints = await KvCheckpointStore.open(connection, { namespace });
  const db = new DatabaseSync(file);
  const orders = ordersProjection(store, db);
  const manager = new ProcessManager({
    process: fulfilment(paymentTime),
    store,
    checkpoints,
    filter: { category: "order" },
    from: "start",
    deciders: { order, stock },
    effects: [shipping(carrier)],
    onPoison: "park",
  });
  const streams = new AbortController();
  const running = Promise.all([orders.run(), manager.run()]);
  return {
    routes: routes({ store, db, orders, closing: streams.signal }).map(traced),
    running,
    endStreams: () => streams.abort(),
    close: async () => {
      await Promise.all([orders[Symbol.asyncDispose](), manager[Symbol.asyncDispose]()]);
      await running.catch(() => {}); // The owner of the shop hears of it by `running`.
      await checkpoints[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      db.close();
    },
  };
}
