import { assert, assertEquals, assertThrows } from "@std/assert";
import { type LeaseTimingOptions, leaseTimings } from "../../../cluster/election/lease_timings.ts";

/** After losing a stream's leader, the server takes no write for up to this long, in ms. */
const SERVER_ELECTION = 9000;

Deno.test("the default lease rides through the loss of a NATS leader", () => {
  const timings = leaseTimings();
  assertEquals(timings, {
    lease: 15_000,
    renew: 3000,
    margin: 1000,
    attempt: 1000,
    outage: 10_000,
  });
  assert(timings.outage >= SERVER_ELECTION);
  assert(leaseTimings({ lease: 13_000 }).outage < SERVER_ELECTION);
});

Deno.test("a short lease brings timings that fit", () => {
  for (const lease of [1000, 2000, 5000, 60_000]) {
    const { renew, margin, attempt } = leaseTimings({ lease });
    assert(lease >= 2 * renew + attempt + margin);
  }
});

const IMPOSSIBLE: readonly [LeaseTimingOptions, string][] = [
  [{ lease: 1500 }, "the server counts whole seconds; take 2000"],
  [{ lease: 0 }, "lease is 0, not a time in ms from 1"],
  [{ lease: NaN }, "lease is NaN"],
  [{ lease: Infinity }, "lease is Infinity"],
  [{ renew: 0 }, "renew is 0"],
  [{ margin: -1 }, "margin is -1"],
  [{ attempt: 0.5 }, "attempt is 0.5"],
  [{ renew: 7000 }, "two renewals (2 x 7000), one attempt (1000) and the margin (1000) take 16000"],
  [{ lease: 3000, margin: 2500 }, "make the lease longer or renew more often"],
  [{ attempt: 9000 }, "one attempt (9000)"],
];

for (const [choices, reason] of IMPOSSIBLE) {
  Deno.test(`leaseTimings() refuses ${Deno.inspect(choices)}`, () => {
    assertThrows(() => leaseTimings(choices), RangeError, reason);
  });
}
