import { unlessAborted } from "../base/abort.ts";
import { unavailable } from "../check/refusals.ts";
import { AetherError, SaveOutcomeUnknownError } from "../errors.ts";
import { backoff } from "../nats/backoff.ts";
import { readLast } from "../nats/direct_get.ts";
import type { Publisher, TryOutcome } from "../nats/publisher.ts";
import { isPassing, type StreamApi } from "../nats/stream_api.ts";
import type { SaveReceipt } from "../options.ts";
import type { HeadReader } from "../read/head_reader.ts";
import type { Head, Heads } from "../read/heads.ts";
import { isOf } from "../read/message_facts.ts";
import { type Basis, messagesOf, type Save } from "./messages.ts";
import { beginsAtOne, fateOfEvents, isNew, verdictOn } from "./outcome.ts";
import { type Fate, settle } from "./settle.ts";

/** What the commit path works with. */
export interface CommitterParts {
  readonly api: StreamApi;
  readonly heads: Heads;
  readonly reader: HeadReader;
  readonly publisher: Publisher;
  /** How long one try may wait for its answer, in ms. */
  readonly pause: number;
  /** The subject of a marker that carries the guard on an actor. */
  readonly markerOf: (actorId: string) => string;
}

/**
 * Brings one save to its end. The server decides by compare-and-set on each actor's exact
 * subject; this loop only finds out what it decided:
 *
 * - an answer is final: stored, or not, for what was expected is not so;
 * - without an answer, the first message after the expected sequence tells: it is our own, or
 *   somebody else's, and then ours can never be stored any more; where there is none, the same
 *   try is sent again, which cannot store it twice.
 */
export class Committer {
  readonly #parts: CommitterParts;
  readonly #subjectOf = (actorId: string): string => this.#parts.reader.subjectOf(actorId);

  /** Works with `parts`. */
  constructor(parts: CommitterParts) {
    this.#parts = parts;
  }

  /** Stores the events of `save`, all or none. */
  async commit(save: Save): Promise<SaveReceipt> {
    const { api } = this.#parts;
    const { signal } = save;
    let retry: ReturnType<typeof backoff> | undefined;
    /** The basis of tries whose fate is unknown, and the connection's epoch at the first. */
    let doubtful: Basis | undefined;
    let epoch = api.wire.epoch;
    let fresh = false;
    let cause: unknown;
    // A save whose turn comes too late, behind others of its actor, asks the server nothing.
    while (performance.now() < save.deadline) {
      try {
        if (doubtful !== undefined) {
          const fate = await unlessAborted(signal, this.#fateOf(save, doubtful));
          if (typeof fate === "object") return this.#stored(save, doubtful, fate.first);
          if (fate === "never") doubtful = undefined;
          fresh = true;
        }
        let basis = doubtful ?? (fresh ? undefined : this.#cachedBasis(save)) ??
          await unlessAborted(signal, this.#basisOf(save, fresh));
        if (doubtful === undefined && !isNew(save, basis)) {
          if (!fresh) basis = await unlessAborted(signal, this.#basisOf(save, true));
          if (!isNew(save, basis)) {
            return await unlessAborted(signal, verdictOn(save, basis, this.#parts.reader));
          }
        }
        if (doubtful === undefined) epoch = api.wire.epoch;
        const outcome = await this.#try(save, basis);
        if (outcome.kind === "stored") return this.#stored(save, basis, outcome.first);
        if (outcome.kind === "stale") {
          const outdated = !fresh;
          fresh = true;
          if (outdated) continue;
        } else {
          cause = outcome.cause;
          if (outcome.kind === "unknown") doubtful = basis;
          if (outcome.kind === "refused" && doubtful === undefined) break;
        }
      } catch (error) {
        // A signal's reason may be an error of ours, and says nothing about the save.
        if (error instanceof AetherError && error !== signal?.reason) throw error;
        cause = error;
        if (!isPassing(error) && doubtful === undefined) break;
      }
      retry ??= backoff(save.deadline, signal);
      if (!await retry(api.wire)) break;
    }
    if (signal?.aborted) cause = signal.reason;
    throw doubtful === undefined
      ? unavailable(save.events[0]!, cause)
      : this.#unknown(save, doubtful, epoch, cause);
  }

  /** Not inlined above: while the answer is out, nothing should keep the messages in memory. */
  #try(save: Save, basis: Basis): Promise<TryOutcome> {
    const { publisher, pause, markerOf } = this.#parts;
    const messages = messagesOf(save, basis, this.#subjectOf, markerOf);
    return publisher.publish(messages, pause, save.deadline, save.signal);
  }

  /** The head of the one actor that most saves write, where it is known. */
  #cachedBasis(save: Save): Basis | undefined {
    if (save.actors.length > 1 || save.expect.size > 0) return undefined;
    const actorId = save.actors[0]!;
    const head = this.#parts.heads.get(actorId);
    return head && { get: () => head };
  }

  /** The heads that the next try builds on: cached ones unless `fresh` is asked for. */
  async #basisOf(save: Save, fresh: boolean): Promise<Basis> {
    const { heads, reader } = this.#parts;
    const basis = new Map<string, Head>();
    const unknown: string[] = [];
    for (const actorId of [...save.actors, ...save.expect.keys()]) {
      const cached = fresh ? undefined : heads.get(actorId);
      if (cached !== undefined) basis.set(actorId, cached);
      else if (!fresh && beginsAtOne(save, actorId)) {
        basis.set(actorId, { version: 0, sequence: 0 });
      } else if (!unknown.includes(actorId)) unknown.push(actorId);
    }
    const read = await Promise.all(unknown.map((actorId) => reader.read(actorId)));
    for (const [at, actorId] of unknown.entries()) basis.set(actorId, read[at]!);
    return basis;
  }

  /** What became of tries on `basis`, as far as the stream shows it. */
  async #fateOf(save: Save, basis: Basis): Promise<Fate> {
    const { reader } = this.#parts;
    /** Where a guard was broken: a commit that has come came before. */
    let broken = Infinity;
    for (const actorId of save.expect.keys()) {
      if (save.actors.includes(actorId)) continue;
      const message = await reader.next(actorId, basis.get(actorId)!.sequence);
      if (message !== undefined) broken = Math.min(broken, message.sequence);
    }
    for (const actorId of save.actors) {
      const message = await reader.next(actorId, basis.get(actorId)!.sequence);
      if (message === undefined) continue;
      if (!isOf(message, save.op)) return "never";
      return { first: message.sequence - save.events.findIndex((it) => it.actorId === actorId) };
    }
    return broken < Infinity && await this.#isAbsent(save, basis, broken) ? "never" : "open";
  }

  /**
   * Whether a replica that has come to sequence `end` has no event of the save: who said so
   * before may be a leader that was deposed before the save.
   */
  async #isAbsent(save: Save, basis: Basis, end: number): Promise<boolean> {
    const { api, pause } = this.#parts;
    const expected = new Map(
      save.actors.map((actorId) => [this.#subjectOf(actorId), basis.get(actorId)!.sequence]),
    );
    const page = await readLast(api, [...expected.keys(), api.layout.genesis], pause);
    return page.upTo >= end &&
      page.messages.every(({ subject, sequence }) =>
        sequence <= (expected.get(subject) ?? Infinity)
      );
  }

  #stored(save: Save, basis: Basis, first: number): SaveReceipt {
    const { heads } = this.#parts;
    const now = performance.now();
    for (const [at, { actorId, version }] of save.events.entries()) {
      heads.raise(actorId, { version, sequence: first + at }, now);
    }
    for (const actorId of save.expect.keys()) {
      if (!save.actors.includes(actorId)) heads.raise(actorId, basis.get(actorId)!, now);
    }
    return { sequence: first + save.events.length - 1, duplicate: false };
  }

  #unknown(save: Save, basis: Basis, epoch: number, cause: unknown): SaveOutcomeUnknownError {
    const { api, reader, pause } = this.#parts;
    const { actorId, version } = save.events[0]!;
    const subject = reader.subjectOf(actorId);
    const barrier = { api, subject, expected: basis.get(actorId)!.sequence, epoch, pause };
    return new SaveOutcomeUnknownError(
      actorId,
      version,
      () => settle(barrier, () => this.#fateFor(save, basis)),
      { cause },
    );
  }

  /** The fate as its owner means it: who saved the same events again has saved them. */
  async #fateFor(save: Save, basis: Basis): Promise<Fate> {
    const fate = await this.#fateOf(save, basis);
    return fate === "never" ? await fateOfEvents(save.events, this.#parts.reader) : fate;
  }
}
