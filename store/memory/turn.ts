import { unlessAborted } from "../base/abort.ts";
import type { KeyedQueue } from "../base/keyed_queue.ts";

/** A save in line: nothing of it is stored before its second step. */
export interface TurnSteps<Prepared, Result> {
  /** Ends it for as long as nothing is stored. */
  readonly signal: AbortSignal | undefined;
  /** The error of a save that its signal has ended. */
  readonly refusal: (reason: unknown) => Error;
  /** Waits for what is still to come. */
  readonly prepare: () => Prepared | Promise<Prepared>;
  /** Stores it, at once. */
  readonly store: (prepared: Prepared) => Promise<Result>;
}

/** Does the steps of a save when the turn of all its actors has come. */
export async function takeTurn<Prepared, Result>(
  lanes: KeyedQueue,
  actors: readonly string[],
  { signal, refusal, prepare, store }: TurnSteps<Prepared, Result>,
): Promise<Result> {
  const { promise: waited, resolve: endWait } = Promise.withResolvers<void>();
  let isStoring = false;
  const done = lanes.run(actors, async () => {
    try {
      signal?.throwIfAborted();
      const given = prepare();
      const prepared = given instanceof Promise ? await unlessAborted(signal, given) : given;
      signal?.throwIfAborted();
      isStoring = true;
      return await store(prepared);
    } finally {
      endWait();
    }
  });
  done.catch(() => {}); // Awaited below, unless nobody waits any more.
  try {
    if (signal !== undefined) {
      await unlessAborted(signal, waited).catch((reason) => {
        if (!isStoring) throw reason;
      });
    }
    return await done;
  } catch (error) {
    throw signal?.aborted && !isStoring ? refusal(signal.reason) : error;
  }
}
