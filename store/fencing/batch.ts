import type { ShardClaim } from "./claims.ts";
import type { PendingSave } from "./pending_save.ts";
import { type Layout, MAX_BATCH } from "../format/layout.ts";
import { asStreamSequence } from "../format/position.ts";
import { messagesFor } from "../format/runs.ts";
import type { Head } from "../read/heads.ts";
import type { Guard } from "../save/messages.ts";
import { isNew } from "../save/outcome.ts";

/** Bytes of bodies that one group may have, unless it is a single save. */
const GROUP_BYTES = 8 * 1024 * 1024;

/** Whether an entry can go along with a group. */
export type Fit =
  /** It is in. */
  | "in"
  /** Not with this group, as it depends on a save in it. */
  | "later"
  /** The group has no room for it. */
  | "full"
  /** Heads have to be read first. */
  | "unknown"
  /** The known heads of its actors forbid it. */
  | "refused";

/**
 * Saves of any actors and shards that go out in one atomic batch. They are in the order they
 * came; each builds on the heads that those before it leave behind.
 */
export class Batch {
  readonly entries: PendingSave[] = [];
  /** The head that the first save of each actor builds on, and the heads that saves depend on. */
  readonly expectedHeads = new Map<string, Head>();
  /** The claims that it has to prove. */
  readonly claims = new Set<ShardClaim>();
  /** Actors that are depended on, and not written. */
  readonly guarded = new Set<string>();
  /** Where each actor's history will end. */
  readonly #heads = new Map<string, Head>();
  /** The ids of each actor's events in it: an id that comes again is refused once these are stored. */
  readonly #ids = new Map<string, Set<string>>();
  /** Messages that the server takes in one batch. */
  readonly #most: number;
  readonly #mostGuards: number;
  #runs = 0;
  #bytes = 0;

  /** Takes up to `most` messages and `mostGuards` guards, unless its first save needs more. */
  constructor(most: number = MAX_BATCH, mostGuards: number = Infinity) {
    this.#most = most;
    this.#mostGuards = mostGuards;
  }

  /** Adds `entry` if it can go along; `headOf` gives the known head of an actor. */
  add(entry: PendingSave, headOf: (actorId: string) => Head | undefined): Fit {
    const { plan: { actors, expect } } = entry;
    const save = entry.save!;
    if (this.entries.length > 0 && entry.isAlone) return "later";
    const guards = [...expect.keys()].filter((actorId) => !actors.includes(actorId));
    // An outcome that was decided on an actor's last message has to be stored right behind it.
    if (entry.plan.ends !== undefined && actors.some((actorId) => this.#heads.has(actorId))) {
      return "later";
    }
    const depends = actors.some((actorId) => this.guarded.has(actorId)) ||
      guards.some((actorId) => this.#heads.has(actorId));
    if (depends) return "later";
    if (save.events.some(({ actorId, id }) => this.#ids.get(actorId)?.has(id))) return "later";
    const heads = new Map<string, Head>();
    for (const actorId of [...actors, ...guards]) {
      const head = this.#heads.get(actorId) ?? this.expectedHeads.get(actorId) ?? headOf(actorId);
      if (head === undefined) return "unknown";
      heads.set(actorId, head);
    }
    if (!isNew(save, heads)) {
      // The save that is in its way may come before it in this group, and is not stored yet.
      return actors.some((actorId) => this.#heads.has(actorId)) ? "later" : "refused";
    }
    if (!this.#hasRoomFor(entry, guards)) return "full";
    this.entries.push(entry);
    this.#runs += save.runs.length;
    this.#bytes += entry.bytes;
    for (const claim of entry.claims) this.claims.add(claim);
    for (const [actorId, head] of heads) {
      if (!this.expectedHeads.has(actorId)) this.expectedHeads.set(actorId, head);
    }
    for (const actorId of guards) this.guarded.add(actorId);
    const { receipt } = entry.plan;
    if (receipt !== undefined) this.#heads.set(receipt.actorId, heads.get(receipt.actorId)!);
    for (const { actorId, version, id } of save.events) {
      this.#heads.set(actorId, { version, sequence: heads.get(actorId)!.sequence });
      const ids = this.#ids.get(actorId);
      if (ids === undefined) this.#ids.set(actorId, new Set([id]));
      else ids.add(id);
    }
    return "in";
  }

  /** Whether no other save can be added. */
  get isFull(): boolean {
    return this.#runs >= this.#most || this.#bytes >= GROUP_BYTES ||
      this.entries[0]?.isAlone === true;
  }

  #hasRoomFor(entry: PendingSave, guards: readonly string[]): boolean {
    if (this.entries.length === 0) return true; // it fits alone: that was checked when it came
    const claims = entry.claims.filter((claim) => !this.claims.has(claim)).length;
    const more = guards.filter((actorId) => !this.guarded.has(actorId)).length;
    const actors = entry.plan.actors.filter((actorId) => !this.#heads.has(actorId)).length;
    const guarding = this.claims.size + claims + this.guarded.size + more;
    if (guarding > this.#mostGuards) return false;
    const runs = this.#runs + entry.save!.runs.length;
    const messages = messagesFor(
      runs,
      this.#heads.size + actors,
      guarding,
    );
    return messages <= this.#most && this.#bytes + entry.bytes <= GROUP_BYTES;
  }
}

/**
 * The saves of a group, in their order, that may go out without those that have ended: each still
 * finds the versions that it expects.
 */
export function stillFit(group: Batch, live: readonly PendingSave[]): PendingSave[] {
  const heads = new Map(group.expectedHeads);
  return live.filter(({ save }) => {
    if (!isNew(save!, heads)) return false;
    for (const { actorId, version } of save!.events) {
      heads.set(actorId, { version, sequence: heads.get(actorId)!.sequence });
    }
    return true;
  });
}

/**
 * The guards of a group's batch: on the fences of its shards, and on the actors that it depends on.
 */
export function guardsOfBatch(
  { expectedHeads, claims, guarded }: Batch,
  layout: Layout,
  subjectOf: (actorId: string) => string,
): Guard[] {
  const guards: Guard[] = [];
  for (const { shard, fence: { sequence } } of claims) {
    guards.push({
      subject: layout.fence(shard),
      sequence: asStreamSequence(sequence),
      marker: layout.commit(shard),
    });
  }
  const [first] = claims;
  for (const actorId of guarded) {
    const { sequence } = expectedHeads.get(actorId)!;
    guards.push({ subject: subjectOf(actorId), sequence, marker: layout.commit(first!.shard) });
  }
  return guards;
}
