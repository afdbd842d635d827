/**
 * Leadership for a while. Its holder renews it by itself. It is over once it was resigned, once no
 * renewal was acknowledged in time, or once the server reports another holder, and never comes
 * back.
 *
 * It is over here before the server gives it to anybody else: the holder counts from before it sent
 * the last acknowledged renewal, and takes off the margin. {@linkcode ElectionOptions.margin} names
 * the conditions for that. A write that a leader has begun can still arrive late, so what must not
 * happen under two leaders has to be refused where it is stored: by the `term`, which only grows,
 * by a version, or by a fence.
 */
export interface Lease extends AsyncDisposable {
  /** The node that leads. */
  readonly nodeId: string;
  /** Fencing token: greater than that of every lease before. */
  readonly term: number;
  /**
   * Aborted, with a {@linkcode LeaseLostError}, when the lease is over. A blocked event loop delays
   * it: call {@linkcode Lease.assertValid} before each critical step.
   */
  readonly signal: AbortSignal;
  /** Ms until the lease is over unless it is renewed; 0 when it is over. */
  readonly validFor: number;
  /**
   * Returns if the lease is valid at this moment, by the clock, however late the event loop runs.
   *
   * @throws {LeaseLostError} It is over.
   */
  assertValid(): void;
  /**
   * Gives the lease up: it is over here at once, and free for others when this resolves.
   *
   * @throws {StoreUnavailableError} The server did not answer; the lease will end by itself, and
   * another call tries again.
   */
  resign(): Promise<void>;
  /** Like {@linkcode Lease.resign}, except that a server that does not answer is no error. */
  [Symbol.asyncDispose](): Promise<void>;
}
