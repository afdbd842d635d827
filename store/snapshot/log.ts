import { headers } from "@nats-io/nats-core";
import { isSameBytes } from "../base/bytes.ts";
import type { Codec } from "../codec.ts";
import { EXPECT } from "../format/headers.ts";
import type { StreamSequence } from "../format/position.ts";
import { NO_HEAD } from "../read/message_facts.ts";
import { Publisher } from "../nats/publisher.ts";
import { settledWrite } from "../nats/settled_write.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { StreamApi, StreamNames } from "../nats/stream_api.ts";
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

/** As much of a place as a save builds on. */
interface Known extends Head {
  /** The bytes of the newest snapshot, if they were read. */
  readonly body?: Uint8Array | undefined;
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
    const { subject, actorId, version, body } = save;
    const head = this.#heads.get(subject);
    // A save whose turn comes too late, behind others of its actor, asks the server nothing.
    const end = await settledWrite<Known, Uint8Array>({
      requests: this.#api.requests,
      deadline,
      what: `save snapshot at version ${version} of "${actorId}"`,
      otherwise: "its turn did not come in time",
      ends: { absent: "it was not kept", unknown: "it may be kept all the same" },
      known: head !== undefined && head.version < version ? head : undefined,
      read: async () => {
        const { sequence, snapshot, body } = await this.read(save);
        return { sequence, version: snapshot?.version ?? 0, body };
      },
      sequenceOf: ({ sequence }) => sequence,
      next: (current) => current.version < version ? body : undefined,
      holds: ({ body }, own) => isSameBytes(own, body),
      put: (_body, { sequence }) => {
        const fields = headers();
        fields.set(EXPECT, String(sequence));
        const message = { subject, headers: fields, body };
        return this.#publisher.publish([message], this.#requestTimeout, deadline);
      },
    });
    if (end.kind === "stored") {
      this.#heads.raise(subject, { version, sequence: end.sequence }, performance.now());
    }
    return end.kind !== "unchanged";
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
