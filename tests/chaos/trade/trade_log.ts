/**
 * What the log of a trade has to be: judged message by message, without the library's code, but for
 * the names of subjects.
 *
 * @module
 */

import { Layout } from "../../../store/format/layout.ts";
import { eventsIn, type Stored } from "../stored_log.ts";

/** An event or a receipt. */
export interface Entry {
  /** The server's sequence of its message. */
  readonly sequence: number;
  /** When the server stored it, in ms since 1970. */
  readonly time: number;
  readonly actorId: string;
  /** Its command; `""` if it has none. */
  readonly command: string;
  /** The save that it is of. */
  readonly op: string;
  /** `""` for a receipt. */
  readonly type: string;
  /** The event's data, or the outcome in the receipt. */
  readonly data: unknown;
}

/** The events and receipts of a log, in order. */
export function entriesOf(log: readonly Stored[], namespace: string): Entry[] {
  const layout = new Layout(namespace);
  return log.flatMap((message): Entry[] => {
    const { sequence, subject, header, data, time = NaN } = message;
    const actorId = subject.includes(".event.") ? layout.actorOf(subject) : undefined;
    if (actorId === undefined) return [];
    const place = { sequence, time, actorId };
    if (header("Aether-Id") === "") {
      const outcome = JSON.parse(new TextDecoder().decode(data));
      const command = header("Aether-Command");
      return [{ ...place, command, op: header("Aether-Op"), type: "", data: outcome }];
    }
    return eventsIn(message).map(({ command, commit: { op }, text }) => {
      const { eventType: type, data } = JSON.parse(text);
      return { ...place, command, op, type, data };
    });
  });
}

/** What was seen in a log that is as it has to be. */
export interface TradeCounts {
  readonly shipped: number;
  readonly cancelled: number;
  /** Commands that an order has issued. */
  readonly commands: number;
  /** Of these, such as were refused. */
  readonly refused: number;
  /** Deadlines that have come. */
  readonly fired: number;
  /** How late they came, at the 99th percentile, in ms. */
  readonly late: number;
}

/** The history of one order, as it is folded. */
interface Order {
  readonly facts: Set<string>;
  readonly took: Map<string, number>;
  /** By id, commands whose outcome is to come. */
  readonly open: Map<string, { readonly actorId: string; readonly at: number }>;
  /** By name, when deadlines are due. */
  readonly deadlines: Map<string, number>;
  ended: boolean;
}

const CATEGORY = "process:trade-";

/**
 * Whether all of these hold of orders that were placed, and have all come to their end:
 * - each is paid and shipped, or cancelled, not both, and is charged once if it is paid;
 * - no stock is ever below nothing, and what is gone from it is with orders that were shipped;
 * - each command has its events in one save, or a receipt, not both; a refused one has no event;
 *   each that was issued has its outcome, which comes back once;
 * - each input is taken in one save; after an order's end nothing is decided;
 * - no deadline comes before its time, or a second time, and none is left.
 *
 * Gives all that does not hold, and what was seen.
 */
export function judge(
  entries: readonly Entry[],
  placed: readonly string[],
): { readonly problems: string[]; readonly counts: TradeCounts } {
  const problems: string[] = [];
  const orders = new Map<string, Order>();
  const stock = new Map<string, number>();
  const supplied = new Map<string, number>();
  /** By actor and command, the save of its events, or the receipt. */
  const outcomes = new Map<string, { readonly op: string; readonly isReceipt: boolean }>();
  const issued = new Map<string, { refused: boolean; replies: number; isTogether: boolean }>();
  const charged = new Map<string, number>();
  const lateness: number[] = [];
  const saves = new Map<string, Entry[]>();
  for (const entry of entries) {
    const { sequence, actorId, command, op, type, data } = entry;
    const at = `${sequence}: "${actorId}"`;
    if (command !== "") {
      const key = `${actorId} ${command}`;
      const before = outcomes.get(key);
      if (before !== undefined && (before.op !== op || type === "")) {
        problems.push(`${at} has a second outcome of command ${command}`);
      }
      outcomes.set(key, before ?? { op, isReceipt: type === "" });
      const refusal = type === "" && (data as { kind: string }).kind === "refused";
      const own = issued.get(command);
      if (refusal && own !== undefined) own.refused = true;
    }
    if (type === "") continue;
    const save = saves.get(op) ?? [];
    saves.set(op, save);
    save.push(entry);
    if (actorId.startsWith("stock-")) {
      const { by } = data as { by: number };
      const pieces = (stock.get(actorId) ?? 0) + by;
      stock.set(actorId, pieces);
      if (pieces < 0) problems.push(`${at} is at ${pieces} pieces`);
      if (command === "" || command.startsWith("supply")) {
        supplied.set(actorId, (supplied.get(actorId) ?? 0) + by);
      }
    }
    if (actorId.startsWith("account-")) {
      const order = String(data).slice("charge ".length);
      charged.set(order, (charged.get(order) ?? 0) + 1);
    }
    if (actorId.startsWith(CATEGORY)) take(entry, at);
  }

  /** Takes an event of an order's history. */
  function take({ actorId, type, data }: Entry, at: string): void {
    const id = actorId.slice(CATEGORY.length);
    const order: Order = orders.get(id) ?? {
      ...{ facts: new Set<string>(), took: new Map(), open: new Map(), deadlines: new Map() },
      ended: false,
    };
    orders.set(id, order);
    const isOfOutcome = type === "CommandSettled" || type === "DeadlineCleared";
    if (order.ended && !isOfOutcome) problems.push(`${at} has ${type} after its end`);
    switch (type) {
      case "CommandIssued": {
        const { id: command, actorId: target, together = false, refused } = data as {
          id: string;
          actorId: string;
          together?: boolean;
          refused?: unknown;
        };
        if (issued.has(command)) problems.push(`${at} issues command ${command} again`);
        const isRefused = refused !== undefined;
        issued.set(command, { refused: isRefused, replies: 0, isTogether: together });
        if (!together) order.open.set(command, { actorId: target, at: Number(isRefused) });
        break;
      }
      case "CommandSettled": {
        const { id: command } = data as { id: string };
        const open = order.open.get(command);
        if (open === undefined) {
          problems.push(`${at} settles ${command}, which is not open`);
          break;
        }
        order.open.delete(command);
        issued.get(command)!.replies++;
        const outcome = outcomes.get(`${open.actorId} ${command}`);
        if (open.at === 0 && outcome === undefined) {
          problems.push(`${at} settles ${command}, which has no outcome`);
        }
        break;
      }
      case "DeadlineSet": {
        const { name, at: due } = data as { name: string; at: string };
        order.deadlines.set(name, Date.parse(due));
        break;
      }
      case "DeadlineCleared": {
        const { name } = data as { name: string };
        const due = order.deadlines.get(name);
        if (due === undefined) problems.push(`${at} clears "${name}", which is not set`);
        order.deadlines.delete(name);
        break;
      }
      case "ProcessEnded":
        order.ended = true;
        break;
      case "Refused": {
        const { commandId } = data as { commandId: string };
        const own = issued.get(commandId);
        if (own?.refused !== true) problems.push(`${at} was told of a refusal of ${commandId}`);
        break;
      }
      case "Took":
        order.took.set(String(data), (order.took.get(String(data)) ?? 0) + 1);
        break;
      case "Returned":
        order.took.set(String(data), (order.took.get(String(data)) ?? 0) - 1);
        break;
      default:
        if (order.facts.has(type)) problems.push(`${at} is ${type} twice`);
        order.facts.add(type);
    }
  }

  // A deadline that has come is the first event of its save.
  const dues = new Map<string, number>();
  for (const save of saves.values()) {
    const own = save.filter(({ actorId }) => actorId.startsWith(CATEGORY));
    for (const [index, { actorId, type, data, time, sequence }] of own.entries()) {
      const { name = "", at = "" } = (data ?? {}) as { name?: string; at?: string };
      const key = `${actorId} ${name}`;
      if (type === "DeadlineSet") dues.set(key, Date.parse(at));
      if (type !== "DeadlineCleared" || index > 0) continue;
      const due = dues.get(key)!;
      lateness.push(time - due);
      // The server's clock has ms, its messages have ns.
      if (!(time >= due)) problems.push(`${sequence}: "${actorId}" is ${due - time} ms early`);
    }
  }

  let shipped = 0;
  let cancelled = 0;
  const gone = new Map<string, number>();
  for (const id of placed) {
    const order = orders.get(id);
    if (order === undefined) {
      problems.push(`Order ${id} is lost`);
      continue;
    }
    const { facts, open, deadlines, ended, took } = order;
    const isPaid = facts.has("Paid");
    if (isPaid === facts.has("Cancelled")) problems.push(`Order ${id} is paid: ${isPaid}, and not`);
    if (isPaid !== facts.has("Shipped")) problems.push(`Order ${id} is paid, and not shipped`);
    if ((charged.get(id) ?? 0) !== Number(isPaid)) {
      problems.push(`Order ${id} is charged ${charged.get(id) ?? 0} times`);
    }
    if (!ended) problems.push(`Order ${id} has not ended`);
    for (const command of open.keys()) problems.push(`Order ${id} waits for ${command}`);
    for (const name of deadlines.keys()) problems.push(`Order ${id} has lost deadline "${name}"`);
    if (isPaid) shipped++;
    else cancelled++;
    for (const [sku, pieces] of took) {
      gone.set(`stock-${sku}`, (gone.get(`stock-${sku}`) ?? 0) + pieces);
      if (pieces !== Number(isPaid)) problems.push(`Order ${id} keeps ${pieces} of ${sku}`);
    }
  }
  for (const [actorId, pieces] of stock) {
    const expected = (supplied.get(actorId) ?? 0) - (gone.get(actorId) ?? 0);
    if (pieces !== expected) problems.push(`"${actorId}" has ${pieces} pieces, not ${expected}`);
  }
  let refused = 0;
  for (const [command, own] of issued) {
    if (own.refused) refused++;
    if (own.replies !== Number(!own.isTogether)) {
      problems.push(`Command ${command} has ${own.replies} replies`);
    }
  }
  for (const [key, { isReceipt }] of outcomes) {
    const command = key.slice(key.lastIndexOf(" ") + 1);
    if (issued.get(command)?.refused === true && !isReceipt) {
      problems.push(`Refused command ${command} has events`);
    }
  }
  lateness.sort((one, other) => one - other);
  const late = Math.round(lateness[Math.floor(lateness.length * 0.99)] ?? 0);
  const counts = {
    shipped,
    cancelled,
    commands: issued.size,
    refused,
    fired: lateness.length,
    late,
  };
  return { problems, counts };
}
