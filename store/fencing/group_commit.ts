import { isInstance } from "../base/text.ts";
import { batchTooLarge } from "../check/events.ts";
import { AetherError } from "../errors.ts";
import { type Attempt, Attempts } from "./attempts.ts";
import { type Batch, guardsOfBatch, stillFit } from "./batch.ts";
import type { FencedParts } from "./parts.ts";
import type { PendingSave } from "./pending_save.ts";
import { explainRejection } from "./rejection.ts";
import { WaitingSaves } from "./waiting.ts";
import { backoff } from "../nats/backoff.ts";
import type { Outgoing, TryOutcome } from "../nats/publisher.ts";
import { ApiError, isPassing, ServerCode } from "../nats/stream_api.ts";
import { asStreamSequence, positionOf, type StreamSequence } from "../format/position.ts";
import {
  divide,
  endsOf,
  type Member,
  membersOf,
  type Place,
  positionsFrom,
  type Run,
} from "../format/runs.ts";
import { notePositions } from "../format/save_options.ts";
import { raiseHeads } from "../save/committer.ts";
import { checkGuards, unexplained } from "../save/guards.ts";
import { assemble, type Save } from "../save/messages.ts";

/** Refusals of a group without a visible reason after which its saves go one by one. */
const MOST_REFUSALS = 4;
/** Nothing is sent as long as the outcome of saves that others build on is unknown. */
const HELD = {
  kind: "unknown",
  cause: new Error("The saves that it builds on have no outcome yet"),
} as const;

/**
 * Commits the saves of a node, those of all its shards together: while one batch is under way the
 * next saves gather. Each batch proves the claims of its shards, so that the stream refuses it as
 * soon as another node has claimed one of them. The cause of a refusal is looked for afterwards:
 * the saves that it concerns end with it, the others go out again.
 */
export class GroupCommit {
  readonly #parts: FencedParts;
  readonly #waiting: WaitingSaves;
  #isRunning = false;
  /** Waits longer from failure to failure, for as long as a caller waits. */
  #patience: { readonly over: AbortSignal; readonly retry: ReturnType<typeof backoff> } | undefined;

  /** Commits with `parts`. */
  constructor(parts: FencedParts) {
    this.#parts = parts;
    this.#waiting = new WaitingSaves(parts, () => this.kick());
  }

  /** Brings an entry to its end, in turn. */
  add(entry: PendingSave): void {
    this.#waiting.add(entry);
    this.kick();
  }

  /** Entries that have no end yet. */
  entries(): Iterable<PendingSave> {
    return this.#waiting;
  }

  /** Resolves when none is left. */
  idle(): Promise<void> {
    return this.#waiting.empty();
  }

  /** Ends an entry that cannot be saved at all. */
  fail(entry: PendingSave, error: unknown): void {
    this.#waiting.end(entry, () => entry.reject(error));
    this.kick();
  }

  /** Something has changed that may let entries go on. */
  kick(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // Saves of one turn of the event loop go out together.
    queueMicrotask(() => this.#run());
  }

  async #run(): Promise<void> {
    for (;;) {
      const group = this.#waiting.gather();
      if (group.entries.length === 0) break;
      await this.#commit(group);
    }
    this.#isRunning = false;
  }

  /** Brings a group to its end: stored, or back in line with the cause of its refusal known. */
  async #commit(group: Batch): Promise<void> {
    const { api, check } = this.#parts;
    const tries = new Attempts<PendingSave>(this.#parts, group.expectedHeads, group.claims);
    for (const entry of group.entries) entry.tries = tries;
    const retry = this.#retry();
    const asked = performance.now();
    for (;;) {
      let live = group.entries.filter((entry) => !entry.isEnded);
      if (live.length === 0) return;
      let cause: unknown;
      try {
        const due = check.ensure();
        if (due !== undefined) await due;
        if (tries.unsettled) {
          const outcome = await tries.outcome();
          if (outcome === "not-saved") return this.#leave(group);
          if (outcome !== "unknown") {
            return this.#store(group, outcome.landed, outcome.first, asked);
          }
        }
        // Some callers may have been told by now that their events are not saved.
        live = live.filter((entry) => !entry.isEnded);
        const fit = stillFit(group, live);
        if (fit.length === 0 && !tries.unsettled) return this.#leave(group);
        const outcome = fit.length > 0 ? await this.#send(group, fit, tries, asked) : HELD;
        if (outcome === undefined) return;
        if (outcome.kind === "unknown") check.suspect();
        if (outcome.kind !== "stale") cause = outcome.cause;
        else if (!tries.unsettled) {
          if (await this.#explain(group)) return this.#leave(group);
          const times = Math.max(...live.map((entry) => ++entry.refusals));
          const guards = group.claims.size + group.guarded.size;
          cause = unexplained(times, guards, api.requests.serverVersion);
          if (live.length > 1 && times >= MOST_REFUSALS) return this.#part(group, live, cause);
        }
        if (!tries.unsettled && outcome.kind === "refused") return this.#part(group, live, cause);
      } catch (error) {
        cause = error;
        if (check.failure !== undefined) return this.#endAll(live, check.failure);
        if (!isPassing(error)) {
          return tries.unsettled ? this.#giveUp(live, cause) : this.#part(group, live, cause);
        }
      }
      // A cause from before says more than that the time is over.
      for (const entry of live) entry.cause = cause ?? entry.cause;
      if (!await retry(api.requests)) return this.#giveUp(live, cause);
      // No outcome is unknown any more, so other saves may go along.
      if (!tries.unsettled) return this.#leave(group);
    }
  }

  /** Sends saves of a group in one batch; gives what prevented it, or nothing once they are stored. */
  async #send(
    group: Batch,
    fit: readonly PendingSave[],
    tries: Attempts<PendingSave>,
    asked: number,
  ): Promise<Exclude<TryOutcome, { readonly kind: "stored" }> | undefined> {
    const { heads, check, publisher, requestTimeout } = this.#parts;
    const id = crypto.randomUUID();
    const { tried, messages } = this.#compose(group, fit);
    // A group that only proves claims may be sent again: nothing can be stored twice.
    if (tried.actors.size > 0) tries.add(id, tried);
    const { deadline } = fit.at(-1)!.plan;
    const known = heads.highest;
    const outcome = await publisher.publish(messages, requestTimeout, deadline, undefined, id);
    if (outcome.kind === "stored") {
      check.follow(outcome.first, known);
      this.#store(group, tried, outcome.first, asked);
      return undefined;
    }
    if (outcome.kind !== "unknown") tries.delete(id);
    return outcome;
  }

  #retry(): ReturnType<typeof backoff> {
    const { over } = this.#waiting;
    if (this.#patience?.over !== over) {
      this.#patience = { over, retry: backoff(Infinity, over) };
    }
    return this.#patience.retry;
  }

  /** The messages of saves of a group. */
  #compose(
    group: Batch,
    live: readonly PendingSave[],
  ): { tried: Attempt<PendingSave>; messages: Outgoing[] } {
    const actors = new Set<string>();
    const members: Member[] = [];
    const owners: PendingSave[] = [];
    for (const entry of live) {
      for (const actorId of entry.plan.actors) actors.add(actorId);
      if (entry.save!.runs.length === 0) continue;
      const { parts, receipt } = entry.plan;
      for (const member of membersOf(parts, entry.save!.events, receipt)) {
        members.push(member);
        owners.push(entry);
      }
    }
    const maxBytes = Math.min(...owners.map(({ plan }) => plan.maxBytes));
    const { runs, places } = divide(members, maxBytes);
    const saves = new Map<Run, Save>();
    const begins = new Map<PendingSave, Place | undefined>(live.map((it) => [it, undefined]));
    for (const [at, { first, last }] of places.entries()) {
      begins.set(owners[at]!, begins.get(owners[at]!) ?? first);
      for (const run of runs.slice(first.run, last.run + 1)) {
        if (!saves.has(run)) saves.set(run, owners[at]!.save!);
      }
    }
    const { headReader, api: { layout } } = this.#parts;
    const subjectOf = (actorId: string) => headReader.subjectOf(actorId);
    const guards = guardsOfBatch(group, layout, subjectOf);
    checkGuards(guards.length, this.#parts.api.requests.serverVersion);
    const messages = assemble(
      runs,
      (run) => saves.get(run)!,
      group.expectedHeads,
      guards,
      subjectOf,
    );
    const op = runs.length > 0 ? saves.get(runs.at(-1)!)!.op : undefined;
    return { tried: { places: begins, runs, actors, op }, messages };
  }

  /** Resolves all saves in a try that was stored. */
  #store(
    group: Batch,
    { places, runs, op }: Attempt<PendingSave>,
    first: StreamSequence,
    asked: number,
  ): void {
    const { heads, notifier } = this.#parts;
    this.#patience = undefined;
    heads.reach(first);
    for (const actorId of group.guarded) {
      heads.raise(actorId, group.expectedHeads.get(actorId)!, asked);
    }
    raiseHeads(heads, runs, first, asked);
    if (op !== undefined) {
      heads.mark(asStreamSequence(first + runs.length - 1), op, performance.now());
    }
    for (const entry of group.entries) {
      if (!places.has(entry)) {
        this.#leaveOne(entry);
        continue;
      }
      entry.outcome = "saved";
      if (entry.isEnded) continue;
      const begin = places.get(entry);
      const ends = begin === undefined ? [] : endsOf(entry.plan.parts, runs, first, begin);
      const sequence = ends.at(-1) ?? positionOf(first);
      const receipt = notePositions({ sequence, duplicate: false }, ends);
      const resolve = () => this.#waiting.end(entry, () => entry.resolve(receipt));
      entry.isEnded = true;
      const { events } = entry.save!;
      if (notifier.silent || events.length === 0) resolve();
      else {
        const positions = positionsFrom(begin!, events.length, runs, first);
        notifier.notify(events, positions, entry.plan.within).then(resolve);
      }
    }
  }

  /** Leaves a group that was not stored: saves whose callers still wait go out again. */
  #leave(group: Batch): void {
    for (const entry of group.entries) this.#leaveOne(entry);
  }

  #leaveOne(entry: PendingSave): void {
    if (entry.isEnded) entry.outcome = "not-saved";
    else entry.tries = undefined;
  }

  /**
   * Nothing can be stored together: each save goes out alone, so that each fails for its own
   * reason. A group that was only too large is gathered again, as much as the server takes.
   */
  #part(group: Batch, live: readonly PendingSave[], cause: unknown): void {
    const isTooLarge = cause instanceof ApiError && cause.code === ServerCode.BATCH_TOO_LARGE;
    if (isTooLarge && live.length > 1) return this.#leave(group);
    if (isTooLarge && live[0]!.save!.events.length > 0) {
      cause = batchTooLarge(live[0]!.save!, this.#parts.publisher.limits.messages, cause);
    }
    for (const entry of live) {
      if (live.length > 1) entry.isAlone = true;
      else if (!(isInstance(cause, AetherError) || isInstance(cause, RangeError))) {
        this.#giveUp(live, cause);
      } else this.#waiting.end(entry, () => entry.reject(cause));
    }
    this.#leave(group);
  }

  /** Nothing can be saved any more, and the outcome of what was tried is unknown. */
  #endAll(live: readonly PendingSave[], error: unknown): void {
    for (const entry of live) {
      if (!entry.isEnded) this.#waiting.end(entry, () => entry.reject(error));
    }
  }

  #giveUp(live: readonly PendingSave[], cause: unknown): void {
    for (const entry of live) {
      if (!entry.isEnded) this.#waiting.end(entry, () => entry.giveUp(cause ?? entry.cause));
    }
  }

  /** Finds out why a group was refused; false if no cause can be seen. */
  async #explain(group: Batch): Promise<boolean> {
    const { moved, isFenced } = await explainRejection(this.#parts, group);
    for (const entry of group.entries) {
      entry.isFresh = false;
      for (const actorId of [...entry.plan.actors, ...entry.plan.expect.keys()]) {
        const head = moved.get(actorId);
        if (head !== undefined) entry.known.set(actorId, head);
      }
    }
    return moved.size > 0 || isFenced;
  }
}
