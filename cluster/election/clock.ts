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

/** The present moment. */
export function instant(clock: Clock): Instant {
  return { monotonic: clock.monotonic(), wall: clock.wall() };
}

/**
 * Ms since `start`, by the clock that shows more: the monotonic one stops while the machine is
 * suspended, and the other may have been set back. A clock that was set forward ends a lease too
 * early, which is the safe side.
 */
export function elapsed(start: Instant, clock: Clock): number {
  return Math.max(clock.monotonic() - start.monotonic, clock.wall() - start.wall);
}
