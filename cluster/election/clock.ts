import { needOptionalMethods } from "../../store/base/given.ts";
import { refusePromise } from "../../store/base/hook.ts";

/** The clocks that a lease is measured by. Tests pass in their own. */
export interface Clock {
  /** Ms since some moment, never going back; it may stop while the machine sleeps. */
  monotonic(): number;
  /** Ms since some moment, going on while the machine sleeps; somebody may set it. */
  wall(): number;
}

/** A moment, by both clocks. */
export interface Instant {
  readonly monotonic: number;
  readonly wall: number;
}

/** The machine's own clocks. */
export const MACHINE_CLOCK: Clock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
};

/**
 * Refuses a clock that is neither left out nor one.
 *
 * @throws {TypeError} It is something else.
 */
export function checkClock({ clock }: { readonly clock?: unknown }, what: string): void {
  const kind = "an object with monotonic and wall";
  needOptionalMethods(clock, ["monotonic", "wall"], what, "clock", kind);
}

/** The present moment; `NaN` for a clock that throws or gives no number. */
export function instant(clock: Clock): Instant {
  return { monotonic: read(() => clock.monotonic()), wall: read(() => clock.wall()) };
}

/**
 * Ms since `start`, by the clock that shows more: the monotonic one stops while the machine is
 * suspended, and the other may have been set back. A clock that was set forward ends a lease too
 * early, which is the safe side. So does one that fails: then the time is `Infinity`.
 */
export function elapsed(start: Instant, clock: Clock): number {
  const { monotonic, wall } = instant(clock);
  const passed = Math.max(monotonic - start.monotonic, wall - start.wall);
  return Number.isNaN(passed) ? Infinity : passed;
}

/**
 * Ms that have passed since `start` at the least, for whoever waits out what another process may
 * believe in: by the clock that stops while the machine sleeps, and none if that clock fails.
 */
export function waited(start: Instant, clock: Clock): number {
  const passed = instant(clock).monotonic - start.monotonic;
  return Number.isFinite(passed) ? passed : 0;
}

function read(clock: () => unknown): number {
  try {
    const now = clock();
    refusePromise(now, "a clock");
    return typeof now === "number" ? now : NaN;
  } catch {
    return NaN;
  }
}
