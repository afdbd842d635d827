import { conflictOf, endMoved, expectationFailed } from "../check/refusals.ts";
import { comesAgain, differenceOf, isAmong } from "../check/repeats.ts";
import type { PreparedEvent } from "../format/encode.ts";
import type { SaveReceipt } from "../options.ts";
import type { HeadReader, StoredEvent } from "../read/head_reader.ts";
import type { StoredRun } from "../read/stored_run.ts";
import type { ExpectedHeads, Save } from "./messages.ts";

/**
 * Whether all events are newer than their actors' heads and none of those by their ids, and all
 * expectations are met.
 */
export function isNew(save: Save, expectedHeads: ExpectedHeads): boolean {
  for (const { actorId, version, id } of save.events) {
    const head = expectedHeads.get(actorId)!;
    if (version <= head.version || isAmong(head.ids, id)) return false;
  }
  for (const [actorId, expected] of save.expect) {
    if (expectedHeads.get(actorId)!.version !== expected) return false;
  }
  for (const [actorId, { sequence }] of save.ends ?? []) {
    if (expectedHeads.get(actorId)!.sequence !== sequence) return false;
  }
  return true;
}

/** Whether the save itself says that the actor has no events yet: it writes version 1. */
export function beginsAtOne(save: Save, actorId: string): boolean {
  return save.events.some((event) => event.actorId === actorId && event.version === 1);
}

/**
 * The end of a save that the heads of its actors, as the server tells them, forbid: all of its
 * events are stored already, which is a duplicate; or something differs.
 *
 * @throws {VersionConflictError} Something differs: the first thing that does.
 */
export async function decide(
  save: Save,
  expectedHeads: ExpectedHeads,
  reader: HeadReader,
): Promise<SaveReceipt> {
  if (save.events.every(({ actorId, version }) => version > expectedHeads.get(actorId)!.version)) {
    const known = save.events.find(({ actorId, id }) =>
      isAmong(expectedHeads.get(actorId)!.ids, id)
    );
    if (known !== undefined) throw comesAgain(known);
    for (const [actorId, expected] of save.expect) {
      const { version } = expectedHeads.get(actorId)!;
      if (version !== expected) {
        throw expectationFailed(actorId, expected, version, save.events);
      }
    }
    for (const [actorId, { version, sequence }] of save.ends ?? []) {
      const head = expectedHeads.get(actorId)!;
      if (head.sequence !== sequence) throw endMoved(actorId, version, head.version, save.events);
    }
  }
  const near = new Map<string, StoredRun>();
  let sequence = 0;
  for (const event of save.events) {
    const { actorId, version } = event;
    const head = expectedHeads.get(actorId)!;
    const stored = await reader.at(actorId, version, head, near.get(actorId));
    const difference = stored && differenceFrom(stored, event);
    if (stored === undefined || difference !== undefined) {
      const culprit = version > head.version
        ? await culpritOf(save, expectedHeads, event, reader)
        : event;
      const current = expectedHeads.get(culprit.actorId)!.version;
      throw conflictOf(culprit, current, culprit === event ? difference || undefined : undefined);
    }
    near.set(actorId, stored.run);
    sequence = Math.max(sequence, stored.run.positionAt(stored.index));
  }
  return { sequence, duplicate: true };
}

/** Whom a conflict is about that shows at `event`, which is new itself: one not new is. */
async function culpritOf(
  save: Save,
  expectedHeads: ExpectedHeads,
  event: PreparedEvent,
  reader: HeadReader,
): Promise<PreparedEvent> {
  const headOf = ({ actorId }: PreparedEvent) => expectedHeads.get(actorId)!;
  const moved = save.events.find((it) => it.version <= headOf(it).version)!;
  const { actorId, version } = moved;
  const stored = await reader.at(actorId, version, headOf(moved));
  return stored !== undefined && differenceFrom(stored, moved) === undefined ? event : moved;
}

/**
 * Whether the events are stored, whoever saved them, once their own save never will be; a save
 * without events is not.
 */
export async function outcomeOfEvents(
  events: readonly PreparedEvent[],
  reader: HeadReader,
): Promise<"saved" | "not-saved"> {
  if (events.length === 0) return "not-saved";
  const near = new Map<string, StoredRun>();
  for (const event of events) {
    const { actorId, version } = event;
    const head = await reader.read(actorId);
    const stored = await reader.at(actorId, version, head, near.get(actorId));
    if (stored === undefined || differenceFrom(stored, event) !== undefined) return "not-saved";
    near.set(actorId, stored.run);
  }
  return "saved";
}

/** How a stored event differs from `event`: `""` by its id; `undefined` if it is the same one. */
function differenceFrom({ run, index }: StoredEvent, event: PreparedEvent): string | undefined {
  if (!run.hasIdAt(index, event.id)) return "";
  return differenceOf(event, {
    eventType: run.typeAt(index),
    schema: run.schemaAt(index),
    text: () => run.contentAt(index).text,
  });
}
