/**
 * The bed of tests of elections and leases.
 *
 * @module
 */

import { assert } from "@std/assert";
import { Election, type ElectionOptions } from "../../../cluster/election/election.ts";
import type { Lease } from "../../../cluster/election/lease.ts";
import { clusterBucket } from "../../../cluster/subjects.ts";
import { Bucket } from "../../../store/kv/bucket.ts";
import { isAetherError, type LeaseLostError } from "../../../store/errors.ts";
import type { Scene } from "../../support/fixture.ts";

/** Short, yet long enough for a machine under load: two renewals may be late. */
export const SHORT = { lease: 3000, renew: 500, margin: 200, attempt: 500 };

/** A candidate on a connection of its own, by way of `url` if one is given. */
export async function open(
  scene: Scene,
  nodeId: string,
  { url, ...options }: Partial<ElectionOptions> & { readonly url?: string } = {},
): Promise<Election> {
  const connection = await scene.connect(url === undefined ? {} : { servers: url });
  const { namespace } = scene;
  return scene.use(await Election.open(connection, { namespace, nodeId, ...options }));
}

/** The bucket in which the scene's leaders are elected. */
export async function openBucket(scene: Scene): Promise<Bucket> {
  const bucket = await Bucket.open(await scene.connect(), {
    bucket: clusterBucket(scene.namespace),
  });
  scene.use({ [Symbol.asyncDispose]: () => bucket.close() });
  return bucket;
}

/** Resolves when the lease is over; gives why. */
export async function endOf({ signal }: Lease): Promise<LeaseLostError> {
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
  assert(isAetherError(signal.reason, "LeaseLostError"), String(signal.reason));
  return signal.reason;
}

/** Resolves when what only time brings is `reached`. */
export async function until(reached: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!reached()) {
    assert(performance.now() < deadline, "It did not come in time");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Resolves when the key holds `count` more renewals. */
export async function renewals(bucket: Bucket, count: number): Promise<void> {
  const known = [await bucket.get("leader")];
  for await (const { value } of bucket.watch({ filter: "leader", known })) {
    assert(value !== undefined, "The lease is gone");
    if (--count === 0) return;
  }
}
