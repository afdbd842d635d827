import type { NodeIncarnation } from "./incarnation.ts";
import { encodeToken } from "../store/base/token.ts";
import { encodeNamespace } from "../store/format/layout.ts";
import { bucketToken } from "../store/kv/bucket.ts";

/**
 * The bucket that holds the state of a namespace's cluster.
 *
 * @throws {RangeError} The namespace is empty, not well-formed, or too long.
 */
export function clusterBucket(namespace: string): string {
  return `AETHER_CLUSTER_${bucketToken(encodeNamespace(namespace))}`;
}

/**
 * The subject on which one incarnation of a node takes requests of one kind. The server answers a
 * request there "no responders" as soon as the process is gone; no other incarnation answers it.
 *
 * @throws {RangeError} A part is empty, not well-formed, or too long.
 */
export function nodeSubject(
  namespace: string,
  { nodeId, incarnation }: NodeIncarnation,
  verb: string,
): string {
  const node = `${encodeToken(nodeId)}.${encodeToken(incarnation)}`;
  return `aether-cluster.${encodeNamespace(namespace)}.node.${node}.${verb}`;
}

/** The subject on which the coordinator takes changes of the view. */
export function coordinatorSubject(namespace: string): string {
  return `aether-cluster.${encodeNamespace(namespace)}.coordinator`;
}

/** The key of the view. */
export const VIEW_KEY = "view";

/** The key of the heartbeat of one incarnation of a node. */
export function heartbeatKey({ nodeId, incarnation }: NodeIncarnation): string {
  return `node.${encodeToken(nodeId)}.${encodeToken(incarnation)}`;
}
