/**
 * Leadership for a while. Its holder renews it by itself; it is over when it was resigned, when
 * no renewal was acknowledged in time, or when the server says so, and never comes back.
 *
 * It is over here before the server gives it to anybody else: time is counted from before the
 * last acknowledged renewal was sent, and the margin is taken off. What that rests on is said at
 * {@linkcode ElectionOptions.margin}. What a leader has begun can still arrive late, so what must
 * not happen under two leaders has to be refused where it is stored: by the `term`, which only
 * grows, by a version, or by a fence.
 */
export interface Lease extends AsyncDisposable {
  /** The node that leads. */
  readonly nodeId: string;
  /** Fencing token: greater than that of every lease before. */
  readonly term: number;
  /**
   * Aborted, with a {@linkcode LeaseLostError}, when the lease is over. A blocked event loop
   * delays it: before what matters, call {@linkcode Lease.assertValid}.
   */
  readonly signal: AbortSignal;
  /** Ms until the lease is over unless it is renewed; 0 when it is over. */
  readonly validFor: number;
  /**
   * Returns if the lease is valid at this moment, by the clock, whatever the event loop did.
   *
   * @throws {LeaseLostError} It is over.
   */
  assertValid(): void;
  /**
   * Gives the lease up: it is over here at once, and free for others when this resolves.
   *
   * @throws {StoreUnavailableError} The server did not answer; the lease will end by itself, and
   * calling again tries again.
   */
  resign(): Promise<void>;
  /** Like {@linkcode Lease.resign}, except that a server that does not answer is no failure. */
  [Symbol.asyncDispose](): Promise<void>;
}
