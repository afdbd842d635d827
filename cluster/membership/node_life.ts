import type { Subscription } from "@nats-io/nats-core";
import type { NodeIncarnation } from "../incarnation.ts";
import type { Clock } from "../election/clock.ts";
import { encodeHeartbeat, Heartbeat, type HeartbeatMessage } from "./heartbeat.ts";
import type { DiscoveryTimings } from "./timings.ts";
import type { ClusterView } from "./view.ts";
import { nodeSubject } from "../subjects.ts";
import { uuidv7 } from "../../store/base/uuid.ts";
import type { Connection } from "../../store/connection.ts";
import type { Bucket } from "../../store/kv/bucket.ts";
import type { RequestMux } from "../../store/nats/requests.ts";
import { total } from "../../store/nats/total.ts";

/** The parts that one incarnation of a node needs. */
export interface IncarnationParts {
  readonly connection: Connection;
  readonly namespace: string;
  readonly bucket: Bucket;
  readonly timings: DiscoveryTimings;
  readonly clock: Clock;
  /** How busy the node is; never throws. */
  readonly load: () => number | undefined;
  /** Gets errors that are not transient. */
  readonly report: (error: unknown) => void;
  /** Asks the server whether this incarnation is a member. */
  readonly isMember: (life: NodeIncarnation) => Promise<boolean>;
}

/**
 * One incarnation of a node: answers pings and keeps a heartbeat, from its beginning to its end.
 */
export class Incarnation implements NodeIncarnation {
  readonly nodeId: string;
  readonly incarnation: string;
  /** Shows the others, in the bucket, that it is alive. */
  readonly heartbeat: Heartbeat;
  /** Why the server does not let it answer; known once the heartbeat has begun. */
  refused: Error | undefined;
  readonly #connection: Connection;
  readonly #subscription: Subscription;
  readonly #load: IncarnationParts["load"];
  readonly #requests: RequestMux;
  /** What the server has said before of too many subscriptions. */
  readonly #excess: Error | undefined;
  readonly #ends = new AbortController();
  #work: Promise<void> = Promise.resolve();
  #end: Promise<void> | undefined;

  /** Answers pings from now on. */
  constructor(parts: IncarnationParts, nodeId: string, incarnation: string) {
    const { connection, namespace, bucket, timings, clock, load, isMember, report } = parts;
    this.nodeId = nodeId;
    this.incarnation = incarnation;
    this.#connection = connection;
    this.#load = load;
    this.#requests = bucket.requests;
    this.#excess = bucket.requests.excess;
    this.heartbeat = new Heartbeat({
      bucket,
      timings,
      clock,
      content: () => this.content,
      isMember: () => isMember(this),
      report,
    });
    this.#subscription = connection.subscribe(nodeSubject(namespace, this, "ping"), {
      callback: total("answering a ping", (error, message) => {
        if (error === null) message.respond(encodeHeartbeat(this.content, 0));
        else this.refused ??= error;
      }),
    });
  }

  /** The content of its heartbeat now. */
  get content(): HeartbeatMessage {
    const { nodeId, incarnation } = this;
    return { nodeId, incarnation, server: this.#connection.info?.server_id, load: this.#load() };
  }

  /** Begins the heartbeat; false if that failed within `timeout` ms. */
  async begin(timeout: number): Promise<boolean> {
    const { signal } = this.#ends;
    if (!await this.heartbeat.begin(timeout, signal)) return false;
    const { excess } = this.#requests;
    if (excess !== this.#excess) this.refused ??= excess;
    this.#work = this.heartbeat.keep(signal);
    return true;
  }

  /** Stops answering and removes the heartbeat, if the server is in reach. */
  end(): Promise<void> {
    return this.#end ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.#ends.abort();
    await this.#work;
    if (this.#connection.isClosed()) return;
    try {
      this.#subscription.unsubscribe();
    } finally {
      await this.heartbeat.end();
    }
  }
}

/**
 * The next incarnation of a node: larger than all its incarnations that `view` knows, even if the
 * clock was set back.
 */
export function nextIncarnation(view: ClusterView, nodeId: string, last = ""): string {
  const earlier = [...view.members, ...view.departed].filter((life) => life.nodeId === nodeId)
    .map(({ incarnation }) => incarnation);
  const latest = [last, ...earlier].reduce((left, right) => left > right ? left : right);
  const next = uuidv7();
  return next > latest ? next : uuidv7(timeOf(latest) + 1);
}

/** When a UUIDv7 was made, in Unix ms. */
function timeOf(uuid: string): number {
  return parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}
