import { assertEquals } from "@std/assert";
import { takeLease } from "../../../cluster/election/campaign.ts";
import { HeldLease, type LeaseParts } from "../../../cluster/election/held_lease.ts";
import { encodeLeaderClaim, Nonces } from "../../../cluster/election/leader_key.ts";
import { leaseTimings } from "../../../cluster/election/lease_timings.ts";
import type { Bucket } from "../../../store/kv/bucket.ts";
import type { BucketEntry } from "../../../store/kv/entry.ts";
import type { TryOutcome } from "../../../store/nats/publisher.ts";
import { asStreamSequence } from "../../../store/format/position.ts";
import { until } from "./bed.ts";

/** A bucket whose answers a test makes up, and a clock that it sets. */
class Bed {
  readonly now = { monotonic: 0, wall: 0 };
  readonly nonces = new Nonces();
  readonly writes: string[] = [];
  gets = 0;
  entry: BucketEntry = { key: "leader", revision: 0, value: undefined };
  outcome: (nonce: string) => TryOutcome = () => ({ kind: "stale" } as TryOutcome);
  readonly parts: LeaseParts;

  /** The entry that a watch shows. */
  expire: () => BucketEntry = () => this.entry;

  constructor() {
    // deno-lint-ignore no-this-alias
    const bed = this;
    const bucket = {
      requests: { closed: false, connected: () => Promise.resolve() },
      age: () => Promise.resolve(0),
      get: () => {
        this.gets++;
        return Promise.resolve(this.entry);
      },
      put: (_key: string, value: Uint8Array) => {
        const { nonce } = JSON.parse(new TextDecoder().decode(value));
        this.writes.push(nonce);
        return Promise.resolve(this.outcome(nonce));
      },
      remove: () => Promise.resolve({ kind: "stored", first: asStreamSequence(99) }),
      watch: async function* (this: void) {
        yield bed.entry = bed.expire();
      },
    } as unknown as Bucket;
    this.parts = {
      bucket,
      nodeId: "a",
      incarnation: undefined,
      nonces: this.nonces,
      timings: leaseTimings({ lease: 15_000, renew: 20 }),
      clock: { monotonic: () => this.now.monotonic, wall: () => this.now.wall },
    };
  }

  /** Has the key hold a claim of this candidate's. */
  holds(revision: number, nonce: string): void {
    this.entry = { key: "leader", revision, value: encodeLeaderClaim({ nodeId: "a", nonce }) };
  }
}

Deno.test("an answer with an older revision proves nothing about a lease", async () => {
  const bed = new Bed();
  bed.entry = { key: "leader", revision: 6, value: encodeLeaderClaim({ nodeId: "z", nonce: "z" }) };
  const lease = new HeldLease(bed.parts, 7, { monotonic: 0, wall: 0 });
  bed.now.monotonic = bed.now.wall = 1_000;
  await until(() => bed.gets > 3);
  assertEquals([lease.signal.aborted, lease.validFor], [false, 13_000]);
  // A newer one that is not this candidate's ends it.
  bed.entry = { ...bed.entry, revision: 8 };
  await until(() => lease.signal.aborted);
  assertEquals(lease.signal.reason.reason, "deposed");
  await lease.resign();
});

Deno.test("an attempt that is stored without an answer is the lease", async () => {
  const bed = new Bed();
  bed.outcome = (nonce) => {
    bed.holds(5, nonce);
    bed.now.monotonic = bed.now.wall = 13_999;
    return { kind: "unknown", cause: new Error("no answer") } as TryOutcome;
  };
  const lease = await takeLease(bed.parts, new Map(), new AbortController().signal);
  assertEquals([lease.term, bed.writes.length, lease.validFor], [5, 1, 1]);
  await lease.resign();
});

Deno.test("an attempt whose time is over is waited out, not written over", async () => {
  const bed = new Bed();
  bed.outcome = (nonce) => {
    if (bed.writes.length > 1) return { kind: "stored", first: asStreamSequence(9) };
    bed.holds(5, nonce);
    bed.now.monotonic = bed.now.wall = 14_000;
    return { kind: "unknown", cause: new Error("no answer") } as TryOutcome;
  };
  let writes = 0;
  bed.expire = () => {
    writes = bed.writes.length;
    return { key: "leader", revision: 6, value: undefined, gone: "expired" };
  };
  const lease = await takeLease(bed.parts, new Map(), new AbortController().signal);
  assertEquals([writes, bed.writes.length], [1, 2]);
  assertEquals([lease.term, lease.validFor], [9, 14_000]);
  await lease.resign();
});
