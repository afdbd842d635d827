/**
 * An order as a process of ten steps: stock of three articles, a payment in time, a charge on an
 * account that many share, a parcel, a moment of rest, and the shipping; or all is given back.
 *
 * @module
 */

import type {
  Decider,
  Event,
  OutgoingDecider,
  Process,
  ProcessCommand,
  ProcessReaction,
} from "../../../store/mod.ts";

/** How long an order waits for its payment, and a packed parcel for the carrier, in ms. */
export const WAITS = { payment: 3_000, carrier: 300 } as const;
/** Accounts that all orders share. */
export const ACCOUNTS = 4;

/** An order is placed, or its customer pays. */
export type TradeInput =
  | Event<"OrderPlaced", { readonly skus: readonly string[] }>
  | Event<"CustomerPaid", null>;

/** A fact of an order. */
export type TradeFact =
  | Event<"Began", readonly string[]>
  | Event<"Took" | "Returned", string>
  | Event<"Refused", { readonly commandId: string }>
  | Event<"Asked" | "Prepaid" | "Paid" | "Charged" | "Packed" | "Shipped", null>
  | Event<"Cancelled", { readonly why: string }>;

/** What an order is at. */
export interface Trade {
  readonly at: "new" | "taking" | "asked" | "paid" | "charged" | "packed" | "shipped" | "cancelled";
  readonly skus: readonly string[];
  readonly took: readonly string[];
  readonly prepaid: boolean;
}

type Moved = Event<"Moved", { readonly by: number }>;

/** Pieces of an article. */
export const stock: Decider<number, { readonly by: number }, Moved> = {
  initialState: () => 0,
  evolve: (pieces, { data }) => pieces + data.by,
  decide: ({ by }, pieces) => {
    if (pieces + by < 0) throw new RangeError(`there are only ${pieces}`);
    return { eventType: "Moved", data: { by } };
  },
};

/** Whatever is done is done. */
const clerk: Decider<number, string, Event<"Done", string>> = {
  initialState: () => 0,
  evolve: (done) => done + 1,
  decide: (what) => ({ eventType: "Done", data: what }),
};

/** The targets of an order's commands. */
export const TARGETS: Readonly<Record<string, OutgoingDecider>> = {
  ...{ stock, bill: clerk, account: clerk, parcel: clerk },
};

const take = (sku: string): ProcessCommand => ({
  ...{ actorId: `stock-${sku}`, command: { by: -1 }, key: `take ${sku}` },
});
const giveBack = (sku: string): ProcessCommand => ({
  ...{ actorId: `stock-${sku}`, command: { by: 1 }, key: `return ${sku}` },
});
const tell = (target: string, what: string): ProcessCommand => ({
  ...{ actorId: target, command: what, key: what },
});

function evolve(trade: Trade, fact: TradeFact): Trade {
  switch (fact.eventType) {
    case "Began":
      return { ...trade, at: "taking", skus: fact.data };
    case "Took":
      return { ...trade, took: [...trade.took, fact.data] };
    case "Returned":
      return { ...trade, took: trade.took.filter((sku) => sku !== fact.data) };
    case "Asked":
      return { ...trade, at: "asked" };
    case "Prepaid":
      return { ...trade, prepaid: true };
    case "Paid":
      return { ...trade, at: "paid" };
    case "Charged":
      return { ...trade, at: "charged" };
    case "Packed":
      return { ...trade, at: "packed" };
    case "Shipped":
      return { ...trade, at: "shipped" };
    case "Cancelled":
      return { ...trade, at: "cancelled" };
    case "Refused":
      return trade;
  }
}

/**
 * The order's process. The second deploy begins new orders otherwise: it takes all articles
 * together, and has a word with the clerk in front of old steps.
 */
export function tradeProcess(deploy: 1 | 2): Process<Trade, TradeInput, TradeFact> {
  type Reaction = ProcessReaction<TradeFact>;
  const fact = (eventType: TradeFact["eventType"], data: TradeFact["data"]) =>
    ({ eventType, data }) as TradeFact;
  return {
    name: "trade",
    correlate: ({ actorId }) => actorId.slice(actorId.indexOf("-") + 1),
    initialState: () => ({ at: "new", skus: [], took: [], prepaid: false }),
    evolve,
    react: (trade, input, { id, now }): Reaction => {
      const later = (ms: number) => new Date(now.getTime() + ms);
      const account = `account-${Number(id) % ACCOUNTS}`;
      const extra = deploy === 1 ? [] : [tell(`bill-${id}`, "note")];
      const cancelled = (why: string): Reaction => ({
        facts: [fact("Cancelled", { why })],
        commands: trade.took.map(giveBack),
        deadlines: { payment: null },
        done: trade.took.length === 0,
      });
      const paid = (facts: readonly TradeFact[]): Reaction => ({
        facts: [...facts, fact("Paid", null)],
        commands: [...extra, tell(account, `charge ${id}`)],
        deadlines: { payment: null },
      });
      const asked = { payment: later(trade.prepaid ? 0 : WAITS.payment) };
      if (!("kind" in input)) {
        if (input.eventType === "CustomerPaid") {
          if (trade.at === "asked") return paid([]);
          return trade.at === "new" || trade.at === "taking"
            ? { facts: [fact("Prepaid", null)] }
            : {};
        }
        const { skus } = input.data;
        if (deploy === 1) return { facts: [fact("Began", skus)], commands: [take(skus[0]!)] };
        return {
          facts: [
            fact("Began", skus),
            ...skus.map((sku) => fact("Took", sku)),
            fact("Asked", null),
          ],
          together: true,
          commands: [...skus.map(take), tell(`bill-${id}`, "ask")],
          deadlines: asked,
        };
      }
      if (input.kind === "deadline") {
        if (input.name === "carrier") return { commands: [tell(`parcel-${id}`, "ship")] };
        if (trade.at !== "asked") return {};
        return trade.prepaid ? paid([]) : cancelled("not paid in time");
      }
      if (input.kind !== "reply") return {};
      const { key = "", refused, commandId } = input;
      const [what, sku = ""] = key.split(" ");
      if (refused !== undefined) {
        const { facts = [], ...rest } = cancelled(refused.message);
        return { facts: [fact("Refused", { commandId }), ...facts], ...rest };
      }
      switch (what) {
        case "take": {
          const next = trade.skus[trade.skus.indexOf(sku) + 1];
          const facts = [fact("Took", sku)];
          if (next !== undefined) return { facts, commands: [take(next)] };
          return { facts, commands: [tell(`bill-${id}`, "ask")] };
        }
        case "ask":
          if (trade.prepaid) return paid([fact("Asked", null)]);
          return { facts: [fact("Asked", null)], deadlines: asked };
        case "charge":
          return { facts: [fact("Charged", null)], commands: [tell(`parcel-${id}`, "pack")] };
        case "pack":
          return { facts: [fact("Packed", null)], deadlines: { carrier: later(WAITS.carrier) } };
        case "ship":
          return { facts: [fact("Shipped", null)], done: true };
        case "return":
          return { facts: [fact("Returned", sku)], done: trade.took.length === 1 };
        default:
          return {}; // A word with the clerk.
      }
    },
  };
}
