import type { Snapshot, SnapshotQuery, SnapshotStore } from "../../../store/mod.ts";

/** A snapshot store that shows its snapshots, and fails or waits when asked to. */
export class Shelf implements SnapshotStore {
  /** All that was given. */
  readonly saved: Snapshot[] = [];
  /** Comes before each save; may throw. */
  beforeSave: () => void | Promise<void> = () => {};
  /** How often it was asked. */
  asked = 0;

  async saveSnapshot(snapshot: Snapshot): Promise<boolean> {
    const copy = structuredClone(snapshot);
    await this.beforeSave();
    this.saved.push(copy);
    return true;
  }

  async getLatestSnapshot<State>(
    actorId: string,
    { name, schemaVersion }: SnapshotQuery,
  ): Promise<Snapshot<State> | undefined> {
    this.asked++;
    const found = this.saved
      .filter((it) =>
        it.actorId === actorId && it.name === name && it.schemaVersion === schemaVersion
      )
      .sort((one, two) => one.version - two.version)
      .at(-1);
    return await Promise.resolve(structuredClone(found) as Snapshot<State> | undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
