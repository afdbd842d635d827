import type { CheckpointStore, SavedCheckpoint } from "./checkpoint_store.ts";

/**
 * A {@linkcode CheckpointStore} in memory, gone with the process: for tests, and for read models
 * in memory, which also begin again with the process.
 */
export class InMemoryCheckpointStore implements CheckpointStore {
  readonly #saved = new Map<string, SavedCheckpoint>();

  /** See {@linkcode CheckpointStore.load}. */
  async load(key: string): Promise<SavedCheckpoint | undefined> {
    return await Promise.resolve(this.#saved.get(key));
  }

  /** See {@linkcode CheckpointStore.save}. */
  async save(key: string, { revision, body }: SavedCheckpoint): Promise<boolean> {
    const isNext = revision === (this.#saved.get(key)?.revision ?? 0) + 1;
    if (isNext) this.#saved.set(key, { revision, body });
    return await Promise.resolve(isNext);
  }
}
