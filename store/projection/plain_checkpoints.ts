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
