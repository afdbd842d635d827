/**
 * What holds of a stored log by itself, whoever wrote it.
 *
 * @module
 */

import type { Rule } from "./evidence.ts";

/** Each event is there once, each actor's versions rise, each names the one before it. */
export const chains: Rule = ({ evidence: { ledger }, byId, byActor }, found) => {
  for (const [id, facts] of byId) {
    if (facts.length > 1) found("event once", `Event "${id}" is stored ${facts.length} times`);
  }
  const receipts = Map.groupBy(ledger.receipts, ({ actorId }) => actorId);
  for (const actorId of new Set([...byActor.keys(), ...receipts.keys()])) {
    const links = [
      ...byActor.get(actorId) ?? [],
      ...(receipts.get(actorId) ?? []).map((receipt) => ({
        ...receipt,
        ...{ previous: receipt.version, position: 256 * receipt.message, isReceipt: true },
      })),
    ].sort((one, other) => one.position - other.position);
    let latest = 0;
    for (const link of links) {
      const { version, previous, position } = link;
      const isReceipt = "isReceipt" in link;
      const rises = isReceipt ? version === previous : version > previous;
      if (previous !== latest || !rises) {
        const what = `${position}: version ${version} of "${actorId}" names ${previous}`;
        found("chain", `${what} as the one before, which is ${latest}`);
      }
      latest = version;
    }
  }
};

/** A save is stored whole, its events side by side. */
export const commits: Rule = ({ evidence: { ledger: { facts } }, bySave }, found) => {
  const places = new Map(facts.map((fact, place) => [fact, place]));
  for (const [save, events] of bySave) {
    const { count } = events[0]!;
    const first = places.get(events[0]!)!;
    const isWhole = events.length === count &&
      events.every((event, at) =>
        event.index === at && event.count === count && places.get(event) === first + at
      );
    if (isWhole) continue;
    const seen = events.map(({ index }) => index);
    found("commit whole", `Save "${save}" of ${count} events has ${seen} at ${first} and behind`);
  }
};

/** What names a fence was stored while that was the last one of its shard, and claimed. */
export const fencing: Rule = ({ evidence: { ledger: { facts, fences } } }, found) => {
  const latest = new Map<string, (typeof fences)[number]>();
  let next = 0;
  const takeUntil = (message: number) => {
    for (; next < fences.length && fences[next]!.message < message; next++) {
      const fence = fences[next]!;
      const before = latest.get(fence.shard);
      if (before !== undefined && before.mapVersion > fence.mapVersion) {
        const back = `from ${before.mapVersion} to ${fence.mapVersion}`;
        found("fence", `${fence.message}: shard ${fence.shard} goes back ${back}`);
      }
      latest.set(fence.shard, fence);
    }
  };
  for (const { message, shard, fence, actorId, version } of facts) {
    takeUntil(message);
    if (fence === 0) continue;
    const current = latest.get(shard);
    if (current?.message === fence && current.state === "claimed") continue;
    const what = `${message}: version ${version} of "${actorId}" is under fence ${fence}`;
    found("fence", `${what}, and its shard's is ${current?.message} (${current?.state})`);
  }
  takeUntil(Infinity);
};

/** A command leads, at one actor, to one save or to one receipt. */
export const outcomesOnce: Rule = ({ evidence: { ledger } }, found) => {
  const outcomes = new Map<string, string>();
  const take = (actorId: string, command: string, outcome: string) => {
    if (command === "") return;
    const key = `"${command}" of "${actorId}"`;
    const before = outcomes.get(key) ?? outcome;
    outcomes.set(key, before);
    if (before !== outcome) found("command once", `Command ${key} has ${before} and ${outcome}`);
  };
  for (const { actorId, command, save } of ledger.facts) take(actorId, command, `save ${save}`);
  for (const { actorId, command, message } of ledger.receipts) {
    take(actorId, command, `receipt ${message}`);
  }
};

/**
 * A deadline comes once, and not before its time by the server's clock; one that was set has come
 * in the end, or was cleared. The first event of a save is that which the save was for.
 */
export const deadlines: Rule = ({ bySave, byActor }, found) => {
  const due = new Map<string, number>();
  for (const events of bySave.values()) {
    const own = events.filter(({ actorId }) => actorId.startsWith("process:"));
    for (const [at, { actorId, type, data, time, message }] of own.entries()) {
      const { name, at: when } = (data ?? {}) as { readonly name: string; readonly at: string };
      const key = `"${name}" of "${actorId}"`;
      if (type === "DeadlineSet") due.set(key, Date.parse(when));
      if (type !== "DeadlineCleared") continue;
      const time0 = due.get(key);
      due.delete(key);
      if (time0 === undefined) found("deadline", `${message}: ${key} comes, and was not set`);
      else if (at === 0 && time < time0) {
        found("deadline", `${message}: ${key} comes ${(time0 - time).toFixed(3)} ms early`);
      }
    }
  }
  for (const key of due.keys()) found("deadline", `${key} never comes`);
  for (const [actorId, events] of byActor) {
    if (!actorId.startsWith("ask-")) continue;
    const id = actorId.slice("ask-".length);
    const process = byActor.get(`process:alarm-${id}`) ?? [];
    const ended = process.filter(({ type }) => type === "ProcessEnded").length;
    const rung = process.filter(({ type }) => type === "Rung").length;
    const bell = (byActor.get(`bell-${id}`) ?? []).length;
    if (ended === 1 && rung === 1 && bell === 1) continue;
    const what = `it has rung ${rung} times, its bell ${bell} times, and has ended ${ended} times`;
    found("process", `${events[0]!.position}: of "${actorId}" was asked for an alarm; ${what}`);
  }
};
