import { isOf } from "./message_facts.ts";
import { jsonIn } from "../base/json.ts";
import { StreamRegressedError } from "../errors.ts";
import { asStreamSequence, positionOf, type StreamSequence } from "../format/position.ts";
import { backoff } from "../nats/backoff.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { StreamApi } from "../nats/stream_api.ts";
import type { HeadCache, SeenMessage } from "./heads.ts";

/** How long a check is good for, in ms, if nothing odd happens. */
const GOOD_FOR = 30_000;
/** How long a call goes on without waiting for the check that it has begun, in ms since the last one. */
const LATE = 2 * GOOD_FOR;
/** The shortest time between two checks that nobody waits for, in ms. */
const REST = 1_000;

/** The parts that a check needs. */
export interface StreamCheckParts {
  readonly api: StreamApi;
  readonly heads: HeadCache;
  /** See `EventStore.identity`: as the stream had it when it was opened. */
  readonly identity: string;
  /** How long one request may take, in ms. */
  readonly requestTimeout: number;
}

/**
 * Proves now and then that the stream is still the one that was opened: it has the same identity,
 * and the last messages that this store has heard of are still in their places. A stream that was
 * deleted and made again has another identity; one that was restored from a backup has the same
 * one, unless an epoch was stored in it, and other messages behind the backup.
 *
 * It is done after each break of the connection and after a try without an answer, before anything
 * else is sent; and every 30 s of use, beside what is under way. Once it has failed, the store does
 * nothing any more: it remembers another stream.
 */
export class StreamCheck {
  readonly #parts: StreamCheckParts;
  #failure: StreamRegressedError | undefined;
  /** The connection's epoch at the last check. */
  #epoch: number;
  #checkedAt = performance.now();
  #begunAt = -Infinity;
  #isSuspect = false;
  #running: Promise<void> | undefined;
  /** The genesis as it was seen last: it is parsed once. */
  #genesis: string | undefined;

  /** For a stream that was opened just now. */
  constructor(parts: StreamCheckParts) {
    this.#parts = parts;
    this.#epoch = parts.api.requests.epoch;
  }

  /** The identity that the stream had when it was opened. */
  get identity(): string {
    return this.#parts.identity;
  }

  /** Why the store can do nothing any more; `undefined` as long as it can. */
  get failure(): StreamRegressedError | undefined {
    return this.#failure;
  }

  /**
   * Begins a check if one is due; a promise if the caller has to wait for it.
   *
   * @throws {StreamRegressedError} A check has failed; also rejects with it.
   */
  ensure(): Promise<void> | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const now = performance.now();
    const age = now - this.#checkedAt;
    if (!this.#isSuspect && this.#epoch === this.#parts.api.requests.epoch) {
      if (age < GOOD_FOR) return undefined;
      if (age < LATE) {
        // Beside what is under way; whatever fails is tried again, or is found by the next call.
        if (now - this.#begunAt > REST) this.prove().catch(() => {});
        return undefined;
      }
    }
    const proof = this.prove();
    proof.catch(() => {}); // Not everyone who asks waits for it.
    return proof;
  }

  /** Something odd has happened: the next {@linkcode ensure} checks, and waits for it. */
  suspect(): void {
    this.#isSuspect = true;
  }

  /**
   * Checks now.
   *
   * @throws {StreamRegressedError} It is another stream, or it has lost what was acknowledged.
   */
  prove(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return this.#running ??= this.#prove().finally(() => this.#running = undefined);
  }

  /** Takes a genesis that came with an answer. */
  see(genesis: StoredMessage | undefined): void {
    if (genesis === undefined || genesis.text === this.#genesis) return;
    this.#checkGenesis(genesis);
    this.#genesis = genesis.text;
  }

  /**
   * Takes the sequence of a message that was stored, which has to be behind all that this store knew
   * when it was sent.
   */
  follow(sequence: StreamSequence, known: StreamSequence): void {
    if (sequence > known) return;
    throw this.#fail(
      positionOf(known),
      positionOf(sequence),
      `stream sequence ${sequence} was given to what was saved just now, though ${known} was ` +
        "acknowledged before; the stream was restored or replaced, and has this save",
    );
  }

  async #prove(): Promise<void> {
    const { api, heads, requestTimeout } = this.#parts;
    const { layout, requests } = api;
    const { epoch } = requests;
    this.#begunAt = performance.now();
    this.#isSuspect = false;
    // Messages from here on may belong to another stream already.
    const seen = [...heads.seen];
    try {
      for (const retry = backoff(performance.now() + requestTimeout);;) {
        const [genesis, last, ...found] = await Promise.all([
          api.get({ last_by_subj: layout.genesis }, requestTimeout),
          api.get({ last_by_subj: layout.epoch }, requestTimeout),
          ...seen.map(({ sequence }) => api.get({ seq: sequence }, requestTimeout)),
        ]);
        if (genesis !== undefined) this.#checkGenesis(genesis);
        // An answer that falls short may be of a leader that was elected or deposed just now.
        // An older one that is missing left a hole, which readers report; the last one is no hole.
        const moved = seen.findIndex(({ op }, at) =>
          found[at] === undefined ? at === seen.length - 1 : !isOf(found[at], op)
        );
        const problem = this.#problemOf(genesis, last, seen[moved], found[moved]);
        if (problem === undefined) break;
        if (await retry(requests)) continue;
        const sequence = seen[moved]?.sequence ?? asStreamSequence(1);
        const reached = (await api.info(requestTimeout))?.state.last_seq ?? 0;
        const actual = asStreamSequence(Math.min(reached, sequence - 1));
        throw this.#fail(positionOf(sequence), positionOf(actual), problem);
      }
    } catch (error) {
      this.#isSuspect = true;
      throw error;
    }
    const newest = seen.at(-1);
    if (newest !== undefined) heads.settle(newest.sequence);
    this.#epoch = epoch;
    this.#checkedAt = performance.now();
  }

  #checkGenesis(genesis: StoredMessage): void {
    const { identity } = this.#parts;
    const found = identityIn(genesis);
    if (found === originOf(identity)) return;
    throw this.#fail(
      positionOf(this.#parts.heads.highest),
      0,
      `it is another one than was opened: its identity is ${found}, and was ${identity}`,
    );
  }

  #problemOf(
    genesis: StoredMessage | undefined,
    last: StoredMessage | undefined,
    moved: SeenMessage | undefined,
    found: StoredMessage | undefined,
  ): string | undefined {
    if (genesis === undefined) return "its first message is lost";
    const identity = identityOf(originOf(this.#parts.identity), last);
    if (identity !== this.#parts.identity) {
      return `it was restored since it was opened: its identity is ${identity}, and was ` +
        this.#parts.identity;
    }
    if (moved === undefined) return undefined;
    const { sequence } = moved;
    if (found === undefined) {
      return `stream sequence ${sequence} is lost, though it was acknowledged; the stream lost ` +
        "messages or was restored";
    }
    return `stream sequence ${sequence} does not hold what it held before; the stream was restored`;
  }

  #fail(expected: number, actual: number, problem: string): StreamRegressedError {
    const { api, heads } = this.#parts;
    heads.clear();
    return this.#failure ??= new StreamRegressedError(
      `stream "${api.layout.stream}"`,
      expected,
      actual,
      `${problem}. This store does nothing any more: find out what is lost, then open the store ` +
        "again; checkpoints, positions and caches of what was lost mean nothing in the stream",
    );
  }
}

/** The identity of a stream whose genesis says `origin`, and whose last epoch is `epoch`. */
export function identityOf(
  origin: string,
  epoch: Pick<StoredMessage, "data" | "sequence"> | undefined,
): string {
  return epoch === undefined ? origin : `${origin}+${epochIn(epoch)}`;
}

/** The identity in the genesis of a stream of this identity. */
export function originOf(identity: string): string {
  return identity.split("+", 1)[0]!;
}

function identityIn({ data }: StoredMessage): unknown {
  return (jsonIn(data) as { identity?: unknown } | null | undefined)?.identity;
}

/** The name of an epoch; if this library has not written it, its place. */
function epochIn({ data, sequence }: Pick<StoredMessage, "data" | "sequence">): string {
  const epoch = (jsonIn(data) as { epoch?: unknown } | null | undefined)?.epoch;
  return typeof epoch === "string" && /^[\w-]+$/.test(epoch) ? epoch : String(sequence);
}
