import { asStreamSequence, messageSequenceOf } from "../format/position.ts";
import { FencedEventStore, plainStoreOf } from "../fencing/fenced_store.ts";
import { JetStreamEventStore, readerOf } from "../jetstream/event_store.ts";
import { InMemoryEventStore, memoryPartsOf } from "../memory/event_store.ts";
import type { EventStore } from "../store.ts";
import { cacheOwnerOf } from "../store_view.ts";
import { MemorySource } from "./memory_source.ts";
import { checkVerify, snapshotsIn, verifyAsGiven, type VerifyOptions } from "./options.ts";
import type { VerifyProgress, VerifyReport } from "./report.ts";
import { SnapshotCheck } from "./snapshot_check.ts";
import type { VerifySource } from "./source.ts";
import { StreamSource } from "./stream_source.ts";
import { Verification, type VerifyWork } from "./verification.ts";
import { Walk } from "./walk.ts";

/**
 * Checks all that a store holds against the rules of the storage format: reads each message once,
 * in order, and changes nothing. Await it for the report; iterate over it for progress, at most
 * every 250 ms or 10,000 messages; both work together. It begins with the first of these.
 *
 * Its memory is bounded, however much is stored. It ends where the store ended when it began, so
 * that it can run beside writers; a later one goes on `from` the `next` of the report. A
 * connection or consumer that is lost is waited for, as long as the store's `timeout`.
 *
 * A problem does not reject the promise: it is in the report, with its rule, its place, what is
 * wrong and what to do. It rejects if the store cannot be read to the end.
 *
 * @param store One of this library's stores, or a view of one.
 * @throws {TypeError} It is another store, or an option is of another kind. The promise and the iteration reject with it.
 * @throws {RangeError} An option is out of its range; likewise.
 * @throws {StoreUnavailableError} The store, or what its codec needs, cannot be reached; likewise.
 *
 * @example A store that is sound
 * ```ts
 * import { appendEvents, InMemoryEventStore, verify } from "@flowmade-one/aether";
 *
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
 * await appendEvents(store, "order-1", 0, [
 *   { eventType: "OrderPlaced", data: { total: 99.99 } },
 *   { eventType: "OrderPaid", data: { method: "card" } },
 * ]);
 * const { ok, events, problems } = await verify(store);
 * console.log(ok, events, problems); // true 2 []
 * ```
 *
 * @example Progress, then the report
 * ```ts
 * import { InMemoryEventStore, verify } from "@flowmade-one/aether";
 *
 * await using store = new InMemoryEventStore(); // Deno, or Node 24 and newer
 * const verification = verify(store);
 * for await (const { messages, rate } of verification) console.log(messages, rate);
 * const { problems } = await verification;
 * for (const { rule, message, advice } of problems) console.error(rule, message, advice);
 * ```
 */
export function verify(
  store: EventStore,
  options: VerifyOptions = {},
): AsyncIterable<VerifyProgress> & PromiseLike<VerifyReport> {
  const own = verifyAsGiven(options);
  const work: VerifyWork = async (onProgress, left) => {
    checkVerify(own);
    const { from = 0, maxMessages = Infinity, limit = 100, cacheSize = 100_000 } = own;
    checkCount("from", from, 0);
    if (maxMessages !== Infinity) checkCount("maxMessages", maxMessages, 1);
    checkCount("limit", limit, 0);
    checkCount("cacheSize", cacheSize, 1);
    for (const { sample = 0 } of snapshotsIn(own)) checkCount("sample", sample, 0);
    const { signal, projections = [] } = own;
    const source = sourceOf(store);
    return await new Walk({
      ...{ store, source, maxMessages, limit, cacheSize, projections, onProgress },
      first: asStreamSequence(Math.max(1, messageSequenceOf(from))),
      snapshots: snapshotsIn(own).map((it) => new SnapshotCheck(it)),
      signal: signal === undefined ? left : AbortSignal.any([signal, left]),
    }).run();
  };
  return new Verification(work);
}

function sourceOf(store: EventStore): VerifySource {
  const own = cacheOwnerOf(store);
  if (own instanceof InMemoryEventStore) {
    return new MemorySource(own.identity, memoryPartsOf(own));
  }
  if (own instanceof FencedEventStore) return new StreamSource(readerOf(plainStoreOf(own)));
  if (own instanceof JetStreamEventStore) return new StreamSource(readerOf(own));
  throw new TypeError(
    "Cannot verify the store: it is not a JetStreamEventStore, FencedEventStore or " +
      "InMemoryEventStore of this copy of the library; pass the store that yours is built on",
  );
}

function checkCount(name: string, value: number, least: number): void {
  if (Number.isSafeInteger(value) && value >= least) return;
  throw new RangeError(
    `Cannot verify the store: ${name} is ${value}, not a safe integer of ${least} or more`,
  );
}
