/** The clocks that a lease is measured by. Tests pass in their own. */
export interface Clock {
  /** Ms since some moment, never going back; it may stand still while the machine sleeps. */
  monotonic(): number;
  /** Ms since some moment, going on while the machine sleeps; it may be set. */
  wall(): number;
}

/** What the clocks showed at some moment. */
export interface Instant {
  readonly monotonic: number;
  readonly wall: number;
}

/** The machine's own clocks. */
export const MACHINE_CLOCK: Clock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
};

/** What the clocks show now. */
export function instant(clock: Clock): Instant {
  return { monotonic: clock.monotonic(), wall: clock.wall() };
}

/**
 * Ms since `start`, by the clock that says more: the monotonic one stands still while the machine
 * is suspended, and the other may have been set back. One that was set forward ends a lease too
 * early, which is the safe side.
 */
export function elapsed(start: Instant, clock: Clock): number {
  return Math.max(clock.monotonic() - start.monotonic, clock.wall() - start.wall);
}
