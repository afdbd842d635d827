// An order, as it is decided: placed, reserved, paid, shipped; or cancelled while it is not paid.
import type { Decider, Event } from "@flowmade-one/aether";

export interface Line {
  readonly sku: string;
  readonly pieces: number;
}

export type OrderEvent =
  | Event<"OrderPlaced", { customer: string; lines: Line[]; total: number }>
  | Event<"OrderReserved", null>
  | Event<"OrderPaid", { total: number }>
  | Event<"OrderShipped", { parcel: string }>
  | Event<"OrderCancelled", { reason: string; reserved: Line[] }>;

export type OrderCommand =
  // The customer is an id: names and addresses belong to an actor of their own, to be forgotten.
  | { type: "place"; customer: string; lines: Line[] }
  | { type: "reserve" }
  | { type: "pay" }
  | { type: "ship"; parcel: string }
  | { type: "cancel"; reason: string };

export interface Order {
  readonly status: "new" | "placed" | "reserved" | "paid" | "shipped" | "cancelled";
  readonly lines: Line[];
  readonly total: number;
}

/** A rule of the shop forbids it. */
export class Refused extends Error {
  override readonly name = "Refused";
}

/** Prices in cents. */
const PRICES: ReadonlyMap<string, number> = new Map([["pen", 200], ["ink", 550], ["paper", 120]]);

export const order: Decider<Order, OrderCommand, OrderEvent> = {
  initialState: () => ({ status: "new", lines: [], total: 0 }),
  evolve: (order, { eventType, data }) => {
    switch (eventType) {
      case "OrderPlaced":
        return { status: "placed", lines: data.lines, total: data.total };
      case "OrderReserved":
        return { ...order, status: "reserved" };
      case "OrderPaid":
        return { ...order, status: "paid" };
      case "OrderShipped":
        return { ...order, status: "shipped" };
      case "OrderCancelled":
        return { ...order, status: "cancelled" };
    }
  },
  decide: (command, { status, lines, total }) => {
    const only = (...allowed: Order["status"][]) => {
      if (!allowed.includes(status)) throw new Refused(`Cannot ${command.type}: it is ${status}`);
    };
    switch (command.type) {
      case "place": {
        only("new");
        const { customer, lines } = command;
        return { eventType: "OrderPlaced", data: { customer, lines, total: totalOf(lines) } };
      }
      case "reserve":
        only("placed");
        return { eventType: "OrderReserved", data: null };
      case "pay":
        only("reserved");
        return { eventType: "OrderPaid", data: { total } };
      case "ship":
        only("paid");
        return { eventType: "OrderShipped", data: { parcel: command.parcel } };
      case "cancel": {
        only("placed", "reserved");
        const reserved = status === "reserved" ? lines : [];
        return { eventType: "OrderCancelled", data: { reason: command.reason, reserved } };
      }
    }
  },
};

function totalOf(lines: readonly Line[]): number {
  if (new Set(lines.map(({ sku }) => sku)).size < lines.length) {
    throw new Refused("Cannot place: an article is there twice");
  }
  return lines.reduce((total, { sku, pieces }) => {
    const price = PRICES.get(sku);
    if (price === undefined) throw new Refused(`Cannot place: there is no article ${sku}`);
    return total + price * pieces;
  }, 0);
}
