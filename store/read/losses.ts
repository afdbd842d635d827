import { dropOldest } from "../base/oldest.ts";
import { isInstance } from "../base/text.ts";
import type { StreamState } from "@nats-io/jetstream";
import { CorruptEventError, type UnreadableEvent } from "../errors.ts";
import { positionOf, type StreamSequence } from "../format/position.ts";
import type { StreamApi } from "../nats/stream_api.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import { missingBefore, notFollowing } from "./message_facts.ts";
import type { StoredRun } from "./stored_run.ts";

/** Lost messages whose places are asked for; of more, all of the stream counts as one hole. */
const MOST_LISTED = 50_000;

/** The shortest time between two looks that nobody waits for, in ms. */
const REST = 1_000;

/** Stream sequences that are lost, from one to another. */
interface Hole {
  readonly first: number;
  readonly last: number;
}

/** How many messages a stream has lost: this library deletes none. */
export function lostIn({ last_seq, messages }: StreamState): number {
  return last_seq - messages;
}

/** The places of lost messages, in order. */
export async function holesIn(
  api: StreamApi,
  state: StreamState,
  requestTimeout: number,
): Promise<readonly Hole[]> {
  const { first_seq, last_seq } = state;
  if (lostIn(state) === 0) return [];
  if (lostIn(state) > MOST_LISTED) return [{ first: 1, last: last_seq }];
  const info = await api.info(requestTimeout, { deleted_details: true });
  const holes: Hole[] = first_seq > 1 ? [{ first: 1, last: first_seq - 1 }] : [];
  for (const sequence of [...info?.state.deleted ?? []].sort((one, other) => one - other)) {
    const before = holes.at(-1);
    if (before?.last === sequence - 1) holes.splice(-1, 1, { ...before, last: sequence });
    else holes.push({ first: sequence, last: sequence });
  }
  return holes;
}

/** Holes in words. */
export function listHoles(holes: readonly Hole[]): string {
  const few = holes.slice(0, 3).map(({ first, last }) =>
    first === last ? `${first}` : `${first} to ${last}`
  );
  return `${few.join(", ")}${holes.length > few.length ? ", and more" : ""}`;
}

/** Whether `error` says that messages are lost, rather than that one cannot be read. */
export function isLoss(error: unknown): boolean {
  return isInstance(error, Error) && losses.has(error);
}

/** The errors that say so. */
const losses = new WeakSet<Error>();

/** Whether a place between two sequences is in a hole. */
function holeBetween(holes: readonly Hole[], after: number, before: number): Hole | undefined {
  return holes.find(({ first, last }) => last > after && first < before);
}

/**
 * The messages that the stream has lost. Losses that its opener has accepted are passed over; a
 * reader that comes to any other fails there.
 */
export class Losses {
  readonly #api: StreamApi;
  readonly #requestTimeout: number;
  readonly #accepted: readonly Hole[];
  /** Messages that are lost, as far as their places are known. */
  #count: number;
  #holes: readonly Hole[] = [];
  #lookedAt = performance.now();

  /** `accepted` are the holes at the time of the opening, `count` messages together. */
  constructor(
    api: StreamApi,
    accepted: readonly Hole[],
    count: number,
    requestTimeout: number,
  ) {
    this.#api = api;
    this.#accepted = accepted;
    this.#count = count;
    this.#requestTimeout = requestTimeout;
  }

  /** Asks the leader what is lost. */
  async look(): Promise<void> {
    this.#lookedAt = performance.now();
    const info = await this.#api.info(this.#requestTimeout);
    if (info !== undefined) await this.see(info.state);
  }

  /** Whether the stream has no other message of this subject between `after` and `message`. */
  async isNext({ subject, sequence }: StoredMessage, after: number): Promise<boolean> {
    const query = { seq: after + 1, next_by_subj: subject };
    const next = await this.#api.get(query, this.#requestTimeout);
    return next?.sequence === sequence;
  }

  /** Asks beside what is under way, if that was not done a moment ago. */
  glance(): void {
    if (performance.now() - this.#lookedAt < REST) return;
    this.look().catch(() => {}); // The next one finds it.
  }

  /** Takes what the leader says of the stream. */
  async see(state: StreamState): Promise<void> {
    const lost = lostIn(state);
    if (lost === this.#count) return;
    const holes = await holesIn(this.#api, state, this.#requestTimeout);
    this.#holes = holes.flatMap((hole) => without(hole, this.#accepted));
    this.#count = lost;
  }

  /**
   * Follows messages in their order, from behind the sequence `after`.
   *
   * @param isOfActor Whether they are all of one actor, whose versions tell what is missing.
   */
  follow(after: number, isOfActor: boolean): LossReader {
    return new LossReader(this, after, isOfActor);
  }

  /** A hole between two sequences that nobody has accepted. */
  between(after: number, before: number): Hole | undefined {
    return this.#holes.length === 0 ? undefined : holeBetween(this.#holes, after, before);
  }

  /** Whether a hole between two sequences was accepted. */
  isAccepted(after: number, before: number): boolean {
    return holeBetween(this.#accepted, after, before) !== undefined;
  }
}

/** The parts of `hole` that are not in `others`, which are in order. */
function without(hole: Hole, others: readonly Hole[]): Hole[] {
  const left: Hole[] = [];
  let { first } = hole;
  for (const other of others) {
    if (other.last < first || other.first > hole.last) continue;
    if (other.first > first) left.push({ first, last: other.first - 1 });
    first = other.last + 1;
  }
  if (first <= hole.last) left.push({ first, last: hole.last });
  return left;
}

/** Actors whose last version a reader remembers. */
const MOST_ACTORS = 10_000;

/** The last version of an actor, and the sequence of its message. */
interface ActorEnd {
  readonly version: number;
  readonly sequence: number;
}

/**
 * Notices what is missing before a message: by the holes that are known, and by the versions of its
 * actor, which each message names the one before of.
 */
class LossReader {
  readonly #losses: Losses;
  readonly #isOfActor: boolean;
  readonly #ends = new Map<string, ActorEnd>();
  /** Whether an actor that was not seen yet has nothing before: all was read from the beginning. */
  #isWhole: boolean;
  #after: number;
  /** The actor's last message before one that does not follow on it. */
  #broken: ActorEnd | undefined;

  constructor(losses: Losses, after: number, isOfActor: boolean) {
    this.#losses = losses;
    this.#after = after;
    this.#isOfActor = isOfActor;
    this.#isWhole = after <= 1;
  }

  /**
   * Takes the next message.
   *
   * @throws {CorruptEventError} Messages before it are lost.
   */
  take({ message, previous, version }: StoredRun, actorId: string): void {
    const { sequence } = message;
    const end = this.#ends.get(actorId);
    const before = end ?? (this.#isWhole ? { version: 0, sequence: 0 } : undefined);
    if (before !== undefined && before.version !== previous) {
      const isAccepted = this.#losses.isAccepted(before.sequence, sequence);
      if (!isAccepted) {
        this.#broken = before;
        const error = missingBefore(message, actorId, before.version);
        losses.add(error);
        throw error;
      }
    }
    // The versions of one actor say all that there is to say of it.
    if (!this.#isOfActor || before === undefined) this.end(sequence);
    this.#after = sequence;
    if (end !== undefined) this.#ends.delete(actorId);
    this.#ends.set(actorId, { version, sequence });
    if (this.#ends.size > MOST_ACTORS) this.#isWhole = false;
    dropOldest(this.#ends, MOST_ACTORS);
  }

  /** Has passed over a message that cannot be read: its actor may have had something before. */
  pass(): void {
    this.#isWhole = false;
  }

  /**
   * Why {@linkcode LossReader.take} refused a message: `error`, unless nothing was lost before the
   * message, so that something else wrote it.
   */
  async explain(error: unknown, run: StoredRun, actorId: string): Promise<unknown> {
    const broken = this.#broken;
    if (broken === undefined) return error;
    await this.#losses.look();
    const { message } = run;
    if (this.#losses.between(broken.sequence, message.sequence) !== undefined) return error;
    // The stream has messages of the actor between the two: this reader has missed them.
    if (!await this.#losses.isNext(message, broken.sequence)) return error;
    return notFollowing(message, actorId, broken.version, factsOf(run, actorId));
  }

  /**
   * Has come to `sequence`.
   *
   * @throws {CorruptEventError} Messages before it are lost.
   */
  end(sequence: StreamSequence): void {
    const hole = this.#losses.between(this.#after, sequence);
    if (hole !== undefined) throw lostBefore(sequence, hole);
    this.#after = sequence;
  }
}

export type { LossReader };

/** The readable facts of the first event in a message. */
function factsOf(run: StoredRun, actorId: string): UnreadableEvent {
  try {
    if (run.count === 0) return { actorId };
    return { actorId, version: run.versionAt(0), id: run.idAt(0), eventType: run.typeAt(0) };
  } catch {
    return { actorId };
  }
}

function lostBefore(sequence: StreamSequence, hole: Hole): CorruptEventError {
  const error = new CorruptEventError(
    positionOf(sequence),
    `stream sequences ${
      listHoles([hole])
    } before it are lost, and events with them; find out what ` +
      "they were, then read on from here",
  );
  losses.add(error);
  return error;
}
