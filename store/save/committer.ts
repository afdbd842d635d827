import { isInstance } from "../base/text.ts";
import { unlessAborted } from "../base/abort.ts";
import { batchTooLarge, LEAST_MESSAGE } from "../check/events.ts";
import { idsOf } from "../check/repeats.ts";
import { AetherError, EventTooLargeError, SaveOutcomeUnknownError } from "../errors.ts";
import { HEADER_ROOM } from "../format/layout.ts";
import {
  asStreamSequence,
  type Position,
  positionOf,
  type StreamSequence,
} from "../format/position.ts";
import { endsOf, type Run, versionBehind } from "../format/runs.ts";
import { notePositions } from "../format/save_options.ts";
import { backoff } from "../nats/backoff.ts";
import { readEachLast } from "../nats/direct_get.ts";
import type { Publisher, TryOutcome } from "../nats/publisher.ts";
import { notSaved } from "../nats/failure.ts";
import { ApiError, isPassing, ServerCode, type StreamApi } from "../nats/stream_api.ts";
import type { SaveReceipt } from "../options.ts";
import type { HeadReader } from "../read/head_reader.ts";
import type { Head, HeadCache } from "../read/heads.ts";
import { isOf, NO_HEAD } from "../read/message_facts.ts";
import type { StreamCheck } from "../read/stream_check.ts";
import { checkGuards, unexplained } from "./guards.ts";
import { type ExpectedHeads, messagesOf, type Save, subjectOfSave } from "./messages.ts";
import { beginsAtOne, decide, isNew, outcomeOfEvents } from "./outcome.ts";
import { type SaveOutcome, settle } from "./settle.ts";

/** Refusals without a visible reason that may be a matter of time. */
const MOST_REFUSALS = 8;

/** The parts that the commit path needs. */
export interface CommitterParts {
  readonly api: StreamApi;
  readonly heads: HeadCache;
  readonly headReader: HeadReader;
  readonly check: StreamCheck;
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
 * - an answer is final: stored, or not, as an expectation was not met;
 * - without an answer, the first message after the expected sequence tells: it is our own, or
 *   somebody else's, and then ours can never be stored any more; if there is none, the same
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
    const { api, heads, check } = this.#parts;
    const { signal } = save;
    let retry: ReturnType<typeof backoff> | undefined;
    /** The heads of tries whose outcome is unknown, and the connection's epoch at the first. */
    let unsettled: ExpectedHeads | undefined;
    let epoch = api.requests.epoch;
    /** When the first of them, else the last try, was sent: an acknowledgement may be late. */
    let asked = performance.now();
    let fresh = false;
    let cause: unknown;
    const refusals = new Refusals();
    const guards = [...save.expect.keys()].filter((it) => !save.actors.includes(it)).length;
    checkGuards(guards, api.requests.serverVersion);
    // A save whose turn comes too late, behind others of its actor, asks the server nothing.
    while (performance.now() < save.deadline) {
      try {
        const due = check.ensure();
        if (due !== undefined) await unlessAborted(signal, due);
        if (unsettled !== undefined) {
          const outcome = await unlessAborted(signal, this.#outcomeOf(save, unsettled));
          if (typeof outcome === "object") {
            return this.#stored(save, unsettled, outcome.first, asked);
          }
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
        if (unsettled === undefined) {
          epoch = api.requests.epoch;
          asked = performance.now();
        }
        const known = heads.highest;
        const outcome = await this.#try(save, expectedHeads);
        if (outcome.kind === "stored") {
          check.follow(outcome.first, known);
          return this.#stored(save, expectedHeads, outcome.first, asked);
        }
        if (outcome.kind === "stale") {
          const outdated = !fresh;
          fresh = true;
          if (outdated) continue;
          const times = refusals.count(save, expectedHeads);
          if (times > 1) check.suspect();
          if (times > 1) cause = unexplained(times, guards, api.requests.serverVersion);
          if (guards > 1 && refusals.last(this.#parts.requestTimeout)) break;
        } else {
          // A cause from before says more than that the time is over.
          cause = outcome.cause ?? cause;
          if (outcome.kind === "unknown") {
            unsettled = expectedHeads;
            check.suspect();
          }
          if (outcome.kind === "refused" && unsettled === undefined) {
            await this.#checkSize(save, outcome.cause);
            break;
          }
        }
      } catch (error) {
        // A signal's reason may be an error of ours, and says nothing about the save.
        const isOurs = isInstance(error, AetherError) || isInstance(error, RangeError);
        if (isOurs && error !== signal?.reason) throw error;
        cause = error;
        if (!isPassing(error) && unsettled === undefined) break;
      }
      retry ??= backoff(save.deadline, signal);
      if (!await retry(api.requests)) break;
    }
    if (signal?.aborted) cause = signal.reason;
    throw unsettled === undefined
      ? notSaved(subjectOfSave(save), cause)
      : this.#unknown(save, unsettled, epoch, cause);
  }

  /** Not inlined above: while the answer is out, nothing should keep the messages in memory. */
  #try(save: Save, expectedHeads: ExpectedHeads): Promise<TryOutcome> {
    const { publisher, requestTimeout, markerOf } = this.#parts;
    const messages = messagesOf(save, expectedHeads, this.#subjectOf, markerOf);
    return publisher.publish(messages, requestTimeout, save.deadline, save.signal);
  }

  /** Says of a save that the server has refused for its size what is too large, and for what. */
  async #checkSize(save: Save, cause: unknown): Promise<void> {
    if (!(cause instanceof ApiError)) return;
    const { api, publisher: { limits }, requestTimeout } = this.#parts;
    if (cause.code === ServerCode.BATCH_TOO_LARGE) {
      throw batchTooLarge(save, limits.messages, cause);
    }
    if (cause.code !== ServerCode.MESSAGE_TOO_LARGE) return;
    // Somebody has lowered the limit since the stream was opened: the next save goes by it.
    const bytes = (await api.info(requestTimeout))?.config.max_msg_size ?? 0;
    if (bytes < LEAST_MESSAGE) return;
    limits.bytes = bytes;
    const limit = bytes - HEADER_ROOM;
    const large = save.events.find(({ body }) => body.length > limit);
    if (large === undefined) return;
    throw new EventTooLargeError(large.actorId, large.version, large.body.length, limit);
  }

  /** The head of the one actor that most saves write, if it is known. */
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

  /** The outcome of tries on `expectedHeads`, as far as the stream shows it. */
  async #outcomeOf(save: Save, expectedHeads: ExpectedHeads): Promise<SaveOutcome> {
    const { headReader } = this.#parts;
    /** The position of a broken guard: a commit that was stored is before it. */
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
    const { messages, upTo } = await readEachLast(api, expected.keys(), requestTimeout);
    return upTo >= end &&
      messages.every(({ subject, sequence }) => sequence <= (expected.get(subject) ?? Infinity));
  }

  #stored(
    save: Save,
    expectedHeads: ExpectedHeads,
    first: StreamSequence,
    asked: number,
  ): SaveReceipt {
    const { heads } = this.#parts;
    const last = raiseHeads(heads, save.runs, first, asked);
    const end = asStreamSequence(first + Math.max(0, save.runs.length - 1));
    heads.mark(end, save.op, performance.now());
    for (const actorId of save.expect.keys()) {
      if (!save.actors.includes(actorId)) heads.raise(actorId, expectedHeads.get(actorId)!, asked);
    }
    const ends = endsOf(save.parts, save.runs, first);
    return notePositions({ sequence: last, duplicate: false }, ends);
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

  /**
   * The error of a commit of several saves, for the caller of one of them: it names that save, and
   * settles by its own events too, as its caller may save these again.
   */
  partOf(
    error: SaveOutcomeUnknownError,
    save: Pick<Save, "events" | "runs">,
  ): SaveOutcomeUnknownError {
    const { actorId, version } = subjectOfSave(save);
    const settle = async () => {
      const outcome = await error.settle();
      return outcome === "not-saved"
        ? await outcomeOfEvents(save.events, this.#parts.headReader)
        : outcome;
    };
    return new SaveOutcomeUnknownError(actorId, version, settle, { cause: error.cause });
  }

  /** The outcome as its owner means it: who saved the same events again has saved them. */
  async #outcomeFor(save: Save, expectedHeads: ExpectedHeads): Promise<SaveOutcome> {
    // Another stream shows nothing of what became of the save.
    const due = this.#parts.check.ensure();
    if (due !== undefined) await due;
    const outcome = await this.#outcomeOf(save, expectedHeads);
    return outcome === "not-saved"
      ? await outcomeOfEvents(save.events, this.#parts.headReader)
      : outcome;
  }
}

/** Refusals in a row of a save whose expectations, asked of the server each time, do not change. */
class Refusals {
  #seen = "";
  #times = 0;
  #since = 0;

  /** Counts one of a try on `expectedHeads`. */
  count(save: Save, expectedHeads: ExpectedHeads): number {
    const seen = [...save.actors, ...save.expect.keys()]
      .map((actorId) => expectedHeads.get(actorId)!.sequence).join(" ");
    if (seen !== this.#seen) {
      this.#seen = seen;
      this.#times = 0;
      this.#since = performance.now();
    }
    return ++this.#times;
  }

  /** Whether they are so many, over more than `patience` ms, that no deposed leader explains them. */
  last(patience: number): boolean {
    return this.#times >= MOST_REFUSALS && performance.now() - this.#since > patience;
  }
}

/**
 * Notes where the actors of runs end that are stored from `first` on, as the server was asked at
 * `asked`; gives the last position.
 */
export function raiseHeads(
  heads: HeadCache,
  runs: readonly Run[],
  first: StreamSequence,
  asked: number,
): Position {
  let sequence = first;
  if (runs.length === 0) return positionOf(first);
  for (const [at, run] of runs.entries()) {
    sequence = asStreamSequence(first + at);
    const ids = idsOf(run.events);
    heads.raise(run.actorId, { version: versionBehind(run), sequence, ids }, asked);
  }
  return positionOf(sequence, Math.max(0, runs.at(-1)!.events.length - 1));
}
