import { incarnationKey, type NodeIncarnation } from "../incarnation.ts";
import { type Clock, elapsed, type Instant, instant } from "../election/clock.ts";
import {
  FailureDetector,
  type Ping,
  type PingOutcome,
  type Suspicion,
} from "./failure_detector.ts";
import { decodeHeartbeat } from "./heartbeat.ts";
import type { DiscoveryTimings } from "./timings.ts";
import { heartbeatKey } from "../subjects.ts";
import { unlessAborted } from "../../store/base/abort.ts";
import type { Notifier } from "../../store/base/notifier.ts";
import { sleep } from "../../store/base/sleep.ts";
import type { Connection } from "../../store/connection.ts";
import type { Bucket } from "../../store/kv/bucket.ts";
import { RequestError } from "../../store/nats/request_error.ts";

/** What a failure watch works with. */
export interface FailureWatchParts {
  readonly connection: Connection;
  readonly bucket: Bucket;
  readonly timings: DiscoveryTimings;
  readonly clock: Clock;
  /** The subject on which one incarnation of a node answers pings. */
  readonly subjectOf: (life: NodeIncarnation) => string;
  /** Since when the bucket has been in reach: see {@linkcode Heartbeat.steadySince}. */
  readonly steadySince: () => number;
  /** Notified of every ping. */
  readonly changed: Notifier;
}

/** A watched node. */
interface Target {
  readonly life: NodeIncarnation;
  readonly ends: AbortController;
  /** How often in a row its heartbeat was missing, and when last. */
  missed: number;
  missedAt: number;
  looking: boolean;
}

/**
 * How often a heartbeat has to be missing before it counts as gone: one answer may be an old one.
 */
const LOOKS = 2;

/**
 * Watches other nodes: pings them, and looks for the heartbeat of one that does not answer. Reports
 * a node as out only while it has the evidence at hand.
 */
export class FailureWatch {
  readonly #parts: FailureWatchParts;
  readonly #detector: FailureDetector;
  readonly #targets = new Map<string, Target>();
  readonly #work = new Set<Promise<void>>();
  #epoch: number;
  /** When it observed last: a machine that sleeps observes nothing. */
  #seenAt: Instant;
  #servers: readonly string[] | undefined;

  /** Begins without any node. */
  constructor(parts: FailureWatchParts) {
    this.#parts = parts;
    this.#detector = new FailureDetector(parts.timings);
    this.#epoch = parts.bucket.requests.epoch;
    this.#seenAt = instant(parts.clock);
  }

  /** Watches just these nodes from now on. */
  watch(lives: readonly NodeIncarnation[]): void {
    const wanted = new Map(lives.map((life) => [incarnationKey(life), life]));
    this.#detector.watch(wanted.keys());
    for (const [key, { ends }] of this.#targets) {
      if (wanted.has(key)) continue;
      ends.abort();
      this.#targets.delete(key);
    }
    for (const [key, life] of wanted) {
      if (this.#targets.has(key)) continue;
      const ends = new AbortController();
      const target = { life, ends, missed: 0, missedAt: -Infinity, looking: false };
      this.#targets.set(key, target);
      this.#track(this.#follow(key, target));
    }
  }

  /** How a watched node seems. */
  verdict(life: NodeIncarnation): Suspicion {
    return this.#detector.verdict(incarnationKey(life), performance.now());
  }

  /** How a watched node has gone, as far as is known at this moment; `undefined` if it has not. */
  outOf(life: NodeIncarnation): "crashed" | "hung" | undefined {
    const key = incarnationKey(life);
    const now = performance.now();
    const verdict = this.#detector.verdict(key, now);
    if (verdict === "alive" || this.#wasAsleep) return undefined;
    if (verdict === "crashed") return "crashed";
    const { timings: { heartbeatTtl, ping }, steadySince } = this.#parts;
    const { missed = 0, missedAt = -Infinity } = this.#targets.get(key) ?? {};
    const isMissed = missed >= LOOKS && now - missedAt <= 3 * ping;
    // All heartbeats expire in an outage of the bucket: each node had to have its chance since
    // then.
    return isMissed && now - steadySince() >= heartbeatTtl ? "hung" : undefined;
  }

  /** Ends all watching. */
  async close(): Promise<void> {
    this.watch([]);
    await Promise.all(this.#work);
  }

  #track(work: Promise<void>): void {
    this.#work.add(work);
    work.finally(() => this.#work.delete(work));
  }

  async #follow(key: string, target: Target): Promise<void> {
    const { bucket: { requests }, timings: { ping: period }, changed } = this.#parts;
    const { signal } = target.ends;
    while (!signal.aborted && !requests.closed) {
      this.#lookAround();
      const epoch = requests.epoch;
      const ping = await unlessAborted(signal, this.#ping(target.life)).catch(() => undefined);
      if (ping === undefined || signal.aborted) return;
      this.#detector.record(key, requests.epoch === epoch ? ping : { ...ping, outcome: "unsent" });
      if (ping.outcome === "answered") target.missed = 0;
      else if (!target.looking) this.#track(this.#look(key, target));
      changed.notify();
      // A node that may be gone is pinged twice as often, to confirm or clear it sooner.
      const wait = ping.outcome === "answered" ? period : period / 2;
      await sleep(wait - (performance.now() - ping.sentAt), signal);
    }
  }

  async #ping(life: NodeIncarnation): Promise<Ping> {
    const { bucket: { requests }, timings, subjectOf } = this.#parts;
    const sentAt = performance.now();
    try {
      const { data } = await requests.request(subjectOf(life), "", 2 * timings.ping);
      const server = decodeHeartbeat(data)?.server;
      return { outcome: "answered", sentAt, endedAt: performance.now(), server };
    } catch (error) {
      return { outcome: pingOutcomeOf(error), sentAt, endedAt: performance.now() };
    }
  }

  /** Looks for the heartbeat of a node that does not answer. */
  async #look(key: string, target: Target): Promise<void> {
    const { bucket, timings: { ping } } = this.#parts;
    target.looking = true;
    try {
      const { value } = await bucket.get(heartbeatKey(target.life), 2 * ping);
      target.missed = value === undefined ? target.missed + 1 : 0;
      target.missedAt = performance.now();
      const server = value && decodeHeartbeat(value)?.server;
      if (server !== undefined) this.#detector.place(key, server);
    } catch {
      target.missed = 0; // Out of reach: that proves nothing.
    } finally {
      target.looking = false;
    }
  }

  /** Notices when the observer itself is unfit to judge. */
  #lookAround(): void {
    const { connection, bucket: { requests } } = this.#parts;
    const servers = connection.info?.connect_urls;
    if (requests.epoch !== this.#epoch || this.#wasAsleep) {
      this.#epoch = requests.epoch;
      this.#detector.restart();
      for (const target of this.#targets.values()) target.missed = 0;
    } else if (this.#servers?.some((server) => servers?.includes(server) === false)) {
      this.#detector.serverGone(performance.now());
    }
    this.#servers = servers;
    this.#seenAt = instant(this.#parts.clock);
  }

  /** Whether it has not observed for so long that what it saw before proves nothing. */
  get #wasAsleep(): boolean {
    return elapsed(this.#seenAt, this.#parts.clock) > 3 * this.#parts.timings.ping;
  }
}

function pingOutcomeOf(error: unknown): PingOutcome {
  const failure = error instanceof RequestError ? error.failure : undefined;
  return failure === "no responders" || failure === "timeout" ? failure : "unsent";
}
