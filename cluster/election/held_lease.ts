import { type Clock, elapsed, type Instant, instant } from "./clock.ts";
import { encodeLeaderClaim, LEADER_KEY, leaderClaimIn, type Nonces } from "./leader_key.ts";
import type { Lease } from "./lease.ts";
import type { LeaseTimings } from "./lease_timings.ts";
import { sleep } from "../../store/base/sleep.ts";
import { type LeaseEnd, LeaseLostError, StoreUnavailableError } from "../../store/errors.ts";
import type { Bucket } from "../../store/kv/bucket.ts";
import type { BucketEntry } from "../../store/kv/entry.ts";
import { backoff } from "../../store/nats/backoff.ts";
import { isOutOfReach } from "../../store/nats/failure.ts";

/** The parts that a held lease needs. */
export interface LeaseParts {
  readonly bucket: Bucket;
  readonly timings: LeaseTimings;
  readonly clock: Clock;
  readonly nodeId: string;
  readonly incarnation: string | undefined;
  readonly nonces: Nonces;
}

/** A lease that this candidate holds: renews it, and knows when it is over. */
export class HeldLease implements Lease {
  readonly nodeId: string;
  readonly term: number;
  readonly #parts: LeaseParts;
  readonly #ends = new AbortController();
  /** Attempts that may have been stored after `#revision`: when each was sent, by its nonce. */
  readonly #unknown = new Map<string, Instant>();
  readonly #keeping: Promise<void>;
  /** The last revision of the key that is known to be this candidate's. */
  #revision: number;
  /** A moment before the write of that revision was sent. */
  #since: Instant;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lost: LeaseLostError | undefined;
  #resigning: Promise<void> | undefined;
  /** The reason why renewals fail, for the error. */
  #trouble: unknown;

  /** Keeps the lease that was taken at `revision` by a write sent at `since`. */
  constructor(parts: LeaseParts, revision: number, since: Instant) {
    this.#parts = parts;
    this.nodeId = parts.nodeId;
    this.term = revision;
    this.#revision = revision;
    this.#since = since;
    this.#watch();
    this.#keeping = this.#keep();
  }

  get signal(): AbortSignal {
    return this.#ends.signal;
  }

  get validFor(): number {
    if (this.#lost !== undefined) return 0;
    const { timings: { lease, margin }, clock } = this.#parts;
    return Math.max(0, lease - margin - elapsed(this.#since, clock));
  }

  assertValid(): void {
    if (this.validFor <= 0) this.#end("expired");
    if (this.#lost !== undefined) throw this.#lost;
  }

  resign(): Promise<void> {
    return this.#resigning ??= this.#resign().catch((error) => {
      this.#resigning = undefined;
      throw error;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.resign();
    } catch (error) {
      // It is over here, and expires by itself on the server.
      if (!isOutOfReach(error)) throw error;
    }
  }

  /** Ends the lease when its time is over. */
  #watch(): void {
    const left = this.validFor;
    if (left <= 0) return this.#end("expired");
    this.#timer = setTimeout(() => this.#watch(), Math.ceil(left));
  }

  #end(reason: LeaseEnd): void {
    if (this.#lost !== undefined) return;
    clearTimeout(this.#timer);
    this.#lost = new LeaseLostError(this.nodeId, this.term, reason, {
      ...(reason === "expired" && { cause: this.#trouble }),
    });
    this.#ends.abort(this.#lost);
  }

  /** Renews until the lease is over. */
  async #keep(): Promise<void> {
    const { bucket, timings: { renew }, clock } = this.#parts;
    while (!this.signal.aborted) {
      await sleep(renew - elapsed(this.#since, clock), this.signal);
      const retry = backoff(Infinity, this.signal);
      while (!this.signal.aborted && !await this.#renew()) {
        if (!await retry(bucket.requests)) return; // Over, or the connection is closed: then it expires.
      }
    }
  }

  /** Makes one attempt; true once it is known to be stored, or nothing more can be done. */
  async #renew(): Promise<boolean> {
    const { bucket, timings: { lease, attempt }, clock, nodeId, incarnation } = this.#parts;
    if (this.validFor <= 0) {
      this.#end("expired");
      return true;
    }
    const nonce = this.#parts.nonces.next();
    const claim = encodeLeaderClaim({ nodeId, incarnation, nonce, lease, term: this.term });
    const sentAt = instant(clock);
    this.#unknown.set(nonce, sentAt);
    const expected = { revision: this.#revision, ttl: lease / 1000 };
    const outcome = await bucket.put(LEADER_KEY, claim, expected, attempt);
    if (outcome.kind === "stored") {
      this.#renewed(outcome.first, sentAt);
      return true;
    }
    if (outcome.kind === "stale") return await this.#settle();
    this.#trouble = outcome.cause;
    if (outcome.kind !== "unknown") this.#unknown.delete(nonce);
    return false;
  }

  /** The server reports another revision: this candidate's, or one of the new holder. */
  async #settle(): Promise<boolean> {
    const entry = await this.#read();
    // A server that reports an older state was deposed: that proves nothing.
    if (entry === undefined || entry.revision <= this.#revision) return false;
    const sentAt = this.#sentAt(entry);
    if (sentAt !== undefined) this.#renewed(entry.revision, sentAt);
    else if (entry.gone === "removed" && this.validFor > 0) await this.#concede(entry);
    else this.#end("deposed");
    return true;
  }

  /**
   * Somebody has removed the key of this lease, which was valid until now: releases it, so that the
   * others need not wait it out.
   */
  async #concede({ revision }: BucketEntry): Promise<void> {
    const { bucket, timings: { attempt } } = this.#parts;
    this.#end("deposed");
    await bucket.remove(LEADER_KEY, revision, attempt);
  }

  async #read(): Promise<BucketEntry | undefined> {
    const { bucket, timings: { attempt } } = this.#parts;
    try {
      return await bucket.get(LEADER_KEY, 5 * attempt);
    } catch (error) {
      if (!isOutOfReach(error)) throw error;
      this.#trouble = error;
      return undefined;
    }
  }

  /** When the attempt was sent that the key holds, if it is one of this candidate's. */
  #sentAt(entry: BucketEntry): Instant | undefined {
    return this.#unknown.get(leaderClaimIn(entry)?.nonce ?? "");
  }

  #renewed(revision: number, sentAt: Instant): void {
    // A lease that is over must not come back, even if nobody has noticed its end.
    if (this.validFor <= 0) this.#end("expired");
    this.#revision = revision;
    this.#unknown.clear(); // The others expected an older revision, and can never be stored now.
    if (this.#lost !== undefined) return;
    this.#since = sentAt;
    this.#trouble = undefined;
    clearTimeout(this.#timer);
    this.#watch();
  }

  async #resign(): Promise<void> {
    this.#end("resigned");
    try {
      if (this.#lost?.reason !== "deposed") await this.#release();
    } finally {
      await this.#keeping;
    }
  }

  async #release(): Promise<void> {
    const { bucket, timings: { lease, attempt } } = this.#parts;
    const retry = backoff(performance.now() + 5 * attempt);
    for (;;) {
      const outcome = await bucket.remove(LEADER_KEY, this.#revision, attempt);
      if (outcome.kind === "stored") return;
      if (outcome.kind === "stale") {
        // A renewal under way has come in between; or the lease belongs to another holder.
        const entry = await this.#read();
        if (entry !== undefined && entry.revision > this.#revision) {
          const sentAt = this.#sentAt(entry);
          if (sentAt === undefined) return;
          this.#renewed(entry.revision, sentAt);
          continue;
        }
      } else {
        this.#trouble = outcome.cause;
      }
      if (await retry(bucket.requests)) continue;
      throw new StoreUnavailableError(
        `Cannot release the lease of "${this.nodeId}" in term ${this.term}: the server does not ` +
          `answer; it ends by itself within ${lease / 1000} s, or resign again`,
        { cause: this.#trouble },
      );
    }
  }
}
