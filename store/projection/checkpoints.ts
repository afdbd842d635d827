import type { CheckpointStore } from "./checkpoint_store.ts";
import {
  beginning,
  type PartitionId,
  type PartitionState,
  type ProjectionBeginning,
  type ProjectionControl,
  ProjectionKeys,
} from "./state.ts";

/** The checkpoints of a projection: its control, for all processes, and each partition's state. */
export class ProjectionCheckpoints<Tx> {
  /** Keeps the texts. */
  readonly store: CheckpointStore<Tx>;
  /** Their keys. */
  readonly keys: ProjectionKeys;
  readonly #begin: () => Promise<ProjectionBeginning | undefined>;
  readonly #filter: string;

  /** The checkpoints of the projection `name`; a new one begins where `begin` says. */
  constructor(
    store: CheckpointStore<Tx>,
    name: string,
    begin: () => Promise<ProjectionBeginning | undefined>,
    filter: string,
  ) {
    this.store = store;
    this.#begin = begin;
    this.#filter = filter;
    this.keys = new ProjectionKeys(name);
  }

  /** The current control; begins with version 1 in `partitions` if nothing is saved yet. */
  async control(partitions: number): Promise<ProjectionControl> {
    return await this.change(partitions, (control) => control);
  }

  /**
   * Saves the control that `change` returns for the current one, and calls it again if another
   * process was quicker; returns the control in the end.
   *
   * @param also Work to commit with it, in the same transaction if the store has any.
   */
  async change(
    partitions: number,
    change: (control: ProjectionControl) => ProjectionControl,
    also?: (control: ProjectionControl, tx: Tx) => void | Promise<void>,
  ): Promise<ProjectionControl> {
    const key = this.keys.control;
    for (;;) {
      const saved = await this.store.load(key);
      const before = saved === undefined
        ? await this.#first(partitions)
        : JSON.parse(saved.body) as ProjectionControl;
      const after = change(before);
      if (after === before && saved !== undefined) return before;
      const control = { ...after, nonce: crypto.randomUUID() };
      const revision = (saved?.revision ?? 0) + 1;
      const next = { revision, body: JSON.stringify(control) };
      if (also === undefined || this.store.transaction === undefined) {
        await also?.(control, undefined as Tx);
        if (await this.store.save(key, next)) return control;
      } else if (await this.#together(key, next, (tx) => also(control, tx))) return control;
    }
  }

  /** The control of a new projection. */
  async #first(partitions: number): Promise<ProjectionControl> {
    const begin = await this.#begin();
    const active = { version: 1, partitions, ...(begin && { begin }), filter: this.#filter };
    return { active, latest: 1, paused: false, retries: {}, nonce: "" };
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

  /** The state of a partition; the beginning, in the store of `identity`, if nothing is saved. */
  async partition(
    { version, partition, begin }: Omit<PartitionId, "of">,
    identity: string,
  ): Promise<{ readonly revision: number; readonly state: PartitionState }> {
    const saved = await this.store.load(this.keys.partition(version, partition));
    return saved === undefined
      ? { revision: 0, state: beginning(begin ?? { identity, sequence: 0 }) }
      : { revision: saved.revision, state: JSON.parse(saved.body) };
  }

  /** Takes a partition from its owner, so that no process goes on with it. */
  async retire(
    partitionId: Omit<PartitionId, "of">,
    identity: string,
  ): Promise<PartitionState> {
    const { version, partition } = partitionId;
    for (;;) {
      const { revision, state } = await this.partition(partitionId, identity);
      if (state.retired) return state;
      const retired = { ...state, owner: crypto.randomUUID(), retired: true };
      const next = { revision: revision + 1, body: JSON.stringify(retired) };
      if (await this.store.save(this.keys.partition(version, partition), next)) {
        return retired;
      }
    }
  }
}
