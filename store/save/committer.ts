import { isInstance } from "../base/text.ts";
import { unlessAborted } from "../base/abort.ts";
import { unavailable } from "../check/refusals.ts";
import { AetherError, SaveOutcomeUnknownError } from "../errors.ts";
import {
  asStreamSequence,
  type Position,
  positionOf,
  type StreamSequence,
} from "../format/position.ts";
import { type Run, versionBehind } from "../format/runs.ts";
import { backoff } from "../nats/backoff.ts";
import { readLast } from "../nats/direct_get.ts";
import type { Publisher, TryOutcome } from "../nats/publisher.ts";
import { isPassing, type StreamApi } from "../nats/stream_api.ts";
import type { SaveReceipt } from "../options.ts";
import type { HeadReader } from "../read/head_reader.ts";
import type { Head, HeadCache } from "../read/heads.ts";
import { isOf, NO_HEAD } from "../read/message_facts.ts";
import { type ExpectedHeads, messagesOf, type Save, subjectOfSave } from "./messages.ts";
import { beginsAtOne, decide, isNew, outcomeOfEvents } from "./outcome.ts";
import { type SaveOutcome, settle } from "./settle.ts";

/** What the commit path works with. */
export interface CommitterParts {
  readonly api: StreamApi;
  readonly heads: HeadCache;
  readonly headReader: HeadReader;
  readonly publisher: Publisher;
  /** How long one try may wait for its answer, in ms. */
  readonly requestTimeout: number;
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
  readonly #subjectOf = (actorId: string): string => this.#parts.headReader.subjectOf(actorId);

  /** Works with `parts`. */
  constructor(parts: CommitterParts) {
    this.#parts = parts;
  }

  /** Stores the events of `save`, all or none. */
  async commit(save: Save): Promise<SaveReceipt> {
    const { api } = this.#parts;
    const { signal } = save;
    let retry: ReturnType<typeof backoff> | undefined;
    /** The heads of tries whose outcome is unknown, and the connection's epoch at the first. */
    let unsettled: ExpectedHeads | undefined;
    let epoch = api.requests.epoch;
    let fresh = false;
    let cause: unknown;
    // A save whose turn comes too late, behind others of its actor, asks the server nothing.
    while (performance.now() < save.deadline) {
      try {
        if (unsettled !== undefined) {
          const outcome = await unlessAborted(signal, this.#outcomeOf(save, unsettled));
          if (typeof outcome === "object") return this.#stored(save, unsettled, outcome.first);
          if (outcome === "not-saved") unsettled = undefined;
          fresh = true;
        }
        let expectedHeads = unsettled ?? (fresh ? undefined : this.#cachedHeads(save)) ??
          await unlessAborted(signal, this.#readHeads(save, fresh));
        if (unsettled === undefined && !isNew(save, expectedHeads)) {
          if (!fresh) expectedHeads = await unlessAborted(signal, this.#readHeads(save, true));
          if (!isNew(save, expectedHeads)) {
            return await unlessAborted(signal, decide(save, expectedHeads, this.#parts.headReader));
          }
        }
        if (unsettled === undefined) epoch = api.requests.epoch;
        const outcome = await this.#try(save, expectedHeads);
        if (outcome.kind === "stored") return this.#stored(save, expectedHeads, outcome.first);
        if (outcome.kind === "stale") {
          const outdated = !fresh;
          fresh = true;
          if (outdated) continue;
        } else {
          cause = outcome.cause;
          if (outcome.kind === "unknown") unsettled = expectedHeads;
          if (outcome.kind === "refused" && unsettled === undefined) break;
        }
      } catch (error) {
        // A signal's reason may be an error of ours, and says nothing about the save.
        if (isInstance(error, AetherError) && error !== signal?.reason) throw error;
        cause = error;
        if (!isPassing(error) && unsettled === undefined) break;
      }
      retry ??= backoff(save.deadline, signal);
      if (!await retry(api.requests)) break;
    }
    if (signal?.aborted) cause = signal.reason;
    throw unsettled === undefined
      ? unavailable(subjectOfSave(save), cause)
      : this.#unknown(save, unsettled, epoch, cause);
  }

  /** Not inlined above: while the answer is out, nothing should keep the messages in memory. */
  #try(save: Save, expectedHeads: ExpectedHeads): Promise<TryOutcome> {
    const { publisher, requestTimeout, markerOf } = this.#parts;
    const messages = messagesOf(save, expectedHeads, this.#subjectOf, markerOf);
    return publisher.publish(messages, requestTimeout, save.deadline, save.signal);
  }

  /** The head of the one actor that most saves write, where it is known. */
  #cachedHeads(save: Save): ExpectedHeads | undefined {
    if (save.actors.length > 1 || save.expect.size > 0) return undefined;
    const actorId = save.actors[0]!;
    const head = this.#parts.heads.get(actorId);
    return head && { get: () => head };
  }

  /** The heads that the next try builds on: cached ones unless `fresh` is asked for. */
  async #readHeads(save: Save, fresh: boolean): Promise<ExpectedHeads> {
    const { heads, headReader } = this.#parts;
    const expectedHeads = new Map<string, Head>();
    const unknown: string[] = [];
    for (const actorId of [...save.actors, ...save.expect.keys()]) {
      const cached = fresh ? undefined : heads.get(actorId);
      if (cached !== undefined) expectedHeads.set(actorId, cached);
      else if (!fresh && beginsAtOne(save, actorId)) {
        expectedHeads.set(actorId, NO_HEAD);
      } else if (!unknown.includes(actorId)) unknown.push(actorId);
    }
    const read = await Promise.all(unknown.map((actorId) => headReader.read(actorId)));
    for (const [at, actorId] of unknown.entries()) expectedHeads.set(actorId, read[at]!);
    return expectedHeads;
  }

  /** What became of tries on `expectedHeads`, as far as the stream shows it. */
  async #outcomeOf(save: Save, expectedHeads: ExpectedHeads): Promise<SaveOutcome> {
    const { headReader } = this.#parts;
    /** Where a guard was broken: a commit that has come came before. */
    let broken = Infinity;
    for (const actorId of save.expect.keys()) {
      if (save.actors.includes(actorId)) continue;
      const message = await headReader.next(actorId, expectedHeads.get(actorId)!.sequence);
      if (message !== undefined) broken = Math.min(broken, message.sequence);
    }
    for (const actorId of save.actors) {
      const message = await headReader.next(actorId, expectedHeads.get(actorId)!.sequence);
      if (message === undefined) continue;
      if (!isOf(message, save.op)) return "not-saved";
      const before = save.runs.findIndex((run) => run.actorId === actorId);
      return { first: asStreamSequence(message.sequence - before) };
    }
    return broken < Infinity && await this.#isAbsent(save, expectedHeads, broken)
      ? "not-saved"
      : "unknown";
  }

  /**
   * Whether a replica that has come to sequence `end` has no event of the save: who said so
   * before may be a leader that was deposed before the save.
   */
  async #isAbsent(save: Save, expectedHeads: ExpectedHeads, end: number): Promise<boolean> {
    const { api, requestTimeout } = this.#parts;
    const expected = new Map(
      save.actors.map((
        actorId,
      ) => [this.#subjectOf(actorId), expectedHeads.get(actorId)!.sequence]),
    );
    const page = await readLast(api, [...expected.keys(), api.layout.genesis], requestTimeout);
    return page.upTo >= end &&
      page.messages.every(({ subject, sequence }) =>
        sequence <= (expected.get(subject) ?? Infinity)
      );
  }

  #stored(save: Save, expectedHeads: ExpectedHeads, first: StreamSequence): SaveReceipt {
    const { heads } = this.#parts;
    const now = performance.now();
    const last = raiseHeads(heads, save.runs, first, now);
    for (const actorId of save.expect.keys()) {
      if (!save.actors.includes(actorId)) heads.raise(actorId, expectedHeads.get(actorId)!, now);
    }
    return { sequence: last, duplicate: false };
  }

  #unknown(
    save: Save,
    expectedHeads: ExpectedHeads,
    epoch: number,
    cause: unknown,
  ): SaveOutcomeUnknownError {
    const { api, headReader, requestTimeout } = this.#parts;
    const { actorId, version } = subjectOfSave(save);
    const subject = headReader.subjectOf(actorId);
    const barrier = {
      api,
      subject,
      expected: expectedHeads.get(actorId)!.sequence,
      epoch,
      requestTimeout,
    };
    return new SaveOutcomeUnknownError(
      actorId,
      version,
      () => settle(barrier, () => this.#outcomeFor(save, expectedHeads)),
      { cause },
    );
  }

  /** The outcome as its owner means it: who saved the same events again has saved them. */
  async #outcomeFor(save: Save, expectedHeads: ExpectedHeads): Promise<SaveOutcome> {
    const outcome = await this.#outcomeOf(save, expectedHeads);
    return outcome === "not-saved"
      ? await outcomeOfEvents(save.events, this.#parts.headReader)
      : outcome;
  }
}

/** Notes where the actors of runs end that are stored from `first` on; gives the last position. */
export function raiseHeads(
  heads: HeadCache,
  runs: readonly Run[],
  first: StreamSequence,
  now: number,
): Position {
  let sequence = first;
  if (runs.length === 0) return positionOf(first);
  for (const [at, run] of runs.entries()) {
    sequence = asStreamSequence(first + at);
    heads.raise(run.actorId, { version: versionBehind(run), sequence }, now);
  }
  return positionOf(sequence, Math.max(0, runs.at(-1)!.events.length - 1));
}
