import { categoryOf } from "../actor.ts";
import type { RecordedEvent } from "../event.ts";
import { isCodecFailure } from "../format/decode.ts";
import { LedgerType } from "../ledger_type.ts";
import { readArrivals } from "../projection/arrival.ts";
import type { EventStore } from "../store.ts";
import { ledgerFrom } from "./known_history.ts";
import type { ParkedAt } from "./ledger.ts";
import type { ParkedProcess } from "./parked.ts";

/** How a process is parked, if it is, by its history up to `version` at least. */
export async function parkedBy(
  store: EventStore,
  actorId: string,
  version: number,
  signal: AbortSignal,
): Promise<ParkedProcess | undefined> {
  const { parked } = await ledgerFrom(store, actorId, version, signal);
  return parked && entryOf(actorId, parked, parked.since);
}

/** All processes of a category that are parked, those that are parked longest first: it reads all events. */
export async function allParked(
  store: EventStore,
  category: string,
  signal: AbortSignal,
): Promise<ParkedProcess[]> {
  const eventTypes = [LedgerType.parked, LedgerType.unparked, LedgerType.ended];
  const all = new Map<string, ParkedProcess>();
  const options = { from: 1, filter: { category, eventTypes }, signal };
  for await (const { actorId, event, failure } of readArrivals<RecordedEvent>(store, options)) {
    // The codec may do better; if the bytes are wrong, a process less is in the list.
    if (failure !== undefined && isCodecFailure(failure.error)) throw failure.error;
    if (event === undefined) continue;
    const { eventType, data, timestamp } = event;
    const isSame = eventType === LedgerType.parked && (data as ParkedAt).resuming;
    if (isSame && all.has(actorId)) continue;
    all.delete(actorId);
    if (eventType === LedgerType.parked) {
      all.set(actorId, entryOf(actorId, data as ParkedAt, timestamp));
    }
  }
  return [...all.values()];
}

function entryOf(
  actorId: string,
  { sequence, eventId, reason }: ParkedAt,
  since: Date,
): ParkedProcess {
  const id = actorId.slice(categoryOf(actorId).length + 1);
  return { id, sequence, eventId, reason, since: since.toISOString() };
}
