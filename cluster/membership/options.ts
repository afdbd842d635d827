import { checkClock, type Clock } from "../election/clock.ts";
import type { Leader } from "../election/leader_key.ts";
import type { JetStreamApiOptions } from "../../store/nats/api_prefix.ts";
import { needOptionalFunctions, needOptionalMethods } from "../../store/base/given.ts";
import { isRecord } from "../../store/base/json.ts";
import { describe, tokenProblem } from "../../store/base/token.ts";

/** The source of the leader: an `Election` is one. */
export interface Leadership {
  /** Yields the present leader, then each change, until `signal` is aborted. */
  changes(options: { readonly signal: AbortSignal }): AsyncIterable<Leader | undefined>;
}

/** Options for {@linkcode Discovery.join}. */
export interface DiscoveryOptions extends JetStreamApiOptions {
  /** The namespace: its nodes find each other. @default {"default"} */
  readonly namespace?: string;
  /**
   * The node's name, unique in the namespace: any string of up to 200 bytes. A process that joins
   * by the name of a member takes its place, so that a restarted one need not wait.
   *
   * @default {a random one}
   */
  readonly nodeId?: string;
  /** Data for the other nodes, such as an address. @default {none} */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The node's weight: with 0 it is given nothing. @default {1} */
  readonly capacity?: number;
  /** How busy the node is, sent with every heartbeat, in a unit of your choice. @default {none} */
  readonly load?: () => number;
  /**
   * Names the leader, which then coordinates; without it the oldest member does. @default {none}
   */
  readonly leadership?: Leadership;
  /**
   * Until the heartbeat of a node that does not renew it expires, in ms: whole seconds. A node that
   * hangs counts as alive for that long; 15 s ride through the loss of a NATS server, which stops
   * writes for up to 9 s. Give all nodes the same value.
   *
   * @default {15_000}
   */
  readonly heartbeatTtl?: number;
  /** From one renewal of the heartbeat to the next, in ms. @default {a fifth of `heartbeatTtl`, at most 3_000} */
  readonly heartbeat?: number;
  /** From one ping of a node to the next, in ms. @default {500} */
  readonly ping?: number;
  /**
   * How long nothing may listen on a node's subject before the node counts as crashed, in ms: more
   * than a node needs to connect to another NATS server when its own is gone, which took up to 1.8
   * s with the defaults of nats.js.
   *
   * @default {2_500}
   */
  readonly crash?: number;
  /**
   * Nodes that fall silent within this time, in ms, count as an outage if they are more than half
   * of the others, or all of one NATS server.
   *
   * @default {1_000, or twice `ping` if that is more}
   */
  readonly outage?: number;
  /** How often what is known is compared with what is stored, in ms. @default {60_000} */
  readonly reconcile?: number;
  /** Copies of the bucket, set when it is made: 3 for a cluster. @default {1} */
  readonly replicas?: number;
  /**
   * How long the marker of a removed heartbeat remains, in ms; set when the bucket is made.
   * @default {600_000}
   */
  readonly markerTtl?: number;
  /** The clocks that measure for how long a heartbeat is valid. @default {the machine's} */
  readonly clock?: Clock;
  /** Deadline of joining and leaving, in ms. @default {10_000} */
  readonly timeout?: number;
  /**
   * Gets errors of the background work that are not transient, and those that `load` throws; the
   * same one every ten minutes at most. What it throws is printed.
   *
   * @default {console.warn}
   */
  readonly onError?: (error: unknown) => void;
}

/**
 * Refuses options of another kind than discovery takes.
 *
 * @throws {TypeError} One is something else.
 */
export function checkDiscovery(options: DiscoveryOptions): void {
  needOptionalFunctions(options, ["load", "onError"], "join");
  const kind = "an object with changes, such as an Election";
  needOptionalMethods(options.leadership, ["changes"], "join", "leadership", kind);
  checkClock(options, "join");
}

/** The options that identify and describe the node. */
export interface NodeOptions {
  readonly nodeId: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly capacity: number;
}

/** Reads, checks and copies the node's own options. */
export function readNode(options: DiscoveryOptions): NodeOptions {
  const { nodeId = crypto.randomUUID(), metadata: given = {}, capacity = 1 } = options;
  const problem = tokenProblem(nodeId);
  if (problem !== undefined) {
    throw new RangeError(`Cannot join as ${describe(nodeId)}: the node's id ${problem}`);
  }
  const who = `Cannot join as ${describe(nodeId)}`;
  if (!Number.isFinite(capacity) || capacity < 0) {
    throw new RangeError(`${who}: its capacity is ${capacity}, not a number from 0`);
  }
  if (!isRecord(given)) {
    throw new TypeError(`${who}: its metadata is ${describe(given)}, no object`);
  }
  // Read once: a getter may give something else the next time.
  const metadata = { ...given };
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value !== "string" || !value.isWellFormed() || !name.isWellFormed()) {
      throw new TypeError(`${who}: metadata ${describe(name)} is not a well-formed string`);
    }
  }
  return { nodeId, metadata, capacity };
}
