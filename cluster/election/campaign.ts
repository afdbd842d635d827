import { elapsed, type Instant, instant, waited } from "./clock.ts";
import { HeldLease, type LeaseParts } from "./held_lease.ts";
import { encodeLeaderClaim, LEADER_KEY, type LeaderClaim, leaderClaimIn } from "./leader_key.ts";
import { unlessAborted } from "../../store/base/abort.ts";
import { sleep } from "../../store/base/sleep.ts";
import { isAetherError } from "../../store/errors.ts";
import type { BucketEntry } from "../../store/kv/entry.ts";
import { backoff } from "../../store/nats/backoff.ts";
import { isPassing } from "../../store/nats/stream_api.ts";
import { failed, isOutOfReach } from "../../store/nats/failure.ts";

/** Attempts that may have been stored: when each was sent, by its nonce. */
export type UnknownClaims = Map<string, Instant>;

/**
 * Waits until the lease is free and takes it. Fills `unknown` with the attempts that may have been
 * stored, for {@linkcode sweepLease} if this fails.
 *
 * @throws {StoreUnavailableError} The connection is closed.
 * @throws {StoreRefusedError} The server refuses the lease, and would again.
 */
export async function takeLease(
  parts: LeaseParts,
  unknown: UnknownClaims,
  signal: AbortSignal,
): Promise<HeldLease> {
  const { bucket, timings: { lease, margin, attempt }, clock, nodeId, incarnation, nonces } = parts;
  let retry = backoff(Infinity, signal);
  /** The revision that was read last, and since when it is the same. */
  let same = { revision: -1, since: instant(clock) };
  const removals = new Removals(parts);
  for (;;) {
    const entry = await readLeaderKey(parts, signal);
    const { revision } = entry;
    if (revision !== same.revision) same = { revision, since: instant(clock) };
    if (await removals.mayBeHeld(entry, signal)) {
      await sleep(LOOK, signal);
      signal.throwIfAborted();
      continue;
    }
    if (entry.value !== undefined) {
      const claim = leaderClaimIn(entry);
      const sentAt = unknown.get(claim?.nonce ?? "");
      if (sentAt !== undefined && elapsed(sentAt, clock) < lease - margin) {
        return new HeldLease(parts, entry.revision, sentAt);
      }
      // So is an earlier attempt of this candidate: the server may be about to let it expire, and the
      // marker of that removes a write that has come in between, though it was acknowledged.
      if (waited(same.since, clock) < patienceWith(claim, lease)) {
        await changed(parts, entry, signal);
        retry = backoff(Infinity, signal);
        continue;
      }
    }
    const nonce = nonces.next();
    const sentAt = instant(clock);
    const claim = encodeLeaderClaim({ nodeId, incarnation, nonce, lease });
    const expected = { revision: entry.revision, ttl: lease / 1000 };
    const outcome = await bucket.put(LEADER_KEY, claim, expected, attempt);
    if (outcome.kind === "stored") return new HeldLease(parts, outcome.first, sentAt);
    if (outcome.kind === "unknown") unknown.set(nonce, sentAt);
    // An old answer may come again and again, from a server that was deposed.
    const again = outcome.kind !== "refused" && await retry(bucket.requests);
    signal.throwIfAborted();
    if (again) continue;
    const cause = outcome.kind === "stale" ? new Error("the connection is closed") : outcome.cause;
    throw failed(`take the lease as "${nodeId}"`, cause);
  }
}

/**
 * How long the key may stay as it is before a candidate takes it, in ms. The server lets every
 * lease expire, so one that stays was written by something else, without a time to live. A leader
 * whose key was overwritten may believe in its lease for as long as that lasts.
 */
function patienceWith(claim: LeaderClaim | undefined, lease: number): number {
  return claim === undefined ? lease : 2 * Math.max(lease, claim.lease ?? 0);
}

/** How often a key that was removed by hand is looked at until the lease is over, in ms. */
const LOOK = 250;

/**
 * Waits leases out whose key somebody removed, or overwrote by something that is gone as well: the
 * holder may not have noticed, and believes in its lease for as long as it lasts. A lease that has
 * expired or that its holder has released is free.
 */
class Removals {
  readonly #parts: LeaseParts;
  /** The removal that is waited out, and when it was seen first. */
  #seen: { readonly revision: number; readonly at: Instant } | undefined;
  #wasHeld = false;
  /** Whether the last value was no lease: then its end says nothing of the lease before it. */
  #wasDamaged = false;

  constructor(parts: LeaseParts) {
    this.#parts = parts;
  }

  /** Whether a candidate may believe in a lease that the key does not show. */
  async mayBeHeld(entry: BucketEntry, signal: AbortSignal): Promise<boolean> {
    const { clock, timings: { lease } } = this.#parts;
    if (entry.value !== undefined) {
      this.#wasHeld = true;
      this.#wasDamaged = leaderClaimIn(entry) === undefined;
      this.#seen = undefined;
      return false;
    }
    const { revision, gone } = entry;
    if (this.#seen?.revision !== revision) {
      const isFree = gone === undefined
        ? !await this.#mayBeLost(signal)
        : gone === "released" || (gone === "expired" && !this.#wasDamaged);
      if (isFree) return false;
      this.#seen = { revision, at: instant(clock) };
    }
    return waited(this.#seen!.at, clock) < lease;
  }

  /** A key without a trace was never there, or its trace is gone: it expired, or was purged. */
  async #mayBeLost(signal: AbortSignal): Promise<boolean> {
    const { bucket, timings: { lease, attempt } } = this.#parts;
    if (this.#wasHeld) return true;
    try {
      return await unlessAborted(signal, bucket.age(5 * attempt)) >= lease;
    } catch (error) {
      signal.throwIfAborted();
      if (!isAetherError(error, "StoreUnavailableError")) throw error;
      return true;
    }
  }
}

/** Removes what a campaign that was called off may have stored. */
export async function sweepLease(
  { bucket, timings: { attempt } }: LeaseParts,
  unknown: UnknownClaims,
): Promise<void> {
  try {
    const entry = await bucket.get(LEADER_KEY, 5 * attempt);
    if (!unknown.has(leaderClaimIn(entry)?.nonce ?? "")) return;
    await bucket.remove(LEADER_KEY, entry.revision, attempt);
  } catch (error) {
    // It expires by itself.
    if (!isOutOfReach(error)) throw error;
  }
}

/**
 * Reads the key, again until there is an answer.
 *
 * @throws {StoreUnavailableError} The connection is closed.
 * @throws {StoreRefusedError} The server does not permit it.
 */
export async function readLeaderKey(
  { bucket, timings: { attempt } }: LeaseParts,
  signal: AbortSignal,
): Promise<BucketEntry> {
  for (const retry = backoff(Infinity, signal);;) {
    try {
      return await unlessAborted(signal, bucket.get(LEADER_KEY, 5 * attempt));
    } catch (error) {
      signal.throwIfAborted();
      const passes = isAetherError(error, "StoreUnavailableError") && isPassing(error.cause);
      if (!passes || !await retry(bucket.requests)) throw error;
    }
  }
}

/**
 * Resolves once the key was freed after `entry`, or may have been freed without a notification; or
 * once it holds something that is no lease.
 */
async function changed(
  { bucket, timings: { lease } }: LeaseParts,
  entry: BucketEntry,
  signal: AbortSignal,
): Promise<void> {
  const enough = new AbortController();
  const timer = setTimeout(() => enough.abort(), lease);
  const ends = AbortSignal.any([signal, enough.signal]);
  const watch = bucket.watch({ filter: LEADER_KEY, known: [entry], signal: ends });
  try {
    for await (const next of watch) if (leaderClaimIn(next) === undefined) return;
  } finally {
    clearTimeout(timer);
  }
  signal.throwIfAborted();
}
