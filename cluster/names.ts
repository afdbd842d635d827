import { bucketToken } from "../store/bucket.ts";
import { encodeNamespace } from "../store/layout.ts";

/**
 * The bucket that a namespace's cluster keeps its state in.
 *
 * @throws {RangeError} The namespace is empty, not well-formed, or too long.
 */
export function clusterBucket(namespace: string): string {
  return `AETHER_CLUSTER_${bucketToken(encodeNamespace(namespace))}`;
}
