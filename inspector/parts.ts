import type { EventStore } from "../store/store.ts";
import type { InspectedCluster } from "./look/cluster.ts";
import type { StateFold } from "./look/states.ts";
import type { InspectedProcesses, InspectedProjection } from "./look/workers.ts";

/** The parts of a program that {@linkcode inspector} shows. */
export interface InspectorParts {
  /** The store. Everything that has records in its namespace's buckets is shown as well. */
  readonly store: EventStore;
  /**
   * Projections and reactors of this process. Those with checkpoints in NATS are shown without being
   * given; actions need the objects, and so do checkpoints that are kept elsewhere.
   *
   * @default {[]}
   */
  readonly projections?: readonly InspectedProjection[];
  /** Process managers of this process, likewise. @default {[]} */
  readonly processes?: readonly InspectedProcesses[];
  /** The node of this process. @default {the cluster's records alone} */
  readonly cluster?: InspectedCluster;
  /** Deciders by category, which fold the states of actors. @default {{}} */
  readonly deciders?: Readonly<Record<string, StateFold>>;
  /** Whether operators may act: unpark, skip, pause, rebuild, retry, end. Needs `token`. @default {false} */
  readonly actions?: boolean;
  /** The token that actions need, at least 16 visible ASCII characters: `Authorization: Bearer <token>`. */
  readonly token?: string;
  /**
   * Names of hosts under which the inspector may be asked, beside those of loopback. Whoever reaches
   * it can read all events: keep it behind something that knows who asks. @default {[]}
   */
  readonly hosts?: readonly string[];
  /** Live answers that may be open at once; a page has two or three. @default {128} */
  readonly maxStreams?: number;
  /** Ends live answers: when the server shuts down. */
  readonly signal?: AbortSignal;
  /** Called with errors that a client is not told of. @default {console.warn} */
  readonly onError?: (error: unknown) => void;
}
