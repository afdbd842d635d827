/**
 * What a stream of events holds, as the checks of a storm look at it: read message by message,
 * without the library's code but for the names of subjects.
 *
 * @module
 */

import { Layout } from "../../../store/format/layout.ts";
import { eventsIn, type Stored } from "../stored_log.ts";

/** An event that is stored. */
export interface Fact {
  /** Its position in the store. */
  readonly position: number;
  /** The server's sequence of its message. */
  readonly message: number;
  /** When the server stored it, in ms since 1970. */
  readonly time: number;
  readonly shard: string;
  readonly actorId: string;
  readonly id: string;
  readonly version: number;
  /** The version that it follows. */
  readonly previous: number;
  /** The command that led to it; `""` if there was none. */
  readonly command: string;
  /** Its save, and its place in there. */
  readonly save: string;
  readonly index: number;
  readonly count: number;
  /** The fence that it was stored under; 0 if there was none. */
  readonly fence: number;
  readonly type: string;
  readonly data: unknown;
}

/** The outcome of a command that led to no event. */
export interface Receipt {
  readonly message: number;
  readonly actorId: string;
  readonly version: number;
  readonly command: string;
}

/** A fence: the claim of a shard, or its release. */
export interface Fence {
  readonly message: number;
  readonly shard: string;
  readonly mapVersion: number;
  readonly state: string;
}

/** All of a stream, each kind in the order of the stream. */
export interface Ledger {
  readonly facts: readonly Fact[];
  readonly receipts: readonly Receipt[];
  readonly fences: readonly Fence[];
}

/** Reads a log. */
export function ledgerOf(log: readonly Stored[], namespace: string): Ledger {
  const layout = new Layout(namespace);
  const [prefix] = layout.fence(0).split("fence.0") as [string];
  const facts: Fact[] = [];
  const receipts: Receipt[] = [];
  const fences: Fence[] = [];
  for (const stored of log) {
    const { sequence: message, subject, time = NaN, data, header } = stored;
    const [kind, shard = ""] = subject.slice(prefix.length).split(".");
    if (kind === "fence") {
      const { mapVersion, state } = JSON.parse(new TextDecoder().decode(data));
      fences.push({ message, shard, mapVersion, state });
    }
    if (kind !== "event") continue;
    const actorId = layout.actorOf(subject)!;
    if (header("Aether-Id") === "") {
      const version = Number(header("Aether-Version"));
      receipts.push({ message, actorId, version, command: header("Aether-Command") });
      continue;
    }
    for (const [at, event] of eventsIn(stored).entries()) {
      const { version, previous, command, commit, text } = event;
      const { id, eventType: type, data } = JSON.parse(text);
      facts.push({
        ...{ position: 256 * message + at, message, time, shard, actorId, id, version, previous },
        ...{ command, save: commit.op, index: commit.index, count: commit.count },
        ...{ fence: Number(header("Aether-Fence")), type, data },
      });
    }
  }
  return { facts, receipts, fences };
}

/** Facts, by a key of theirs, each list in the order of the store. */
export function grouped(
  facts: readonly Fact[],
  key: "actorId" | "id" | "save" | "command",
): Map<string, Fact[]> {
  const groups = new Map<string, Fact[]>();
  for (const fact of facts) {
    const group = groups.get(fact[key]);
    if (group === undefined) groups.set(fact[key], [fact]);
    else group.push(fact);
  }
  return groups;
}
