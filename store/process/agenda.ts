import { sleep } from "../base/sleep.ts";
import { encodeToken } from "../base/token.ts";
import { shardOf } from "../actor.ts";
import { isAetherError } from "../errors.ts";
import type { RecordedEvent } from "../event.ts";
import { isCodecFailure } from "../format/decode.ts";
import { isClosed } from "../nats/failure.ts";
import { isUnreadable, readArrivals } from "../projection/arrival.ts";
import type { HeldPartition } from "../projection/partition.ts";
import { endingWith } from "../projection/plain_checkpoints.ts";
import { OpenIndex } from "./open_index.ts";
import { type AgendaParts, OpenWork, PAUSE } from "./open_work.ts";

/**
 * The open work of processes in the partitions that this process holds: commands that were issued
 * and not settled, effects that have not ended, and deadlines that are set. It sees to
 * it that all of it is worked on in its time, also after a crash of the process that had issued it. Fed by a
 * projection of the processes' histories.
 */
export class Agenda {
  readonly #parts: AgendaParts;
  readonly #held = new Map<number, OpenWork>();
  readonly #runs = new Set<Promise<void>>();

  /** Holds nothing yet. */
  constructor(parts: AgendaParts) {
    this.#parts = parts;
  }

  /**
   * Takes a partition over, with all that is open in it; waits while a store is out of reach. It is the
   * subscriber to the histories that notices messages of no actor: here they are passed over.
   *
   * @throws {CorruptEventError} An event of the partition cannot be read.
   * @throws {UnknownSchemaError} Newer code saved one.
   * @throws {StoreRefusedError} The store refuses to go on.
   * @throws {StoreUnavailableError} The connection is closed.
   */
  async take({ partitionId, sequence, signal, waitFor }: HeldPartition): Promise<void> {
    const { store, checkpoints, key, category, onError } = this.#parts;
    const { version, partition, of } = partitionId;
    const name = `${encodeToken(key)}.${version}.${partition}`;
    const index = new OpenIndex(endingWith(signal, checkpoints), name, store.identity);
    const held = new OpenWork(this.#parts, index, signal);
    await untilDone(signal, onError, async () => {
      const known = await index.load();
      held.clear();
      for (const item of known.items) held.open(item);
      const from = known.sequence + 1;
      if (from <= sequence) {
        for await (const arrival of readArrivals(store, { from, filter: { category }, signal })) {
          if (arrival.sequence > sequence) break;
          held.isDirty = true; // Whoever is next need not read it again.
          if (of > 1 && shardOf(arrival.actorId, of) !== partition) continue;
          if (arrival.event === undefined) throw arrival.failure!.error;
          held.see(arrival.event);
        }
      }
      held.sequence = Math.max(known.sequence, sequence);
    });
    this.#held.set(partition, held);
    const run = held.run().finally(() => this.#runs.delete(run));
    this.#runs.add(run);
    waitFor(run); // An effect that still ends well is not unknown to the next owner then.
  }

  /** Takes note of an event in the history of a process. */
  see(event: RecordedEvent, partition: number): void {
    const held = this.#held.get(partition)!;
    // The index was ahead of the checkpoint: seen twice, an older deadline would take the place of a newer one.
    if (event.sequence <= held.sequence) return;
    held.see(event);
    held.sequence = event.sequence;
    held.changed();
  }

  /** When the earliest deadline is due that is set here, in ms; not of processes that are parked. */
  get earliest(): number | undefined {
    const all = [...this.#held.values()].map(({ earliest }) => earliest ?? Infinity);
    const first = Math.min(...all);
    return first === Infinity ? undefined : first;
  }

  /** Resolves when no work is under way any more; the partitions have to be given up before. */
  async settled(): Promise<void> {
    await Promise.all(this.#runs);
    this.#held.clear();
  }
}

/** Does `work` until it succeeds, or fails for good. */
async function untilDone(
  signal: AbortSignal,
  onError: (error: unknown) => void,
  work: () => Promise<void>,
): Promise<void> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (isLasting(error)) throw error;
      onError(error);
      await sleep(PAUSE, signal);
    }
  }
}

/** Whether another try meets the same; unlike the bytes of an event, its codec may do better. */
function isLasting(error: unknown): boolean {
  return isClosed(error) || isAetherError(error, "StoreRefusedError") ||
    (isUnreadable(error) && !isCodecFailure(error));
}
