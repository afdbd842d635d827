/** How long a lease lasts, and how it is kept. */
export interface LeaseTimings {
  /** Until a lease that is not renewed can be taken by another node, in ms. */
  readonly lease: number;
  /** From one renewal to the next, in ms. */
  readonly renew: number;
  /** How much earlier the lease is over for its holder than for the server, in ms. */
  readonly margin: number;
  /** How long one attempt waits for the server's answer, in ms. */
  readonly attempt: number;
  /**
   * How long the server may take no writes, at the worst moment, before the lease is lost, in ms.
   * NATS needs up to 9 s to elect a new leader of a stream: with less, the loss of a NATS server
   * may cost the lease.
   */
  readonly outage: number;
}

/** Options for the timings; see {@linkcode LeaseTimings}. */
export type LeaseTimingOptions = { readonly [Name in keyof Omit<LeaseTimings, "outage">]?: number };

/**
 * Fills in defaults, and refuses timings that cannot work: a lease is whole seconds, as the server
 * cuts off fractions, and has room for two renewals, the answer to the second one, and the margin;
 * with less, a single lost message would cost it.
 *
 * The defaults follow from NATS: after the loss of a stream's leader the server takes no writes for
 * up to 9 s (its own election timeout). A lease that was renewed just before its next renewal was
 * due has `lease - renew - margin` left, and the attempt that is under way when the outage ends has
 * to time out before the next one: 15 - 3 - 1 - 1 = 10 s. A longer lease rides through more, and
 * leaves the cluster without a leader for longer after the leader's own crash.
 *
 * @throws {RangeError} The timings break the rule.
 */
export function leaseTimings({
  lease = 15_000,
  renew = Math.min(3000, lease / 5),
  margin = lease / 15,
  attempt = Math.min(1000, renew),
}: LeaseTimingOptions = {}): LeaseTimings {
  for (const [name, value] of Object.entries({ lease, renew, margin, attempt })) {
    if (!(value >= 1 && value < 2 ** 31)) {
      throw new RangeError(`Cannot keep a lease: ${name} is ${value}, not a time in ms from 1`);
    }
  }
  if (lease % 1000 !== 0) {
    throw new RangeError(
      `Cannot keep a lease of ${lease} ms: the server counts whole seconds; ` +
        `take ${Math.ceil(lease / 1000) * 1000}`,
    );
  }
  const least = 2 * renew + attempt + margin;
  if (lease < least) {
    throw new RangeError(
      `Cannot keep a lease of ${lease} ms: two renewals (2 x ${renew}), one attempt (${attempt}) and ` +
        `the margin (${margin}) take ${least}; make the lease longer or renew more often`,
    );
  }
  return { lease, renew, margin, attempt, outage: lease - renew - margin - attempt };
}
