/**
 * A process for tests: an order whose stock is taken, then paid. A stock that refuses cancels it.
 *
 * @module
 */

import type { Event, OutgoingDecider, Process, ProcessReaction } from "../../../store/mod.ts";
import { Stock } from "./bed.ts";

export type Placed = Event<"OrderPlaced", { pieces: number }>;
export type Became = Event<"Became", { what: string; inputs: number }>;

/** What an order is at, and how many inputs it took. */
export interface Order {
  readonly what: string;
  readonly inputs: number;
}

/** The process; `react` may be changed, as by a deploy. */
export function orderProcess(
  change: Partial<Process<Order, Placed, Became>> = {},
): Process<Order, Placed, Became> {
  return {
    name: "order",
    correlate: ({ actorId }) => actorId.slice("order-".length),
    initialState: () => ({ what: "new", inputs: 0 }),
    evolve: (_, { data }) => data,
    react: ({ inputs }, input, { id }): ProcessReaction<Became> => {
      const became = (what: string) => [
        { eventType: "Became" as const, data: { what, inputs: inputs + 1 } },
      ];
      if (!("kind" in input)) {
        const take = { actorId: "stock-pen", command: { take: input.data.pieces }, key: "take" };
        return { facts: became("placed"), commands: [take] };
      }
      if (input.kind !== "reply") return { facts: became("late"), done: true };
      if (input.refused !== undefined) return { facts: became("cancelled"), done: true };
      if (input.key === "take") {
        return {
          facts: became("reserved"),
          commands: [{ actorId: `payment-${id}`, command: { add: 1 } }],
        };
      }
      return { facts: became(`paid by ${input.events.length}`), done: true };
    },
    ...change,
  };
}

/** New deciders of its targets. */
export function targets(): Record<string, OutgoingDecider> {
  return { stock: new Stock(), payment: new Stock() };
}
