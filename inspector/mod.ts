/**
 * Look into a store: its actors, states, causes, projections, processes and cluster, as an API and a
 * page in one Fetch handler.
 *
 * @example Deno
 * ```ts ignore
 * import { connect } from "@nats-io/transport-node";
 * import { JetStreamEventStore } from "@flowmade-one/aether";
 * import { inspector } from "@flowmade-one/aether/inspector";
 *
 * const connection = await connect({ servers: "127.0.0.1:4222", maxReconnectAttempts: -1 });
 * const store = await JetStreamEventStore.open(connection, { namespace: "shop" });
 * Deno.serve({ hostname: "127.0.0.1", port: 8080 }, inspector({ store }));
 * ```
 *
 * @module
 */

export type { InspectedCluster } from "./look/cluster.ts";
export { inspector } from "./inspector.ts";
export type { InspectorParts } from "./parts.ts";
export type { StateFold } from "./look/states.ts";
export type { InspectedProcesses, InspectedProjection } from "./look/workers.ts";
