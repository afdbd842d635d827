/**
 * Whether reads gave what was stored: not older than they had to, not newer than they could, and
 * whole. Each actor's latest version is a register, which saves write and reads read.
 *
 * @module
 */

import { clientOf, type Indexed, type Rule } from "./evidence.ts";
import type { Operation } from "./history.ts";
import { storedBy } from "./save_rules.ts";

/** How old the answer of a lookup from memory may be, in ms, and what a clock may be off by. */
const CACHE_AGE = 1_000;
const SLACK = 50;

/** The highest value of those that were known at a time. */
class Floor {
  readonly #known: { readonly at: number; readonly value: number }[] = [];
  #isSorted = true;

  /** Something was known from `at` on. */
  add(at: number, value: number): void {
    this.#known.push({ at, value });
    this.#isSorted = false;
  }

  /** The highest value that was known before `at`; 0 if there was none. */
  before(at: number): number {
    if (!this.#isSorted) {
      this.#known.sort((one, other) => one.at - other.at);
      let highest = 0;
      for (const [place, { at, value }] of this.#known.entries()) {
        highest = Math.max(highest, value);
        this.#known[place] = { at, value: highest };
      }
      this.#isSorted = true;
    }
    let [low, high] = [0, this.#known.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#known[middle]!.at < at) low = middle + 1;
      else high = middle;
    }
    return this.#known[low - 1]?.value ?? 0;
  }
}

/** Floors by a key. */
class Floors {
  readonly #floors = new Map<string, Floor>();

  add(key: string, at: number, value: number): void {
    let floor = this.#floors.get(key);
    if (floor === undefined) this.#floors.set(key, floor = new Floor());
    floor.add(at, value);
  }

  before(key: string, at: number): number {
    return this.#floors.get(key)?.before(at) ?? 0;
  }
}

/** What an operation was told of an actor. */
interface Read {
  readonly actorId: string;
  readonly version: number;
  /** Whether it is told only that there is nothing behind the version. */
  readonly isBound?: boolean;
}

/** What an operation was told of an actor, if it was told anything. */
function readBy({ input, output, outcome }: Operation): Read | undefined {
  const { actorId, version } = output;
  // It stood in the way of a save.
  if (actorId !== undefined && version !== undefined) return { actorId, version };
  if (outcome !== "ok") return undefined;
  switch (input.type) {
    case "version":
    case "state":
      return { actorId: input.actorId, version: version! };
    case "read": {
      const last = output.events!.at(-1)?.[0];
      if (last !== undefined) return { actorId: input.actorId, version: last };
      return { actorId: input.actorId, version: Math.max(0, input.from - 1), isBound: true };
    }
    default:
      return undefined;
  }
}

/** What is known of versions at each time: by each process, and by what had been acknowledged. */
function floorsOf(indexed: Indexed): { readonly own: Floors; readonly all: Floors } {
  const own = new Floors();
  const all = new Floors();
  for (const operation of indexed.evidence.operations) {
    const { end, outcome } = operation;
    const client = clientOf(operation);
    const read = readBy(operation);
    if (read?.isBound === undefined && read !== undefined) {
      own.add(`${client} ${read.actorId}`, end, read.version);
    }
    if (outcome !== "ok") continue;
    for (const { actorId, version } of storedBy(operation, indexed) ?? []) {
      all.add(actorId, end, version);
      own.add(`${client} ${actorId}`, end, version);
    }
  }
  return { own, all };
}

/** Reads that several servers answered with less than others had been told; no promise is broken. */
export function outdated(indexed: Indexed): number {
  const { all } = floorsOf(indexed);
  return indexed.evidence.operations.filter((operation) => {
    const read = readBy(operation);
    return read !== undefined && operation.input.type !== "save" &&
      read.version < all.before(read.actorId, operation.start);
  }).length;
}

/** Each version that was read was the actor's latest at some time of the read. */
export const registers: Rule = (indexed, found) => {
  const { own, all } = floorsOf(indexed);
  const { operations, nodes } = indexed.evidence;
  for (const operation of operations) {
    const read = readBy(operation);
    if (read === undefined) continue;
    const { actorId, version, isBound = false } = read;
    const { start, end, input } = operation;
    const known = own.before(`${clientOf(operation)} ${actorId}`, start);
    if (version < known) {
      const what = `version ${version} of "${actorId}" was read by a process that knew ${known}`;
      found("own reads", what, operation);
    }
    // Of several servers a deposed one may answer: then a read is a hint, and the save decides.
    const age = input.type === "version" && !input.fresh ? CACHE_AGE + SLACK : 0;
    const acknowledged = nodes > 1 ? 0 : all.before(actorId, start - age);
    if (version < acknowledged) {
      const what = `version ${version} of "${actorId}" was read behind the end of ${acknowledged}`;
      found("register", what, operation);
    }
    if (isBound || version === 0) continue;
    const fact = indexed.at(actorId, version);
    const writer = fact && indexed.ownerOf(fact);
    if (fact === undefined) {
      found(
        "register",
        `version ${version} of "${actorId}" was read, and is not stored`,
        operation,
      );
    } else if (writer !== undefined && writer.start > end) {
      const what = `version ${version} of "${actorId}" was read before its save began`;
      found("register", what, operation, writer);
    }
  }
};

/** A history that was read is that which is stored, without a gap. */
export const histories: Rule = (indexed, found) => {
  for (const operation of indexed.evidence.operations) {
    const { input, output, outcome } = operation;
    if (outcome !== "ok") continue;
    if (input.type === "read") {
      const events = output.events!;
      const last = events.at(-1)?.[0] ?? 0;
      const stored = (indexed.byActor.get(input.actorId) ?? [])
        .filter(({ version }) => version >= input.from && version <= last);
      const isSame = stored.length === events.length &&
        stored.every(({ version, id }, at) => events[at]![0] === version && events[at]![1] === id);
      if (!isSame) {
        const what = `${events.length} of the ${stored.length} stored events from ${input.from} on`;
        found("history", `a read of "${input.actorId}" gave ${what}, or others`, operation);
      }
    }
    if (input.type === "state") {
      const facts = (indexed.byActor.get(input.actorId) ?? [])
        .filter(({ version }) => version <= output.version!);
      const sum = facts.reduce((sum, { data }) => sum + (data as { by: number }).by, 0);
      const { state } = output;
      if (state!.count !== facts.length || state!.sum !== sum) {
        const what = `${facts.length} events that make up ${sum}`;
        found("state", `${state!.count} and ${state!.sum} were read of ${what}`, operation);
      }
    }
  }
};

/** A read of the store is its order from a place on; it has what the process had stored by then. */
export const scans: Rule = (indexed, found) => {
  const { operations, nodes, ledger: { facts } } = indexed.evidence;
  const own = new Floors();
  const all = new Floors();
  for (const operation of operations) {
    if (operation.outcome !== "ok") continue;
    const last = storedBy(operation, indexed)?.at(-1)?.position;
    if (last === undefined) continue;
    own.add(clientOf(operation), operation.end, last);
    all.add("", operation.end, last);
  }
  for (const operation of operations) {
    const { input, output, outcome, start } = operation;
    if (input.type !== "readAll" || outcome !== "ok") continue;
    const events = output.events!;
    const first = facts.findIndex(({ position }) => position >= input.from);
    const wrong = events.findIndex(([position, id], at) => {
      const fact = facts[first + at];
      return first < 0 || fact?.position !== position || fact?.id !== id;
    });
    if (wrong >= 0) {
      const what = `${events[wrong]![0]}, and ${facts[first + wrong]?.position} is stored there`;
      found("whole read", `event ${wrong} from ${input.from} on is ${what}`, operation);
    }
    const reached = Math.max(input.from - 1, events.at(-1)?.[0] ?? 0);
    const known = Math.max(
      own.before(clientOf(operation), start),
      nodes > 1 ? 0 : all.before("", start),
    );
    if (output.isWhole && reached < known) {
      found("whole read", `it ended at ${reached}, and ${known} was acknowledged`, operation);
    }
  }
};
