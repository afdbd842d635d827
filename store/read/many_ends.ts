import { isInstance } from "../base/text.ts";
import { AetherError } from "../errors.ts";
import { OP } from "../format/headers.ts";
import { asStreamSequence, type StreamSequence } from "../format/position.ts";
import { backoff } from "../nats/backoff.ts";
import { partsOf, readLastProved } from "../nats/direct_get.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { StreamApi } from "../nats/stream_api.ts";
import type { HeadReader } from "./head_reader.ts";
import type { HeadCache } from "./heads.ts";
import type { StreamCheck } from "./stream_check.ts";

/** Actors of one request: a server gives 1,024 messages at most, and works on several requests at once. */
const PART = 256;
/** How often a replica is asked until one has come far enough. */
const TRIES = 5;

/** The parts for reads of the last messages of many actors. */
export interface ManyEndsParts {
  readonly api: StreamApi;
  readonly heads: HeadCache;
  readonly headReader: HeadReader;
  readonly check: StreamCheck;
  /** How long one request may take, in ms. */
  readonly requestTimeout: number;
  /** Whether there are followers. */
  readonly replicated: boolean;
}

/**
 * Finds where the histories of many actors end, in one direct request for each 256 of them. It is
 * only a quicker way: each answer has to prove that its replica has all that this store was told of,
 * and the ends that no answer proves are for {@linkcode HeadReader.last} to find.
 */
export class ManyEnds {
  readonly #parts: ManyEndsParts;

  /** Reads with `parts`. */
  constructor(parts: ManyEndsParts) {
    this.#parts = parts;
  }

  /**
   * The last messages of those actors whose end is proved, `undefined` for an actor without any.
   *
   * @param latest Whether what other stores saved just now is wanted too.
   * @throws {StreamRegressedError} The stream is another one than was opened.
   */
  async last(
    actorIds: readonly string[],
    latest: boolean,
  ): Promise<Map<string, StoredMessage | undefined>> {
    const { api, check, heads, headReader, replicated } = this.#parts;
    const due = check.ensure();
    if (due !== undefined) await due;
    const { highest } = heads;
    // A replica that has all that the leader has by now has what other stores saved before.
    const needed = latest && replicated ? this.#reached(highest) : Promise.resolve(highest);
    needed.catch(() => {}); // Awaited by each part.
    const actors = new Map(actorIds.map((actorId) => [headReader.subjectOf(actorId), actorId]));
    const ends = new Map<string, StoredMessage | undefined>();
    await Promise.all(
      partsOf(api, actors.keys(), PART).map(async (subjects) => {
        try {
          await this.#read(subjects, needed, (subject, last) => {
            const actorId = actors.get(subject)!;
            const known = heads.get(actorId)?.sequence ?? 0;
            if ((last?.sequence ?? 0) >= known) ends.set(actorId, last);
          });
        } catch (error) {
          if (isInstance(error, AetherError)) throw error;
        }
      }),
    );
    let newest: StoredMessage | undefined;
    for (const last of ends.values()) {
      if (last !== undefined && last.sequence > (newest?.sequence ?? 0)) newest = last;
    }
    if (newest !== undefined) heads.mark(newest.sequence, newest.header(OP), performance.now());
    return ends;
  }

  /** Hands each of `subjects` to `take` that a replica proves to end so; `undefined` for no message. */
  async #read(
    subjects: readonly string[],
    needed: Promise<StreamSequence>,
    take: (subject: string, last: StoredMessage | undefined) => void,
  ): Promise<void> {
    const { api, check, requestTimeout } = this.#parts;
    const retry = backoff(performance.now() + requestTimeout);
    const left = new Set(subjects);
    for (let tries = 1; left.size > 0;) {
      const page = await readLastProved(api, [...left], requestTimeout);
      check.see(page.genesis);
      if (page.upTo < await needed) {
        if (tries++ === TRIES || !await retry(api.requests)) return;
        continue;
      }
      for (const message of page.messages) {
        if (left.delete(message.subject)) take(message.subject, message);
      }
      // Large messages take several requests.
      if (page.pending > 0) continue;
      for (const subject of left) take(subject, undefined);
      return;
    }
  }

  /** How far the leader has come; as far as is known at least. */
  async #reached(known: StreamSequence): Promise<StreamSequence> {
    const { api, requestTimeout } = this.#parts;
    const info = await api.info(requestTimeout);
    return asStreamSequence(Math.max(info?.state.last_seq ?? 0, known));
  }
}
