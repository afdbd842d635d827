/**
 * Whether what callers were told of their saves and commands is what is stored.
 *
 * @module
 */

import type { Indexed, Rule } from "./evidence.ts";
import type { Operation } from "./history.ts";
import type { Fact } from "./ledger.ts";

/** The events that an operation has stored, in order; `undefined` where nobody can tell. */
export function storedBy(operation: Operation, indexed: Indexed): readonly Fact[] | undefined {
  const { input, output, outcome } = operation;
  if (input.type === "save") {
    const facts = input.events.map(({ id }) => indexed.byId.get(id)?.[0]);
    return facts.every((fact) => fact !== undefined) ? facts : undefined;
  }
  if (input.type !== "command" || outcome !== "ok") return undefined;
  const ids = output.results?.flatMap(({ ids }) => ids) ?? [];
  const facts = ids.map((id) => indexed.byId.get(id)?.[0]);
  return facts.length > 0 && facts.every((fact) => fact !== undefined) ? facts : undefined;
}

/** What was acknowledged is stored at its place, and what was refused is not. */
export const told: Rule = (indexed, found) => {
  const { operations, ledger: { facts } } = indexed.evidence;
  /** Ids of events of saves that may be stored. */
  const possible = new Set<string>();
  for (const operation of operations) {
    const { input, output, outcome } = operation;
    if (input.type !== "save") continue;
    if (outcome !== "refused") { for (const { id } of input.events) possible.add(id); }
    if (outcome !== "ok") continue;
    for (const { id, actorId, version } of input.events) {
      const fact = indexed.byId.get(id)?.[0];
      if (fact?.actorId === actorId && fact.version === version) continue;
      const what = `version ${version} of "${actorId}" was acknowledged, and is not stored`;
      found("acknowledged", what, operation);
    }
    const last = storedBy(operation, indexed)?.at(-1)?.position;
    if (output.sequence !== undefined && last !== undefined && output.sequence !== last) {
      const what = `the receipt names ${output.sequence}, its last event is at ${last}`;
      found("acknowledged", what, operation);
    }
  }
  for (const operation of operations) {
    const { input, outcome } = operation;
    if (input.type !== "save" || outcome !== "refused") continue;
    for (const { id, actorId, version } of input.events) {
      if (possible.has(id) || !indexed.byId.has(id)) continue;
      const what = `version ${version} of "${actorId}" was refused, and is stored`;
      found("refused", what, operation);
    }
  }
  for (const fact of facts) {
    const owner = indexed.ownerOf(fact);
    if (owner?.outcome === "refused") {
      const what = `${fact.position}: version ${fact.version} of "${fact.actorId}" is of a refused`;
      found("refused", `${what} operation`, owner);
    }
    const { op } = (fact.data ?? {}) as { readonly op?: string };
    const isSaved = possible.has(fact.id);
    if (op !== undefined && owner === undefined && !isSaved) {
      found("origin", `${fact.position}: nobody has asked for the event "${fact.id}"`);
    }
  }
};

/** Where one operation ended before another began, what it stored stands before the other's. */
export const realTime: Rule = (indexed, found) => {
  const { operations } = indexed.evidence;
  const times = new Map<string, number>();
  for (const { input } of operations) {
    if (input.type !== "save") continue;
    for (const { id } of input.events) times.set(id, (times.get(id) ?? 0) + 1);
  }
  const own = operations.flatMap((operation) => {
    const facts = storedBy(operation, indexed);
    if (facts === undefined) return [];
    const { outcome, output, input } = operation;
    const isFirst = input.type === "save"
      ? output.duplicate !== true && input.events.every(({ id }) => times.get(id) === 1)
      : output.results?.every(({ duplicate }) => !duplicate) === true;
    const positions = facts.map(({ position }) => position);
    return [{
      ...{ operation, isFirst, end: outcome === "ok" ? operation.end : Infinity },
      ...{ first: Math.min(...positions), last: Math.max(...positions) },
    }];
  });
  const ended = own.filter(({ end }) => end < Infinity).sort((one, other) => one.end - other.end);
  let at = 0;
  let latest: (typeof ended)[number] | undefined;
  for (const begun of own) {
    for (; at < ended.length && ended[at]!.end < begun.operation.start; at++) {
      if (latest === undefined || ended[at]!.last > latest.last) latest = ended[at];
    }
    if (latest === undefined || !begun.isFirst || begun.first > latest.last) continue;
    const what = `${begun.first} was stored before ${latest.last}, which had ended before it began`;
    found("real-time order", what, latest.operation, begun.operation);
  }
};

/** A guard of a stored save held at the place where it is stored. */
export const guards: Rule = (indexed, found) => {
  for (const operation of indexed.evidence.operations) {
    const { input } = operation;
    if (input.type !== "save" || input.expect === undefined) continue;
    const first = storedBy(operation, indexed)?.[0];
    if (first === undefined) continue;
    for (const { actorId, version } of input.expect) {
      const facts = indexed.byActor.get(actorId) ?? [];
      const before = facts.findLast(({ message, save }) =>
        message < first.message && save !== first.save
      );
      if ((before?.version ?? 0) === version) continue;
      const what = `"${actorId}" was expected at ${version}, and was at ${before?.version ?? 0}`;
      found("guard", `${first.position}: ${what}`, operation);
    }
  }
};

/** One that was refused for its version, though all of it had been acknowledged before. */
export const repeats: Rule = (indexed, found) => {
  const acknowledged = new Map<string, number>();
  const { operations } = indexed.evidence;
  for (const { input, outcome, end } of operations) {
    if (input.type !== "save" || outcome !== "ok") continue;
    for (const { id } of input.events) {
      acknowledged.set(id, Math.min(acknowledged.get(id) ?? Infinity, end));
    }
  }
  for (const operation of operations) {
    const { input, output, outcome, start } = operation;
    if (input.type !== "save" || outcome !== "refused" || input.expect !== undefined) continue;
    if (output.error !== "VersionConflictError") continue;
    if (!input.events.every(({ id }) => (acknowledged.get(id) ?? Infinity) < start)) continue;
    found("repeat", "it was stored before, and its repetition is refused", operation);
  }
};

/** Commands are told their events; one id has one outcome, whoever asks. */
export const commands: Rule = (indexed, found) => {
  const { operations, ledger: { receipts } } = indexed.evidence;
  const byCommand = Map.groupBy(
    operations.filter(({ input }) => input.type === "command"),
    ({ id, input }) => input.type === "command" && input.commandId || `without ${id}`,
  );
  const recorded = new Set(receipts.map(({ actorId, command }) => `${actorId} ${command}`));
  for (const tries of byCommand.values()) {
    const results = new Map<string, Operation>();
    for (const operation of tries) {
      const { input, output, outcome } = operation;
      if (input.type !== "command") continue;
      const { commandId = "", actorIds, record } = input;
      const isRecorded = actorIds.every((actorId) => recorded.has(`${actorId} ${commandId}`));
      const isFinal = output.error === "CommandRefusedError" ||
        (record === true && output.error === "RangeError");
      if (outcome === "refused" && isFinal && !isRecorded) {
        found("command", "its refusal is final, and has no receipt", operation);
      }
      if (outcome !== "ok") continue;
      for (const [at, { ids, version, sequence }] of output.results!.entries()) {
        const facts = ids.map((id) => indexed.byId.get(id)?.[0]);
        const last = facts.at(-1);
        const isThere = facts.length > 0 &&
          facts.every((fact) => fact?.actorId === actorIds[at] && fact?.command === commandId);
        const isLast = last?.version === version && last.position === sequence;
        if (!isThere || !isLast) {
          const what = `it was told events ${ids} up to version ${version} at ${sequence}`;
          found("command", `${what}, and they are not stored so`, operation);
        }
      }
      results.set(JSON.stringify(output.results!.map(({ ids }) => ids)), operation);
    }
    if (results.size > 1) found("command once", "one id has two outcomes", ...results.values());
    const firsts = tries.filter(({ outcome, output }) =>
      outcome === "ok" && output.results!.every(({ duplicate }) => !duplicate)
    );
    if (firsts.length > 1) found("command once", "two were told to be the first", ...firsts);
  }
};
