import type { Leader } from "../election/leader_key.ts";
import { describe, tokenProblem } from "../../store/base/token.ts";

/** Who has the lease: an `Election` is one. */
export interface Leadership {
  /** Who has the lease now, then each change of it, until `signal` is aborted. */
  changes(options: { readonly signal: AbortSignal }): AsyncIterable<Leader | undefined>;
}

/** What {@linkcode Discovery.join} is told. */
export interface DiscoveryOptions {
  /** Whose nodes find each other. @default {"default"} */
  readonly namespace?: string;
  /**
   * The node's name, its own in the namespace: any string of up to 200 bytes. A process that
   * joins by the name of a member takes its place, so that a restarted one need not wait.
   *
   * @default {a random one}
   */
  readonly nodeId?: string;
  /** Whatever the other nodes are to know, such as an address. @default {none} */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The node's weight: with 0 it is given nothing. @default {1} */
  readonly capacity?: number;
  /** How busy the node is, told with every heartbeat, in a unit of your choice. @default {none} */
  readonly load?: () => number;
  /** Names the leader, who then coordinates; without it the oldest member does. @default {none} */
  readonly leadership?: Leadership;
  /**
   * Until the heartbeat of a node that does not renew it expires, in ms: whole seconds. As long a
   * node that hangs is taken for alive; 15 s ride through the loss of a NATS server, which stops
   * writes for up to 9 s. Of all nodes the same, best.
   *
   * @default {15_000}
   */
  readonly heartbeatTtl?: number;
  /** From one renewal of the heartbeat to the next, in ms. @default {a fifth of `heartbeatTtl`, at most 3_000} */
  readonly heartbeat?: number;
  /** From one ping of a node to the next, in ms. @default {500} */
  readonly ping?: number;
  /**
   * How long nobody has to listen on a node's subject for it to be taken for crashed, in ms: more
   * than nodes need to connect to another NATS server when theirs is gone, which took up to 1.8 s
   * with the defaults of nats.js.
   *
   * @default {2_500}
   */
  readonly crash?: number;
  /**
   * Nodes that fall silent within this, in ms, are taken for an outage where they are more than
   * half of the others, or all of one NATS server.
   *
   * @default {1_000}
   */
  readonly outage?: number;
  /** How often what is known is compared with what is stored, in ms. @default {60_000} */
  readonly reconcile?: number;
  /** Copies of the bucket, counted when it is made: 3 for a cluster. @default {1} */
  readonly replicas?: number;
  /** How long the trace of a heartbeat that is gone stays, in ms; counted when the bucket is made. @default {600_000} */
  readonly markerTtl?: number;
  /** Deadline of joining and leaving, in ms. @default {10_000} */
  readonly timeout?: number;
  /** Told of what goes wrong in the background and is not passing. @default {console.warn} */
  readonly onError?: (error: unknown) => void;
}

/** What of the options says who the node is. */
export interface NodeOptions {
  readonly nodeId: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly capacity: number;
}

/** Who the node is, checked and copied. */
export function readNode(options: DiscoveryOptions): NodeOptions {
  const { nodeId = crypto.randomUUID(), metadata = {}, capacity = 1 } = options;
  const problem = tokenProblem(nodeId);
  if (problem !== undefined) {
    throw new RangeError(`Cannot join as ${describe(nodeId)}: the node's id ${problem}`);
  }
  const who = `Cannot join as ${describe(nodeId)}`;
  if (!Number.isFinite(capacity) || capacity < 0) {
    throw new RangeError(`${who}: its capacity is ${capacity}, not a number from 0`);
  }
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value !== "string" || !value.isWellFormed() || !name.isWellFormed()) {
      throw new TypeError(`${who}: metadata ${describe(name)} is no well-formed string`);
    }
  }
  return { nodeId, metadata: { ...metadata }, capacity };
}
