import { isInstance } from "../base/text.ts";
import { AetherError } from "../errors.ts";
import { Batch } from "./batch.ts";
import type { FencedParts } from "./parts.ts";
import type { PendingSave } from "./pending_save.ts";
import { backoff } from "../nats/backoff.ts";
import { neededForGuards } from "../nats/server_version.ts";
import { notSaved } from "../nats/failure.ts";
import { isPassing } from "../nats/stream_api.ts";
import { NO_HEAD } from "../read/message_facts.ts";
import type { Head } from "../read/heads.ts";
import { beginsAtOne, decide } from "../save/outcome.ts";

/**
 * Entries in the order they came, each until its caller has a result: at the latest when its
 * deadline has passed or its signal is aborted.
 */
export class SaveLine {
  readonly #entries = new Set<PendingSave>();
  readonly #aborts = new Map<PendingSave, () => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #over: AbortController | undefined;

  /** Puts an entry at the end; its deadline is not before those of others. */
  add(entry: PendingSave): void {
    this.#entries.add(entry);
    const { signal } = entry.plan;
    if (signal !== undefined) {
      const abort = () => this.#giveUp(entry, signal.reason);
      this.#aborts.set(entry, abort);
      signal.addEventListener("abort", abort, { once: true });
    }
    this.#arm();
  }

  /** Takes an entry out, and ends it by `tell`, unless that was done before. */
  end(entry: PendingSave, tell: () => void): void {
    if (!this.#entries.delete(entry)) return;
    entry.isEnded = true;
    const abort = this.#aborts.get(entry);
    if (abort !== undefined) {
      this.#aborts.delete(entry);
      entry.plan.signal?.removeEventListener("abort", abort);
    }
    tell();
    if (this.#entries.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#over?.abort();
    this.#over = undefined;
  }

  /** Is aborted when none is left: nobody needs the work under way any more. */
  get over(): AbortSignal {
    return (this.#over ??= new AbortController()).signal;
  }

  /** The entries in order. */
  [Symbol.iterator](): Iterator<PendingSave> {
    return this.#entries.values();
  }

  /** Resolves when none is left. */
  async empty(): Promise<void> {
    while (this.#entries.size > 0) {
      await new Promise((resolve) => this.over.addEventListener("abort", resolve, { once: true }));
    }
  }

  /** One timer serves all, for deadlines come in the order of the entries. */
  #arm(): void {
    if (this.#timer !== undefined) return;
    const [first] = this.#entries;
    if (first === undefined) return;
    const ms = Math.max(0, Math.ceil(first.plan.deadline - performance.now()));
    this.#timer = setTimeout(() => this.#expire(), ms);
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (const entry of this.#entries) {
      if (entry.plan.deadline > now) break;
      this.#giveUp(entry, entry.cause);
    }
    this.#arm();
  }

  /** Not an entry that is stored, and whose notifications are being sent. */
  #giveUp(entry: PendingSave, cause: unknown): void {
    if (!entry.isEnded) this.end(entry, () => entry.giveUp(cause));
  }
}

/** How many entries are looked at for one group, at most. */
const MOST_LOOKED_AT = 10_000;

/**
 * The entries that wait, in the order they came. Those that are ready go out together; the heads
 * that others need are read meanwhile, and an entry that cannot be stored is rejected.
 */
export class WaitingSaves extends SaveLine {
  readonly #parts: FencedParts;
  readonly #kick: () => void;

  /** `kick` is called when entries may have become ready. */
  constructor(parts: FencedParts, kick: () => void) {
    super();
    this.#parts = parts;
    this.#kick = kick;
  }

  /** The entries that can go out now; the saves of one actor stay in order. */
  gather(): Batch {
    // A server that mixes up guards gets one guard in each batch.
    const { publisher, api: { requests: { serverVersion } } } = this.#parts;
    const guards = neededForGuards(serverVersion) === undefined ? Infinity : 1;
    const group = new Batch(publisher.limits.messages, guards);
    const blocked = new Set<string>();
    let looked = 0;
    for (const entry of this) {
      if (group.isFull || ++looked > MOST_LOOKED_AT) break;
      if (entry.isEnded || this.#isFenced(entry)) continue;
      const { actors } = entry.plan;
      const waits = !entry.isReady || actors.some((actorId) => blocked.has(actorId));
      const fit = waits ? "later" : group.add(entry, (actorId) => this.#headOf(entry, actorId));
      if (fit === "in") continue;
      if (fit === "full") break;
      for (const actorId of actors) blocked.add(actorId);
      if (fit === "refused" && entry.isFresh) this.#judge(entry);
      else if (fit !== "later") this.#lookUp(entry);
    }
    return group;
  }

  /** Whether a claim of the entry is lost; then the entry is rejected. */
  #isFenced(entry: PendingSave): boolean {
    const { claims, shardOf } = this.#parts;
    const lost = entry.claims.find((claim) => !claims.holds(claim));
    if (lost === undefined) return false;
    const { shard } = lost;
    const actorId = entry.plan.actors.find((actorId) => shardOf(actorId) === shard);
    this.end(entry, () => entry.reject(claims.errorFor(entry.what, shard, actorId)));
    return true;
  }

  #headOf(entry: PendingSave, actorId: string): Head | undefined {
    const cached = this.#parts.heads.get(actorId);
    const known = entry.known.get(actorId);
    if (cached !== undefined && known !== undefined) {
      return cached.sequence >= known.sequence ? cached : known;
    }
    if (cached !== undefined || known !== undefined) return cached ?? known;
    return beginsAtOne(entry.save!, actorId) ? NO_HEAD : undefined;
  }

  /** Reads the heads that an entry builds on. */
  async #lookUp(entry: PendingSave): Promise<void> {
    const { headReader } = this.#parts;
    const ids = [...new Set([...entry.plan.actors, ...entry.plan.expect.keys()])];
    entry.isBusy = true;
    await this.#persist(entry, async () => {
      const heads = await Promise.all(ids.map((actorId) => headReader.read(actorId)));
      for (const [at, actorId] of ids.entries()) entry.known.set(actorId, heads[at]!);
      entry.isFresh = true;
    });
    entry.isBusy = false;
    this.#kick();
  }

  /** Ends a save that the heads of its actors decide: it is a conflict, or was saved before. */
  async #judge(entry: PendingSave): Promise<void> {
    const { headReader } = this.#parts;
    const save = entry.save!;
    const ids = [...save.actors, ...save.expect.keys()];
    const expectedHeads = new Map(ids.map((actorId) => [actorId, this.#headOf(entry, actorId)!]));
    entry.isBusy = true;
    await this.#persist(entry, async () => {
      const receipt = await decide(save, expectedHeads, headReader);
      this.end(entry, () => entry.resolve(receipt));
    });
    this.#kick();
  }

  /** Does `work` for an entry, again while the trouble is passing and the entry's time lasts. */
  async #persist(entry: PendingSave, work: () => Promise<void>): Promise<void> {
    const { api } = this.#parts;
    const retry = backoff(entry.plan.deadline, this.over);
    while (!entry.isEnded) {
      try {
        return await work();
      } catch (error) {
        entry.cause = error;
        if (isPassing(error) && await retry(api.requests)) continue;
        const reason = isInstance(error, AetherError) ? error : notSaved(entry.subject!, error);
        this.end(entry, () => entry.reject(reason));
      }
    }
  }
}
