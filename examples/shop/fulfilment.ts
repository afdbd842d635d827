// What happens to an order by itself: its stock is reserved, it waits for the payment, it is shipped.
import { type Effect, effect, type EffectContext, type Process } from "@flowmade-one/aether";
import type { Line, OrderCommand, OrderEvent } from "./order.ts";
import type { StockCommand } from "./stock.ts";

/** Ships an order, and gives the parcel's number. It takes the same order again for the same parcel. */
export type Carrier = (orderId: string, context: EffectContext) => Promise<string>;

/** How long the shop waits before it calls a carrier again that has failed, in ms. */
const CARRIER_PAUSE = 60_000;

/**
 * The order itself decides and remembers. So the process has no state of its own: it only passes on
 * what is next, and keeps the deadlines.
 */
export function fulfilment(paymentTime: number): Process<null, OrderEvent> {
  return {
    name: "fulfilment",
    correlate: ({ actorId }) => actorId.slice("order-".length),
    initialState: () => null,
    evolve: (state) => state,
    react: (_state, input, { id, now }) => {
      const later = (ms: number) => new Date(now.getTime() + ms);
      const tell = (command: OrderCommand) => ({ actorId: `order-${id}`, command });
      const ship = { effects: [{ name: "ship", input: id }] };

      if (!("kind" in input)) {
        switch (input.eventType) {
          case "OrderPlaced": // The stock of all lines and the order, in one commit or not at all.
            return {
              commands: [...input.data.lines.map(move("take")), tell({ type: "reserve" })],
              together: true,
              deadlines: { payment: later(paymentTime) },
            };
          case "OrderReserved":
            return;
          case "OrderPaid":
            return { ...ship, deadlines: { payment: null } };
          case "OrderShipped":
            return { done: true };
          case "OrderCancelled":
            return { commands: input.data.reserved.map(move("add")), done: true };
        }
      }
      switch (input.kind) {
        case "reply": {
          const isReservation = input.refused !== undefined && input.actorId.startsWith("stock-");
          return isReservation
            ? { commands: [tell({ type: "cancel", reason: "out of stock" })] }
            : undefined; // The order refused, so it was cancelled or paid meanwhile: its event comes.
        }
        case "deadline":
          return input.name === "payment"
            ? { commands: [tell({ type: "cancel", reason: "not paid in time" })] }
            : ship;
        case "effect":
          if (input.outcome === "done") {
            return { commands: [tell({ type: "ship", parcel: String(input.result) })] };
          }
          // If nobody knows whether it was done, call again: the carrier knows the order.
          return input.outcome === "unknown"
            ? ship
            : { deadlines: { carrier: later(CARRIER_PAUSE) } };
      }
    },
  };
}

/** The effect by which the process calls the carrier. */
export function shipping(carrier: Carrier): Effect {
  return effect("ship", carrier);
}

function move(type: StockCommand["type"]) {
  return ({ sku, pieces }: Line) => ({ actorId: `stock-${sku}`, command: { type, pieces } });
}
