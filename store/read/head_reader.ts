import { StreamRegressedError } from "../errors.ts";
import { PREVIOUS } from "../format/headers.ts";
import { asStreamSequence, positionOf, type StreamSequence } from "../format/position.ts";
import { backoff } from "../nats/backoff.ts";
import { numberIn, type StoredMessage } from "../nats/stored_message.ts";
import { ApiError, type StreamApi } from "../nats/stream_api.ts";
import type { EndReader } from "./end_reader.ts";
import type { Head, HeadCache } from "./heads.ts";
import { headIn, NO_HEAD, previousOf, versionIn } from "./message_facts.ts";
import { StoredRun } from "./stored_run.ts";
import type { StreamCheck } from "./stream_check.ts";

/** Subjects whose actors are kept in memory. */
const MOST_SUBJECTS = 1_000;

/** One event of a message. */
export interface StoredEvent {
  readonly run: StoredRun;
  /** Its index in the message. */
  readonly index: number;
}

/** Reads where an actor's history ends, and finds versions in it. */
export class HeadReader {
  readonly #api: StreamApi;
  readonly #heads: HeadCache;
  readonly #ends: EndReader;
  readonly #check: StreamCheck;
  readonly #shards: number;
  readonly #requestTimeout: number;
  /** Actors by their subjects. */
  readonly #actors = new Map<string, string>();

  /** `requestTimeout`: how long one request may take, in ms. */
  constructor(
    api: StreamApi,
    heads: HeadCache,
    ends: EndReader,
    check: StreamCheck,
    shards: number,
    requestTimeout: number,
  ) {
    this.#api = api;
    this.#heads = heads;
    this.#ends = ends;
    this.#check = check;
    this.#shards = shards;
    this.#requestTimeout = requestTimeout;
  }

  /** The exact subject of the actor. */
  subjectOf(actorId: string): string {
    return this.#api.layout.event(actorId, this.#shards);
  }

  /**
   * The actor whose exact subject this is; `undefined` if this library writes to no such subject.
   * Those of some actors are kept: the shard and the token of one take a tenth of the time of all that
   * a subscription does for an event.
   */
  actorOf(subject: string): string | undefined {
    const known = this.#actors.get(subject);
    if (known !== undefined) return known;
    const actorId = this.#api.layout.actorOf(subject);
    if (actorId === undefined || this.subjectOf(actorId) !== subject) return undefined;
    if (this.#actors.size >= MOST_SUBJECTS) this.#actors.clear();
    this.#actors.set(subject, actorId);
    return actorId;
  }

  /**
   * The actor's head, asked of the server; the cache learns it. It is not behind anything that this
   * store has heard of.
   *
   * @param last How else the head of a subject is asked for; then only what the cache knows of
   * the actor says that an answer is behind.
   * @throws {StreamRegressedError} The actor's history ends before what was acknowledged.
   * @throws {CorruptEventError} The last message is no event.
   */
  async read(
    actorId: string,
    last?: (subject: string) => Promise<Head>,
  ): Promise<Head> {
    if (last === undefined) return (await this.readEnd(actorId)).head;
    const asked = performance.now();
    const head = await this.#lastBy(last, actorId);
    this.#heads.raise(actorId, head, asked);
    return head;
  }

  /** The head that {@linkcode HeadReader.read} gives, with the message that it was read from. */
  async readEnd(
    actorId: string,
  ): Promise<{ readonly head: Head; readonly last: StoredMessage | undefined }> {
    const asked = performance.now();
    const last = await this.last(actorId, true);
    const head = headIn(last);
    this.#heads.raise(actorId, head, asked);
    return { head, last };
  }

  /** The actor's last message; `latest` as in {@linkcode EndReader}. */
  last(actorId: string, latest: boolean): Promise<StoredMessage | undefined> {
    const known = this.#heads.get(actorId)?.sequence ?? asStreamSequence(0);
    const subject = this.subjectOf(actorId);
    return this.#ends.last({ subject, name: `"${actorId}"`, known, latest });
  }

  async #lastBy(last: (subject: string) => Promise<Head>, actorId: string): Promise<Head> {
    const due = this.#check.ensure();
    if (due !== undefined) await due;
    const known = this.#heads.get(actorId)?.sequence ?? asStreamSequence(0);
    for (const retry = backoff(performance.now() + this.#requestTimeout);;) {
      const head = await last(this.subjectOf(actorId));
      if (head.sequence >= known) return head;
      if (!await retry(this.#api.requests)) {
        throw new StreamRegressedError(
          `"${actorId}"`,
          positionOf(known),
          positionOf(head.sequence),
        );
      }
    }
  }

  /** The first message of the actor after `sequence`. */
  next(actorId: string, sequence: StreamSequence): Promise<StoredMessage | undefined> {
    const query = { seq: sequence + 1, next_by_subj: this.subjectOf(actorId) };
    return this.#api.get(query, this.#requestTimeout);
  }

  /**
   * The actor's event at `version` exactly; if it is in the message at `near` or the next one, it
   * is found at once.
   */
  async at(
    actorId: string,
    version: number,
    head: Head,
    near?: StoredRun,
  ): Promise<StoredEvent | undefined> {
    if (version > head.version) return undefined;
    if (near !== undefined) {
      const found = eventIn(near, version);
      if (found !== undefined) return found;
      const next = await this.next(actorId, near.message.sequence);
      if (next !== undefined && versionIn(next) >= version && previousOf(next) < version) {
        return eventIn(new StoredRun(next), version);
      }
    }
    const found = await this.find(actorId, version, head);
    return found && eventIn(new StoredRun(found), version);
  }

  /**
   * The actor's first message at `version` or above. Looked for where it is in a history that
   * was written in one go, then by what has been seen of it: a few requests, and at most about
   * 3 log2 of the sequences up to the head, whatever lies between.
   */
  async find(actorId: string, version: number, head: Head): Promise<StoredMessage | undefined> {
    if (head.version < version) return undefined;
    for (let searches = 1;; searches++) {
      const found = await this.#search(actorId, version, head);
      if (found === undefined) {
        throw new ApiError({ code: 503, description: "a deposed leader answers" });
      }
      // Answers of two leaders in one search can point too far; a gap does so every time.
      if ((numberIn(found, PREVIOUS) ?? 0) < version || searches === 3) return found;
    }
  }

  async #search(
    actorId: string,
    version: number,
    head: Head,
  ): Promise<StoredMessage | undefined> {
    let found: StoredMessage | undefined;
    /** The wanted message lies behind `low`, and not behind `high`. */
    let low = NO_HEAD;
    let high = head;
    let guess: number = high.sequence - (high.version - version);
    for (let turn = 1; low.sequence < high.sequence; turn++) {
      guess = Math.min(Math.max(Math.floor(guess), low.sequence + 1), high.sequence);
      const before = asStreamSequence(guess - 1);
      const message = await this.next(actorId, before);
      if (message === undefined || message.sequence > high.sequence) {
        high = { version: high.version, sequence: before };
      } else if (versionIn(message) < version) {
        low = headIn(message);
      } else {
        found = message;
        if ((numberIn(message, PREVIOUS) ?? Infinity) < version) break;
        high = { version: versionIn(message), sequence: before };
      }
      // Its place if the part between grew evenly; then if it grew at once; else the middle.
      const [width, wanted] = [high.sequence - low.sequence, version - low.version];
      guess = low.sequence +
        (turn % 3 === 1
          ? width * wanted / (high.version - low.version)
          : turn % 3 === 2
          ? wanted
          : width / 2);
    }
    return found;
  }
}

function eventIn(run: StoredRun, version: number): StoredEvent | undefined {
  const index = run.indexOfVersion(version);
  return index === undefined ? undefined : { run, index };
}
