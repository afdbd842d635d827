import { encodeJson, isRecord, jsonIn } from "../../store/base/json.ts";
import type { NodeIncarnation } from "../incarnation.ts";
import type { DiscoveryTimings } from "./timings.ts";
import { type Clock, elapsed, type Instant, instant } from "../election/clock.ts";
import { heartbeatKey } from "../subjects.ts";
import { sleep } from "../../store/base/sleep.ts";
import type { Bucket } from "../../store/kv/bucket.ts";
import { backoff } from "../../store/nats/backoff.ts";
import { failed } from "../../store/nats/failure.ts";
import { isAetherError } from "../../store/errors.ts";

/** The content of a heartbeat, as its node reports it. */
export interface HeartbeatMessage extends NodeIncarnation {
  /** The NATS server that it is connected to. */
  readonly server: string | undefined;
  /** How busy it is, in a unit of its own choice. */
  readonly load: number | undefined;
}

/** What a heartbeat works with. */
export interface HeartbeatParts {
  readonly bucket: Bucket;
  readonly timings: DiscoveryTimings;
  readonly clock: Clock;
  /** The content at this moment. */
  readonly content: () => HeartbeatMessage;
  /**
   * Called if the key has expired or was removed: whether this incarnation is still a member, so
   * that the key is written again. Otherwise the heartbeat ends.
   */
  readonly isMember: () => Promise<boolean>;
  /** Gets errors that are not transient; the heartbeat goes on. */
  readonly report: (error: unknown) => void;
}

/** How much earlier the heartbeat ends for its writer than for the server, as a share of its time. */
const MARGIN = 1 / 15;

/** Encodes a heartbeat; `beat` makes it unlike all others of the same incarnation. */
export function encodeHeartbeat(content: HeartbeatMessage, beat: number): Uint8Array {
  return encodeJson({ ...content, beat });
}

/** Decodes a heartbeat, or the answer to a ping; `undefined` if it is neither. */
export function decodeHeartbeat(body: Uint8Array): HeartbeatMessage | undefined {
  const content = jsonIn(body);
  if (!isRecord(content)) return undefined;
  const { nodeId, incarnation, server, load } = content;
  if (typeof nodeId !== "string" || typeof incarnation !== "string") return undefined;
  return {
    nodeId,
    incarnation,
    server: typeof server === "string" ? server : undefined,
    load: typeof load === "number" && Number.isFinite(load) ? load : undefined,
  };
}

/**
 * The key that shows that one incarnation of a node is alive. It expires by itself when the process
 * is gone or hangs; each renewal is a compare-and-set on the one before, and renews the time to
 * live.
 */
export class Heartbeat {
  readonly #parts: HeartbeatParts;
  readonly #key: string;
  readonly #attempt: number;
  #revision = 0;
  #beat = 0;
  #ended = false;
  #steadySince = performance.now();
  /** A moment before the last write that is known to be stored was sent. */
  #renewedAt: Instant;

  /** For the incarnation that `content` names now. */
  constructor(parts: HeartbeatParts) {
    this.#parts = parts;
    this.#key = heartbeatKey(parts.content());
    this.#attempt = Math.min(1000, parts.timings.heartbeat);
    this.#renewedAt = instant(parts.clock);
  }

  /**
   * Since when the bucket has taken every renewal in good time, by the monotonic clock; `Infinity`
   * while it does not. A key that has expired after an outage proves nothing about its writer.
   */
  get steadySince(): number {
    return this.#isSteady ? this.#steadySince : Infinity;
  }

  /**
   * Ms until the key expires unless it is renewed, at the earliest and less a margin for clocks that
   * drift; 0 if it may have expired. As with a lease, the time is taken by the clock that shows more.
   */
  get validFor(): number {
    if (this.#revision === 0) return 0;
    const { timings: { heartbeatTtl }, clock } = this.#parts;
    return Math.max(0, heartbeatTtl * (1 - MARGIN) - elapsed(this.#renewedAt, clock));
  }

  /**
   * Writes the key for the first time; false if that failed within `timeout` ms, or before `signal`
   * is aborted.
   */
  begin(timeout: number, signal: AbortSignal): Promise<boolean> {
    return this.#beatOnce(timeout, signal);
  }

  /** Renews the key until `signal` is aborted, or this incarnation is no longer a member. */
  async keep(signal: AbortSignal): Promise<void> {
    const { bucket: { requests }, timings: { heartbeat } } = this.#parts;
    while (!signal.aborted && !requests.closed && !this.#ended) {
      await sleep(heartbeat, signal);
      if (signal.aborted) return;
      await this.#beatOnce(heartbeat, signal).catch(this.#parts.report);
    }
  }

  /** Removes the key; it expires by itself if the server does not answer. */
  async end(): Promise<void> {
    this.#ended = true;
    if (this.#revision > 0) {
      await this.#parts.bucket.remove(this.#key, this.#revision, this.#attempt);
    }
  }

  async #beatOnce(timeout: number, signal: AbortSignal): Promise<boolean> {
    const { bucket: { requests } } = this.#parts;
    const retry = backoff(performance.now() + timeout, signal);
    do {
      try {
        if (await this.#write()) return true;
      } catch (error) {
        if (!isAetherError(error, "StoreUnavailableError")) throw error;
      }
    } while (!this.#ended && await retry(requests));
    return false;
  }

  /** Makes one attempt; false if another one is needed. */
  async #write(): Promise<boolean> {
    const { bucket, timings: { heartbeatTtl }, clock, content, isMember } = this.#parts;
    const body = encodeHeartbeat(content(), ++this.#beat);
    const sentAt = instant(clock);
    const condition = { revision: this.#revision, ttl: heartbeatTtl / 1000 };
    const outcome = await bucket.put(this.#key, body, condition, this.#attempt);
    if (outcome.kind === "stored") {
      this.#revision = outcome.first;
      if (!this.#isSteady) this.#steadySince = performance.now();
      this.#renewedAt = sentAt;
      return true;
    }
    if (outcome.kind === "refused") throw failed("renew the heartbeat", outcome.cause);
    if (outcome.kind !== "stale") return false;
    // Either an earlier attempt was stored and its answer lost, or the key is gone.
    const { value, revision } = await bucket.get(this.#key, this.#attempt);
    if (value === undefined && this.#revision > 0 && !await isMember()) this.#ended = true;
    this.#revision = revision;
    return false;
  }

  get #isSteady(): boolean {
    const { timings: { heartbeatTtl }, clock } = this.#parts;
    return elapsed(this.#renewedAt, clock) <= heartbeatTtl / 2;
  }
}
