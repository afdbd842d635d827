/**
 * Cluster management on NATS alone: node discovery, leader election, shard distribution, fencing.
 * Not built yet; this entry point holds its place and the type that all of it takes.
 *
 * @example The connection that a cluster will take
 * ```ts
 * import type { Connection } from "@flowmade-one/aether/cluster";
 *
 * function isOpen(connection: Connection): boolean {
 *   return !connection.isClosed();
 * }
 * console.log(typeof isOpen);
 * ```
 *
 * @module
 */

export type { Connection } from "../store/connection.ts";
