import { watchGauges } from "../telemetry/gauges.ts";
import type { DeadlineClock } from "../timer/clock.ts";

/** The gauges of a manager, all by `aether.process.name`. */
const GAUGES = {
  "aether.process.deadline.lateness": {
    unit: "s",
    description: "How late the earliest deadline is that is due here and not taken in",
  },
  "aether.process.parked": { unit: "{process}", description: "Processes that are parked" },
} as const;

/** The source of the gauges. */
export interface WatchedProcesses {
  readonly clock: DeadlineClock;
  /** When the earliest deadline of this program's partitions is due, in ms; none: `undefined`. */
  earliest(): number | undefined;
  /** How many processes are parked, in all programs. */
  parked(): Promise<number>;
}

/** Shows the processes of one kind while a manager runs them. */
export function watchProcesses(
  name: string,
  { clock, earliest, parked }: WatchedProcesses,
): () => Promise<void> {
  const attributes = { "aether.process.name": name };
  return watchGauges(GAUGES, async () => {
    const waiting = await parked();
    const now = earliest() === undefined ? 0 : await clock.now();
    // Asked behind the clock: what was taken in meanwhile is not late.
    const late = Math.max(0, now - (earliest() ?? now)) / 1000;
    return [
      { gauge: "aether.process.parked", value: waiting, attributes },
      { gauge: "aether.process.deadline.lateness", value: late, attributes },
    ];
  });
}
