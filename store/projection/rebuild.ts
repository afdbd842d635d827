import type { Notifier } from "../base/notifier.ts";
import { type LagParts, statesOf, unhandled } from "./lag.ts";
import type { ProjectionControl } from "./state.ts";

/** When to check again while the active version is stopped, in ms. */
const SOON = 20;

/** The parts of a rebuild. */
export interface RebuildParts<Tx> extends LagParts<Tx> {
  readonly partitions: number;
  readonly progress: Notifier;
  readonly onSwitch: (version: number, tx: Tx) => void | Promise<void>;
}

/**
 * Continues a rebuild; any process may, at any time, and may stop anywhere. Once every partition of
 * the next version has reached the end of the store, the active version is retired and stops. Once
 * the next version has handled everything the active one had, it becomes active, so readers never
 * see an event undone. If the next version is given up in between, the active one goes on: a
 * process that runs it gives it back. Returns when to check again, in ms; `undefined` if there is no rush.
 */
export async function advanceRebuild<Tx>(
  parts: RebuildParts<Tx>,
  { active, next }: ProjectionControl,
): Promise<number | undefined> {
  const { checkpoints, store: { identity }, partitions, progress, onSwitch } = parts;
  if (next === undefined) return undefined;
  if (!(await statesOf(parts, next)).every(({ caughtUp }) => caughtUp)) return undefined;
  const retired = await Promise.all(
    Array.from(
      { length: active.partitions },
      (_, partition) => checkpoints.retire({ ...active, partition }, identity),
    ),
  );
  const upTo = Math.max(...retired.map(({ sequence }) => sequence));
  if ((await unhandled(parts, next, { upTo })).events > 0) return SOON;
  await checkpoints.change(
    partitions,
    (control) => {
      if (control.next?.version !== next.version) return control;
      const { next: taken, failed: _failed, ...rest } = control;
      return { ...rest, active: taken };
    },
    ({ active: { version } }, tx) => onSwitch(version, tx),
  );
  progress.notify();
  return 0;
}
