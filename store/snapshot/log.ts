import { headers } from "@nats-io/nats-core";
import { isSameBytes } from "../base/bytes.ts";
import { reasonOf } from "../base/reason.ts";
import type { Codec } from "../codec.ts";
import { type StoreRefusedError, StoreUnavailableError } from "../errors.ts";
import { EXPECT } from "../format/headers.ts";
import type { StreamSequence } from "../format/position.ts";
import { NO_HEAD } from "../read/message_facts.ts";
import { backoff } from "../nats/backoff.ts";
import { adviceAbout, failed } from "../nats/failure.ts";
import { type Outgoing, Publisher } from "../nats/publisher.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import { isPassing, type StreamApi, type StreamNames } from "../nats/stream_api.ts";
import { type Head, HeadCache } from "../read/heads.ts";
import { decodeSnapshot } from "./body.ts";
import type { Snapshot } from "./snapshot.ts";

/** The place of an actor's snapshots of one name and schema. */
export interface SnapshotPlace {
  /** The exact subject of the actor, the name and the schema. */
  readonly subject: string;
  readonly actorId: string;
  readonly name: string;
  readonly schemaVersion: number;
}

/** A snapshot on its way to the stream. */
export interface SnapshotSave extends SnapshotPlace {
  readonly version: number;
  readonly body: Uint8Array;
}

/** The content of a place. */
export interface Standing {
  /** The sequence of the last message, readable or not, which a save replaces. 0: there is none. */
  readonly sequence: StreamSequence;
  /** The newest snapshot that can be read. */
  readonly snapshot?: Snapshot;
  /** Its bytes. */
  readonly body?: Uint8Array;
}

/** Places whose last version is remembered, so that a save need not read it. */
const CACHE_SIZE = 10_000;

/** The snapshots in a stream: the last few of each subject. */
export class SnapshotLog {
  readonly #api: StreamApi<StreamNames>;
  readonly #codec: Codec<Snapshot> | undefined;
  readonly #requestTimeout: number;
  readonly #publisher: Publisher;
  readonly #heads = new HeadCache(CACHE_SIZE);

  /** `requestTimeout`: how long one request may take, in ms. */
  constructor(
    api: StreamApi<StreamNames>,
    codec: Codec<Snapshot> | undefined,
    requestTimeout: number,
  ) {
    this.#api = api;
    this.#codec = codec;
    this.#requestTimeout = requestTimeout;
    this.#publisher = new Publisher(api);
  }

  /**
   * The content of `place`, as the leader has it: one request for the last message; if that
   * cannot be read, one more for each message kept before it.
   */
  async read(place: SnapshotPlace): Promise<Standing> {
    const { subject } = place;
    const last = await this.#api.get({ last_by_subj: subject }, this.#requestTimeout);
    if (last === undefined) return { sequence: NO_HEAD.sequence };
    for await (const { data: body } of this.#newestFirst(subject, last)) {
      const snapshot = await decodeSnapshot(body, place, this.#codec);
      if (snapshot === undefined) continue;
      const { sequence } = last;
      this.#heads.raise(subject, { version: snapshot.version, sequence }, performance.now());
      return { sequence, snapshot, body };
    }
    return { sequence: last.sequence };
  }

  /**
   * Keeps the snapshot unless one at least as new exists; true if it is kept. The server
   * decides, by compare-and-set on the subject; sending it again cannot keep it twice.
   *
   * @param deadline When to give up, by the monotonic clock, in ms.
   * @throws {StoreUnavailableError} The server does not answer, or refuses.
   */
  async save(save: SnapshotSave, deadline: number): Promise<boolean> {
    const { subject, version, body } = save;
    const retry = backoff(deadline);
    let head = this.#heads.get(subject);
    let isDoubtful = false;
    let cause: unknown;
    // A save whose turn comes too late, behind others of its actor, asks the server nothing.
    while (performance.now() < deadline) {
      try {
        if (head === undefined || head.version >= version) {
          const standing = await this.read(save);
          head = headOf(standing);
          // A try without an answer may have been stored: then the newest one is this save's own.
          if (head.version >= version) return isDoubtful && isSameBytes(standing.body!, body);
        }
        const messages = [messageOf(save, head)];
        const outcome = await this.#publisher.publish(messages, this.#requestTimeout, deadline);
        if (outcome.kind === "stored") {
          this.#heads.raise(subject, { version, sequence: outcome.first }, performance.now());
          return true;
        }
        head = undefined;
        if (outcome.kind === "unknown") isDoubtful = true;
        if (outcome.kind !== "stale") cause = outcome.cause;
        if (outcome.kind === "refused") break;
      } catch (error) {
        cause = error;
        if (!isPassing(error)) break;
      }
      if (!await retry(this.#api.requests)) break;
    }
    throw snapshotUnavailable(save, isDoubtful, cause);
  }

  /** The messages of `subject` from `last` back to the oldest; it fetches those before on demand. */
  async *#newestFirst(subject: string, last: StoredMessage): AsyncGenerator<StoredMessage> {
    yield last;
    const before: StoredMessage[] = [];
    for (let seq = 1;;) {
      const message = await this.#api.get({ seq, next_by_subj: subject }, this.#requestTimeout);
      if (message === undefined || message.sequence >= last.sequence) break;
      before.push(message);
      seq = message.sequence + 1;
    }
    yield* before.reverse();
  }
}

function headOf({ sequence, snapshot }: Standing): Head {
  return { sequence, version: snapshot?.version ?? 0 };
}

function messageOf({ subject, body }: SnapshotSave, head: Head): Outgoing {
  const fields = headers();
  fields.set(EXPECT, String(head.sequence));
  return { subject, headers: fields, body };
}

function snapshotUnavailable(
  { actorId, version }: SnapshotSave,
  isDoubtful: boolean,
  cause: unknown,
): StoreRefusedError | StoreUnavailableError {
  const reason = reasonOf(cause, "its turn did not come in time");
  const outcome = isDoubtful ? "it may be kept all the same" : "it was not kept";
  const what = `save snapshot at version ${version} of "${actorId}"`;
  if (adviceAbout(cause) !== undefined) return failed(what, cause, outcome);
  return new StoreUnavailableError(
    `Cannot ${what}: ${reason}; ${outcome}`,
    { cause },
  );
}
