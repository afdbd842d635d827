import type { ShardClaim } from "./claims.ts";
import { asStreamSequence, type StreamSequence } from "../format/position.ts";
import type { Place, Run } from "../format/runs.ts";
import { readEachLast } from "../nats/direct_get.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { StreamApi } from "../nats/stream_api.ts";
import type { HeadReader } from "../read/head_reader.ts";
import type { Head } from "../read/heads.ts";

/** NATS's own header, stored with each message of a batch: it names the try that stored it. */
const BATCH = "Nats-Batch-Id";
const POSITION = "Nats-Batch-Sequence";

/** One try to commit a group, which may have been stored. */
export interface Attempt<Member> {
  /** Where each save begins among the messages; `undefined` if it has none. */
  readonly places: ReadonlyMap<Member, Place | undefined>;
  /** The content of the messages. */
  readonly runs: readonly Run[];
  readonly actors: ReadonlySet<string>;
  /** The save that the last of these messages names; `undefined` if there is none. */
  readonly op: string | undefined;
}

/** The outcome of tries: one of them is stored, from sequence `first` on; or none. */
export type AttemptsOutcome<Member> =
  | { readonly landed: Attempt<Member>; readonly first: StreamSequence }
  | "not-saved"
  | "unknown";

/** The parts that a search for tries needs. */
export interface AttemptsParts {
  readonly api: StreamApi;
  readonly headReader: HeadReader;
  readonly requestTimeout: number;
}

/**
 * The tries to commit a group whose outcome is not known. All of them expect the same of the actors
 * that they share, so at most one is ever stored; its messages say which, as each names its batch.
 */
export class Attempts<Member> {
  /** The heads that the tries expect of the actors that they write or depend on. */
  readonly expectedHeads: ReadonlyMap<string, Head>;
  /** The claims that they prove. */
  readonly claims: ReadonlySet<ShardClaim>;
  /** The connection's epoch before the first. */
  readonly epoch: number;
  readonly #parts: AttemptsParts;
  readonly #tries = new Map<string, Attempt<Member>>();

  /** Attempts on `expectedHeads` under `claims`. */
  constructor(
    parts: AttemptsParts,
    expectedHeads: ReadonlyMap<string, Head>,
    claims: ReadonlySet<ShardClaim>,
  ) {
    this.#parts = parts;
    this.expectedHeads = expectedHeads;
    this.claims = claims;
    this.epoch = parts.api.requests.epoch;
  }

  /** Whether any of them may be stored. */
  get unsettled(): boolean {
    return this.#tries.size > 0;
  }

  /** Whether one of them that has `entry` in it may be stored. */
  has(entry: Member): boolean {
    return [...this.#tries.values()].some(({ places }) => places.has(entry));
  }

  /** Takes note of a try that is about to be sent as the batch `id`. */
  add(id: string, tried: Attempt<Member>): void {
    this.#tries.set(id, tried);
  }

  /** Takes back a try that was certainly not stored. */
  delete(id: string): void {
    this.#tries.delete(id);
  }

  /**
   * Looks for the tries in the stream, at all subjects by replicas that are consistent in
   * themselves. If a guard is broken there, and no try is stored before it, that guard is never met
   * again.
   */
  async outcome(): Promise<AttemptsOutcome<Member>> {
    const { api, headReader, requestTimeout } = this.#parts;
    const expected = this.#expected();
    const { messages, upTo } = await readEachLast(api, expected.keys(), requestTimeout);
    const moved = messages.filter(({ subject, sequence }) =>
      sequence > (expected.get(subject) ?? Infinity)
    );
    const written = new Set([...this.#tries.values()].flatMap(({ actors }) => [...actors]));
    const foreign = new Set<string>();
    for (const { subject } of moved) {
      const actorId = api.layout.actorOf(subject);
      if (actorId === undefined || !written.has(actorId)) continue;
      const message = await headReader.next(actorId, this.expectedHeads.get(actorId)!.sequence);
      const landed = message && this.#tries.get(message.header(BATCH));
      if (message === undefined) continue;
      if (landed !== undefined) return { landed, first: firstOf(message) };
      foreign.add(actorId);
    }
    const isGuardBroken = moved.some(({ subject, sequence }) =>
      sequence <= upTo && !written.has(api.layout.actorOf(subject) ?? "")
    );
    const isOpen = [...this.#tries.values()].some(({ actors }) =>
      ![...actors].some((actorId) => foreign.has(actorId)) &&
      !(isGuardBroken && isUntouched(actors, moved, api))
    );
    return isOpen ? "unknown" : "not-saved";
  }

  /** By subject, the sequence that it must be at. */
  #expected(): Map<string, number> {
    const { api, headReader } = this.#parts;
    const expected = new Map<string, number>();
    for (const [actorId, { sequence }] of this.expectedHeads) {
      expected.set(headReader.subjectOf(actorId), sequence);
    }
    for (const { shard, fence } of this.claims) {
      expected.set(api.layout.fence(shard), fence.sequence);
    }
    return expected;
  }
}

/** Whether nothing was seen of these actors. */
function isUntouched(
  actors: ReadonlySet<string>,
  moved: readonly StoredMessage[],
  api: StreamApi,
): boolean {
  return !moved.some(({ subject }) => actors.has(api.layout.actorOf(subject) ?? ""));
}

/** The sequence of the first message of the batch that `message` is in. */
function firstOf(message: StoredMessage): StreamSequence {
  return asStreamSequence(message.sequence - Number(message.header(POSITION)) + 1);
}
