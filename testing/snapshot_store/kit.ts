import type { Snapshot, SnapshotStore } from "../../store/snapshot/snapshot.ts";
import { equal } from "../assert.ts";
import type { Stage } from "../stage.ts";

/** Registers one test. */
export type SnapshotTest = (
  name: string,
  run: (stage: Stage<SnapshotStore>) => Promise<void>,
) => void;

/** A snapshot of `order-1`, name `order`, at version 1 in schema 1, with the test's own fields. */
export function sample(init: Partial<Snapshot> = {}): Snapshot {
  const timestamp = new Date(1_700_000_000_123);
  const place = { actorId: "order-1", name: "order", schemaVersion: 1 };
  return { ...place, version: 1, state: null, timestamp, ...init };
}

/** Passes if the store returns `expected` for its actor, name and schema. */
export async function isLatest(store: SnapshotStore, expected: Snapshot): Promise<void> {
  const { actorId, name, schemaVersion } = expected;
  const found = await store.getLatestSnapshot(actorId, { name, schemaVersion });
  const what = `the snapshot "${name}" of ${JSON.stringify(actorId)} in schema ${schemaVersion}`;
  equal(found, expected, what);
}
