import type { Notifier } from "../base/notifier.ts";
import { type LagParts, statesOf, unhandled } from "./lag.ts";
import type { ProjectionControl } from "./state.ts";

/** When to look again while nothing is handled for those who read, in ms. */
const SOON = 20;

/** What a rebuild needs. */
export interface RebuildParts<Tx> extends LagParts<Tx> {
  readonly partitions: number;
  readonly progress: Notifier;
  readonly onSwitch: (version: number, tx: Tx) => void | Promise<void>;
}

/**
 * Goes on with a rebuild; any process may, at any time, and leave off anywhere. When all of the
 * next version has once reached the store's end, the active one is retired, so that it stands
 * still; when the next one has done all that the active one had, it takes its place. So nobody
 * who reads sees an event undone. Says when to look again, in ms; `undefined` where that has no
 * hurry.
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
      (_, partition) => checkpoints.retire(active.version, partition, identity),
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
