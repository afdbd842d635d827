import { lastMessage } from "../command/command_queues.ts";
import type { InnerReadOptions } from "../command_log.ts";
import { rehydrate } from "../command/rehydrate.ts";
import { StoreUnavailableError } from "../errors.ts";
import type { Event, RecordedEvent } from "../event.ts";
import type { EventStore } from "../store.ts";
import { type Ledger, ledger } from "./ledger.ts";
import type { OpenItem } from "./open_index.ts";

// A program that knows of an event which another one has saved may read the history from a replica
// that lags and does not have it yet. That must not count as lost, or as done: nobody would look again.

/**
 * The event that has opened an item; `undefined` if another one is in its place.
 *
 * @throws {StoreUnavailableError} No replica in reach has come to it yet.
 */
export async function openingEvent(
  store: EventStore,
  item: OpenItem,
  signal: AbortSignal,
): Promise<RecordedEvent | undefined> {
  const { actorId, version, sequence, eventId } = item;
  const find = async (range: Pick<InnerReadOptions, "toVersion" | "limit" | "last">) => {
    const options: InnerReadOptions = { fromVersion: version, signal, ...range };
    for await (const event of store.readEvents<Event>(actorId, options)) return event;
    return undefined;
  };
  // Whoever works on the item looks for commands behind this event: what that reads may be it.
  const last = await lastMessage(store, actorId, sequence);
  let found = await find({ toVersion: version, limit: 1, last });
  if (found === undefined) {
    await reach(store, actorId, version);
    found = await find({ limit: 1 });
    if (found === undefined) throw behind(actorId, version);
  }
  if (found.id !== eventId) return undefined;
  return { ...found, sequence, commit: { op: "", index: 0, count: 1 } };
}

/**
 * The ledger of a process that has come to `version` at least.
 *
 * @throws {StoreUnavailableError} No replica in reach has come to it yet.
 */
export async function ledgerFrom(
  store: EventStore,
  actorId: string,
  version: number,
  signal: AbortSignal,
): Promise<Ledger> {
  let found = await rehydrate(store, actorId, ledger, { signal });
  if (found.version < version) {
    await reach(store, actorId, version);
    found = await rehydrate(store, actorId, ledger, { signal });
    if (found.version < version) throw behind(actorId, version);
  }
  return found.state;
}

/** Has the store learn that the history goes on to `version`: its next read gets there. */
async function reach(store: EventStore, actorId: string, version: number): Promise<void> {
  const latest = await store.getLatestVersion(actorId, { fresh: true });
  if (latest < version) throw behind(actorId, version);
}

function behind(actorId: string, version: number): StoreUnavailableError {
  return new StoreUnavailableError(
    `Cannot read "${actorId}" up to version ${version}: no server in reach has come to it yet`,
  );
}
