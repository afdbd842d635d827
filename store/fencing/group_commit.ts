import { AetherError } from "../errors.ts";
import { Tries, type Try } from "./attempts.ts";
import { type Group, guardsOf } from "./batch.ts";
import type { FencedParts } from "./parts.ts";
import type { Entry } from "./pending_save.ts";
import { inspect } from "./rejection.ts";
import { Waiting } from "./waiting.ts";
import { backoff } from "../nats/backoff.ts";
import type { Outgoing } from "../nats/publisher.ts";
import { isPassing } from "../nats/stream_api.ts";
import { assemble, type Save } from "../save/messages.ts";

/**
 * Commits the saves of a node, those of all its shards together: while one batch is under way the
 * next saves gather. Each batch proves the claims of its shards, so that the stream refuses it as
 * soon as one of them is another's. What a refusal is about is found out afterwards, and told to
 * the saves that it is about; the others go out again.
 */
export class GroupCommit {
  readonly #parts: FencedParts;
  readonly #waiting: Waiting;
  #isRunning = false;
  /** Waits longer from failure to failure, as long as anybody waits. */
  #patience: { readonly over: AbortSignal; readonly retry: ReturnType<typeof backoff> } | undefined;

  /** Commits with `parts`. */
  constructor(parts: FencedParts) {
    this.#parts = parts;
    this.#waiting = new Waiting(parts, () => this.kick());
  }

  /** Brings an entry to its end, in turn. */
  add(entry: Entry): void {
    this.#waiting.add(entry);
    this.kick();
  }

  /** Entries that have no end yet. */
  entries(): Iterable<Entry> {
    return this.#waiting;
  }

  /** Resolves when none is left. */
  idle(): Promise<void> {
    return this.#waiting.empty();
  }

  /** Ends an entry that cannot be saved at all. */
  fail(entry: Entry, error: unknown): void {
    this.#waiting.end(entry, () => entry.reject(error));
    this.kick();
  }

  /** Something has changed that may let entries go on. */
  kick(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    // What is saved in the same turn of the event loop goes out together.
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

  /** Brings a group to its end: stored, or back in line with what was found out. */
  async #commit(group: Group): Promise<void> {
    const { api, publisher, pause } = this.#parts;
    const tries = new Tries<Entry>(this.#parts, group.basis, group.claims);
    for (const entry of group.entries) entry.tries = tries;
    const retry = this.#retry();
    for (;;) {
      const live = group.entries.filter((entry) => !entry.isEnded);
      if (live.length === 0) return;
      let cause: unknown;
      try {
        if (tries.doubtful) {
          const fate = await tries.fate();
          if (fate === "never") return this.#leave(group);
          if (fate !== "open") return this.#store(group, fate.landed, fate.first);
        }
        const id = crypto.randomUUID();
        const { tried, messages } = this.#compose(group, live);
        // What only proves claims may be sent again without a doubt.
        if (tried.actors.size > 0) tries.add(id, tried);
        const { deadline } = live.at(-1)!.plan;
        const outcome = await publisher.publish(messages, pause, deadline, undefined, id);
        if (outcome.kind === "stored") return this.#store(group, tried, outcome.first);
        if (outcome.kind !== "unknown") tries.delete(id);
        if (outcome.kind !== "stale") cause = outcome.cause;
        if (!tries.doubtful && outcome.kind === "stale" && await this.#explain(group)) {
          return this.#leave(group);
        }
        if (!tries.doubtful && outcome.kind === "refused") return this.#part(group, live, cause);
      } catch (error) {
        cause = error;
        if (!isPassing(error)) {
          return tries.doubtful ? this.#giveUp(live, cause) : this.#part(group, live, cause);
        }
      }
      for (const entry of live) entry.cause = cause;
      if (!await retry(api.wire)) return this.#giveUp(live, cause);
      // Without a doubt, others may go along by now.
      if (!tries.doubtful) return this.#leave(group);
    }
  }

  #retry(): ReturnType<typeof backoff> {
    const { over } = this.#waiting;
    if (this.#patience?.over !== over) {
      this.#patience = { over, retry: backoff(Infinity, over) };
    }
    return this.#patience.retry;
  }

  /** The messages of those of a group that are still waited for. */
  #compose(group: Group, live: readonly Entry[]): { tried: Try<Entry>; messages: Outgoing[] } {
    const offsets = new Map<Entry, number>();
    const actors = new Set<string>();
    const saves: Save[] = [];
    let offset = 0;
    for (const entry of live) {
      offsets.set(entry, offset);
      offset += entry.checked.length;
      for (const actorId of entry.plan.actors) actors.add(actorId);
      if (entry.checked.length > 0) saves.push(entry.save!);
    }
    const { reader, api: { layout } } = this.#parts;
    const guards = guardsOf(group, layout, (actorId) => reader.subjectOf(actorId));
    const messages = assemble(saves, group.basis, guards, (id) => reader.subjectOf(id));
    return { tried: { offsets, actors }, messages };
  }

  /** Tells all that are in a try that was stored. */
  #store(group: Group, { offsets }: Try<Entry>, first: number): void {
    const { heads, notifier } = this.#parts;
    const now = performance.now();
    this.#patience = undefined;
    heads.reach(first);
    for (const actorId of group.guarded) heads.raise(actorId, group.basis.get(actorId)!, now);
    for (const entry of group.entries) {
      const offset = offsets.get(entry);
      if (offset === undefined) {
        entry.fate = "never";
        continue;
      }
      const { events } = entry.save!;
      for (const [at, { actorId, version }] of events.entries()) {
        heads.raise(actorId, { version, sequence: first + offset + at }, now);
      }
      entry.fate = { first: first + offset };
      if (entry.isEnded) continue;
      const sequence = first + offset + Math.max(0, events.length - 1);
      const resolve = () =>
        this.#waiting.end(entry, () => entry.resolve({ sequence, duplicate: false }));
      entry.isEnded = true;
      if (notifier.silent || events.length === 0) resolve();
      else notifier.notify(events, entry.plan.within).then(resolve);
    }
  }

  /** Leaves a group of which nothing was stored: what is still waited for goes out again. */
  #leave(group: Group): void {
    for (const entry of group.entries) {
      if (entry.isEnded) entry.fate = "never";
      else entry.tries = undefined;
    }
  }

  /** Nothing can be stored together: each for itself, so that each hears of its own trouble. */
  #part(group: Group, live: readonly Entry[], cause: unknown): void {
    for (const entry of live) {
      if (live.length > 1) entry.isAlone = true;
      else if (!(cause instanceof AetherError)) this.#giveUp(live, cause);
      else this.#waiting.end(entry, () => entry.reject(cause));
    }
    this.#leave(group);
  }

  #giveUp(live: readonly Entry[], cause: unknown): void {
    for (const entry of live) {
      if (!entry.isEnded) this.#waiting.end(entry, () => entry.giveUp(cause));
    }
  }

  /** Finds out why a group was refused; false where nothing is to be seen of it. */
  async #explain(group: Group): Promise<boolean> {
    const { moved, isFenced } = await inspect(this.#parts, group);
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
