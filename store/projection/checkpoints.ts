import type { CheckpointStore } from "./checkpoint_store.ts";
import { beginning, type PartitionState, type ProjectionControl, ProjectionKeys } from "./state.ts";

/** What a projection has saved: what holds for all processes, and how far each partition is. */
export class ProjectionCheckpoints<Tx> {
  /** Keeps the texts. */
  readonly store: CheckpointStore<Tx>;
  /** Where they are. */
  readonly keys: ProjectionKeys;

  /** The checkpoints of the projection `name`. */
  constructor(store: CheckpointStore<Tx>, name: string) {
    this.store = store;
    this.keys = new ProjectionKeys(name);
  }

  /** What is settled; begins with version 1 in `partitions` where nothing is yet. */
  async control(partitions: number): Promise<ProjectionControl> {
    return await this.change(partitions, (control) => control);
  }

  /**
   * Settles what `change` makes of what is settled, again where another process was quicker;
   * gives what stands in the end.
   *
   * @param also What has to come to pass with it, in the same transaction where there is one.
   */
  async change(
    partitions: number,
    change: (control: ProjectionControl) => ProjectionControl,
    also?: (control: ProjectionControl, tx: Tx) => void | Promise<void>,
  ): Promise<ProjectionControl> {
    const key = this.keys.control;
    for (;;) {
      const standing = await this.store.load(key);
      const before = standing === undefined
        ? { active: { version: 1, partitions }, latest: 1, paused: false, retries: {}, nonce: "" }
        : JSON.parse(standing.body) as ProjectionControl;
      const after = change(before);
      if (after === before && standing !== undefined) return before;
      const control = { ...after, nonce: crypto.randomUUID() };
      const revision = (standing?.revision ?? 0) + 1;
      const next = { revision, body: JSON.stringify(control) };
      if (also === undefined || this.store.transaction === undefined) {
        await also?.(control, undefined as Tx);
        if (await this.store.save(key, next)) return control;
      } else if (await this.#together(key, next, (tx) => also(control, tx))) return control;
    }
  }

  async #together(
    key: string,
    next: { revision: number; body: string },
    also: (tx: Tx) => void | Promise<void>,
  ): Promise<boolean> {
    const stale = new Error("stale");
    try {
      await this.store.transaction!(async (tx) => {
        await also(tx);
        if (!await this.store.save(key, next, tx)) throw stale;
      });
      return true;
    } catch (error) {
      if (error === stale) return false;
      throw error;
    }
  }

  /** How far a partition is; the beginning, in the store of `identity`, where nothing is saved. */
  async partition(
    version: number,
    partition: number,
    identity: string,
  ): Promise<{ readonly revision: number; readonly state: PartitionState }> {
    const saved = await this.store.load(this.keys.partition(version, partition));
    return saved === undefined
      ? { revision: 0, state: beginning(identity) }
      : { revision: saved.revision, state: JSON.parse(saved.body) };
  }

  /** Takes a partition from whoever has it, so that nobody goes on with it. */
  async retire(version: number, partition: number, identity: string): Promise<PartitionState> {
    for (;;) {
      const { revision, state } = await this.partition(version, partition, identity);
      if (state.retired) return state;
      const retired = { ...state, owner: crypto.randomUUID(), retired: true };
      const next = { revision: revision + 1, body: JSON.stringify(retired) };
      if (await this.store.save(this.keys.partition(version, partition), next)) {
        return retired;
      }
    }
  }
}
