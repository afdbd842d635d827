import { unlessStuck } from "../base/abort.ts";
import type { CheckpointStore } from "./checkpoint_store.ts";

/** The same checkpoints without transactions, which would stay open while commands are sent. */
export function withoutTransactions(
  checkpoints: Pick<CheckpointStore, "load" | "save">,
): CheckpointStore<undefined> {
  return {
    load: (key) => checkpoints.load(key),
    save: (key, checkpoint) => checkpoints.save(key, checkpoint),
  };
}

/** The same checkpoints, for work that `stop` ends: a store that never answers holds it up no longer. */
export function endingWith(
  stop: AbortSignal,
  checkpoints: CheckpointStore<undefined>,
): CheckpointStore<undefined> {
  return {
    load: async (key) => await unlessStuck(stop, checkpoints.load(key)),
    save: async (key, checkpoint) => await unlessStuck(stop, checkpoints.save(key, checkpoint)),
  };
}
