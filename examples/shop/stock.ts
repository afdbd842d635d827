// The pieces of one article. Nothing can be taken that is not there.
import type { Decider, Event } from "@flowmade-one/aether";
import { Refused } from "./order.ts";

export type StockEvent =
  | Event<"StockAdded", { pieces: number }>
  | Event<"StockTaken", { pieces: number }>;

export type StockCommand = { type: "add" | "take"; pieces: number };

export const stock: Decider<number, StockCommand, StockEvent> = {
  initialState: () => 0,
  evolve: (there, { eventType, data }) =>
    eventType === "StockAdded" ? there + data.pieces : there - data.pieces,
  decide: ({ type, pieces }, there) => {
    if (type === "add") return { eventType: "StockAdded", data: { pieces } };
    if (pieces > there) throw new Refused(`Cannot take ${pieces}: there are ${there}`);
    return { eventType: "StockTaken", data: { pieces } };
  },
};
