/**
 * Whether commits kept to the versions that they depended on, by the stream's own order.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { ExpectedVersion } from "../../../store/mod.ts";
import type { Outcome, Stored } from "../../support/fault.ts";

/** A save, and the versions that it depended on. */
export interface Guarded {
  readonly outcome: Outcome;
  readonly expect: readonly ExpectedVersion[];
}

/** Commits whose guards were stale already: `[sequence, actor, expected, found]` of each. */
export function staleGuards(
  saves: readonly Guarded[],
  stored: readonly Stored[],
): [number, string, number, number][] {
  const sequences = new Map(stored.map(({ id, sequence }) => [id, sequence]));
  const histories = new Map<string, Stored[]>();
  for (const each of stored) {
    const actorId = each.subject.slice(each.subject.lastIndexOf(".") + 1);
    const history = histories.get(actorId);
    if (history === undefined) histories.set(actorId, [each]);
    else history.push(each);
  }
  const stale: [number, string, number, number][] = [];
  for (const { outcome: { events, kind }, expect } of saves) {
    const first = sequences.get(events[0]!.id);
    if (first === undefined || kind === "duplicate") continue;
    for (const { actorId, version } of expect) {
      const history = histories.get(actorId) ?? [];
      const before = history.findLast(({ sequence }) => sequence < first)?.version ?? 0;
      if (before !== version) stale.push([first, actorId, version, before]);
    }
  }
  return stale;
}

/** Checks that no commit was accepted with a guard that was stale; gives how many were checked. */
export function assertGuarded(saves: readonly Guarded[], stored: readonly Stored[]): number {
  assertEquals(staleGuards(saves, stored), []);
  const ids = new Set(stored.map(({ id }) => id));
  return saves.filter(({ outcome: { events, kind } }) =>
    kind !== "duplicate" && ids.has(events[0]!.id)
  ).length;
}
