import { isInstance } from "../base/text.ts";
import { SaveOutcomeUnknownError } from "../errors.ts";

import { notePositions, positionsIn } from "../format/save_options.ts";
import type { Position } from "../format/position.ts";
import type { SaveReceipt } from "../options.ts";
import type { PublishLimits } from "../nats/publisher.ts";
import type { Committer } from "./committer.ts";
import type { Save } from "./messages.ts";

/** Messages of one shared commit, at most. */
const MOST_MESSAGES = 256;

/** Bytes of bodies from which on a shared commit takes no further save. */
const MOST_BYTES = 512 * 1024;

/** Brings saves to their ends. */
export type Commits = Pick<Committer, "commit" | "partOf">;

/**
 * Lets saves of different actors share a commit: those that come while one is under way go out
 * together when it has ended, as one atomic batch. A server that waits for its disk before it
 * acknowledges waits once for all of them.
 *
 * Each save keeps its own outcome. A batch that is refused has stored nothing, and its saves then go
 * out alone, side by side, so that each hears only of its own conflict.
 */
export class SharedCommits implements Commits {
  readonly #committer: Committer;
  readonly #limits: PublishLimits;
  #waiting: WaitingSave[] = [];
  /** When the commit under way gives up, by the monotonic clock, in ms; 0 if there is none. */
  #ends = 0;

  /** Commits with `committer`, in batches within `limits`. */
  constructor(committer: Committer, limits: PublishLimits) {
    this.#committer = committer;
    this.#limits = limits;
  }

  /** See {@linkcode Committer.commit}. */
  commit(save: Save): Promise<SaveReceipt> {
    // A save whose own time ends first does not wait for that of others.
    if (!canShare(save) || save.deadline < this.#ends) return this.#committer.commit(save);
    const { promise, resolve, reject } = Promise.withResolvers<SaveReceipt>();
    this.#waiting.push({ save, resolve, reject });
    if (this.#ends === 0) {
      this.#ends = save.deadline;
      // Saves of one turn of the event loop go out together.
      queueMicrotask(() => this.#run());
    }
    return promise;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#gather();
      this.#ends = group[0]!.save.deadline;
      if (group.length > 1) await this.#together(group);
      else await this.#alone(group[0]!);
    }
    this.#ends = 0;
  }

  /** The saves that have waited longest, as many as fit in one batch. */
  #gather(): WaitingSave[] {
    const most = Math.min(MOST_MESSAGES, this.#limits.messages);
    const first = this.#waiting[0]!;
    const group: WaitingSave[] = [];
    const left: WaitingSave[] = [];
    let bytes = 0;
    for (const entry of this.#waiting) {
      if (entry.save.deadline < first.save.deadline) this.#alone(entry);
      else if (group.length < most && bytes < MOST_BYTES) {
        group.push(entry);
        for (const { body } of entry.save.events) bytes += body.length;
      } else left.push(entry);
    }
    this.#waiting = left;
    return group;
  }

  #alone({ save, resolve, reject }: WaitingSave): Promise<void> {
    return this.#committer.commit(save).then(resolve, reject);
  }

  async #together(group: readonly WaitingSave[]): Promise<void> {
    const whole = wholeOf(group);
    try {
      const receipt = await this.#committer.commit(whole);
      if (receipt.duplicate) return this.#oneByOne(group);
      const ends = positionsIn(receipt, whole.parts);
      let from = 0;
      for (const { save, resolve } of group) {
        const own = ends.slice(from, from += save.parts.length) as Position[];
        resolve(notePositions({ sequence: own.at(-1)!, duplicate: false }, own));
      }
    } catch (error) {
      if (!isInstance(error, SaveOutcomeUnknownError)) return this.#oneByOne(group);
      for (const { save, reject } of group) reject(this.partOf(error, save));
    }
  }

  /** Nothing of the batch was stored, or all of it before: each save finds out for itself. */
  #oneByOne(group: readonly WaitingSave[]): void {
    for (const entry of group) this.#alone(entry);
  }

  /** See {@linkcode Committer.partOf}. */
  partOf(...part: Parameters<Committer["partOf"]>): SaveOutcomeUnknownError {
    return this.#committer.partOf(...part);
  }
}

/** A save whose turn has come, and its caller. */
interface WaitingSave {
  readonly save: Save;
  readonly resolve: (receipt: SaveReceipt) => void;
  readonly reject: (error: unknown) => void;
}

/** Whether the save is one message, depends on no other actor, and has no end but its own. */
function canShare({ actors, runs, expect, signal }: Save): boolean {
  if (actors.length > 1 || runs.length > 1 || signal !== undefined) return false;
  return expect.size === 0 || (expect.size === 1 && expect.has(actors[0]!));
}

/** Saves of different actors as one. */
function wholeOf(group: readonly WaitingSave[]): Save {
  const saves = group.map(({ save }) => save);
  const { op, deadline, fenceOf } = saves[0]!;
  const byActor = new Map(saves.map((save) => [save.actors[0], save]));
  return {
    op,
    deadline,
    events: saves.flatMap(({ events }) => events),
    runs: saves.flatMap(({ runs }) => runs),
    parts: saves.flatMap(({ parts }) => parts),
    actors: saves.flatMap(({ actors }) => actors),
    expect: new Map(saves.flatMap(({ expect }) => [...expect])),
    ends: new Map(saves.flatMap(({ ends }) => [...ends ?? []])),
    fenceOf: fenceOf && ((actorId) => byActor.get(actorId)!.fenceOf!(actorId)),
  };
}
