import { unavailable } from "../check/refusals.ts";
import type { FencedError, SaveOutcomeUnknownError } from "../errors.ts";
import type { ShardClaim } from "./claims.ts";
import { GroupCommit } from "./group_commit.ts";
import type { FencedParts } from "./parts.ts";
import { PendingSave } from "./pending_save.ts";
import { type CheckedEvent, haveBodies, withBodies } from "../format/encode.ts";
import { asStreamSequence, type StreamSequence } from "../format/position.ts";
import type { SaveReceipt } from "../options.ts";
import { outcomeOfEvents } from "../save/outcome.ts";
import type { SavePath } from "../save/path.ts";
import { type SavePlan, subjectOfPlan } from "../save/plan.ts";
import { type SaveOutcome, settle } from "../save/settle.ts";

/**
 * The way of a save on a node that owns shards: refused at once if one of its shards is not the
 * node's; else committed together with others, in a commit that proves the claims.
 */
export class FencedPath implements SavePath {
  readonly #parts: FencedParts;
  readonly #commits: GroupCommit;

  /** Commits with `parts`. */
  constructor(parts: FencedParts) {
    this.#parts = parts;
    this.#commits = new GroupCommit(parts);
  }

  /** See {@linkcode SavePath.save}. */
  async save(plan: SavePlan, checked: readonly CheckedEvent[]): Promise<SaveReceipt> {
    const claims = claimsFor(this.#parts, plan, checked);
    if (plan.signal?.aborted) throw unavailable(subjectOfPlan(plan, checked), plan.signal.reason);
    const entry = new PendingSave(
      { plan: marked(this.#parts, plan), checked, claims },
      this.#settle,
    );
    if (haveBodies(checked)) entry.prepare(checked);
    else this.#encode(entry);
    this.#commits.add(entry);
    return await entry.receipt;
  }

  /** Proves a claim by a commit; gives its sequence. */
  async prove(claim: ShardClaim, signal?: AbortSignal): Promise<number> {
    signal?.throwIfAborted();
    const plan = {
      op: "",
      actors: [],
      expect: new Map<string, number>(),
      deadline: performance.now() + this.#parts.timeout,
      signal,
      parts: [],
      maxBytes: 0,
    };
    const entry = new PendingSave({ plan, checked: [], claims: [claim] }, this.#settle);
    entry.prepare([]);
    this.#commits.add(entry);
    return (await entry.receipt).sequence;
  }

  /** Resolves when no save under `claim` is left. */
  async drained(claim: ShardClaim): Promise<void> {
    const open = [...this.#commits.entries()].filter(({ claims }) => claims.includes(claim));
    await Promise.allSettled(open.map(({ receipt }) => receipt));
  }

  /** See {@linkcode SavePath.idle}. */
  idle(): Promise<void> {
    return this.#commits.idle();
  }

  async #encode(entry: PendingSave): Promise<void> {
    try {
      entry.prepare(await withBodies(entry.checked, entry.plan.deadline));
      this.#commits.kick();
    } catch (error) {
      this.#commits.fail(entry, error);
    }
  }

  /** Finds out what became of a save whose caller got an unknown outcome. */
  readonly #settle = (entry: PendingSave): () => ReturnType<SaveOutcomeUnknownError["settle"]> => {
    const { api, headReader, requestTimeout } = this.#parts;
    const tries = entry.tries!;
    const { actorId } = entry.subject!;
    const outcomeNow = async (): Promise<SaveOutcome> => {
      if (entry.outcome !== "unknown") return entry.outcome;
      const due = this.#parts.check.ensure();
      if (due !== undefined) await due;
      const outcome = await tries.outcome();
      if (typeof outcome === "string") return outcome;
      return outcome.landed.places.has(entry) ? "saved" : "not-saved";
    };
    const barrier = {
      api,
      subject: headReader.subjectOf(actorId),
      expected: tries.expectedHeads.get(actorId)!.sequence,
      epoch: tries.epoch,
      requestTimeout,
    };
    return () =>
      settle(barrier, async () => {
        const outcome = await outcomeNow();
        return outcome === "not-saved"
          ? await outcomeOfEvents(entry.save!.events, headReader)
          : outcome;
      });
  };
}

/**
 * The way of a save on a node that owns shards, as in a plain store: this node checks its claims as
 * it knows them, and the stream does not.
 */
export class OptimisticPath implements SavePath {
  readonly #parts: FencedParts;
  readonly #plain: SavePath;
  /** Saves under way, by their shards: a renewed claim is another one. */
  readonly #open = new Map<number, Set<Promise<unknown>>>();

  /** Passes saves of owned shards on to `plain`. */
  constructor(parts: FencedParts, plain: SavePath) {
    this.#parts = parts;
    this.#plain = plain;
  }

  /** See {@linkcode SavePath.save}. */
  async save(plan: SavePlan, checked: readonly CheckedEvent[]): Promise<SaveReceipt> {
    const claims = claimsFor(this.#parts, plan, checked);
    // A save that waited for others goes out only under the claims that it names: a shard may have
    // been another node's meanwhile, and a renewal refuses what waits.
    const check = () => {
      const lost = claims.find((claim) => !this.#parts.claims.holds(claim));
      if (lost !== undefined) throw lostError(this.#parts, plan, checked, lost.shard);
    };
    const saving = this.#plain.save({ ...marked(this.#parts, plan), check }, checked);
    for (const { shard } of claims) {
      const open = this.#open.get(shard) ?? new Set();
      this.#open.set(shard, open.add(saving));
    }
    try {
      return await saving;
    } finally {
      for (const { shard } of claims) {
        const open = this.#open.get(shard)!;
        open.delete(saving);
        if (open.size === 0) this.#open.delete(shard);
      }
    }
  }

  /** Resolves when no save of the claim's shard is left. */
  async drained({ shard }: ShardClaim): Promise<void> {
    await Promise.allSettled(this.#open.get(shard) ?? []);
  }

  /** See {@linkcode SavePath.idle}. */
  idle(): Promise<void> {
    return this.#plain.idle();
  }
}

/** A path that is idle only once its barriers are. */
export function idleTogether(path: SavePath, fenced: FencedPath): SavePath {
  return {
    save: (plan, checked) => path.save(plan, checked),
    idle: async () => {
      await Promise.all([path.idle(), fenced.idle()]);
    },
  };
}

/**
 * The claims of all shards that a save writes.
 *
 * @throws {FencedError} One of them is not this node's.
 */
function claimsFor(
  parts: FencedParts,
  plan: SavePlan,
  checked: readonly CheckedEvent[],
): ShardClaim[] {
  const { claims, shardOf } = parts;
  const found = new Set<ShardClaim>();
  for (const actorId of plan.actors) {
    const shard = shardOf(actorId);
    const claim = claims.get(shard);
    if (claim === undefined) throw lostError(parts, plan, checked, shard, actorId);
    found.add(claim);
  }
  return [...found];
}

function lostError(
  { claims }: FencedParts,
  plan: SavePlan,
  checked: readonly CheckedEvent[],
  shard: number,
  actorId?: string,
): FencedError {
  const { version, actorId: first } = subjectOfPlan(plan, checked);
  return claims.errorFor(`save event at version ${version} of "${first}"`, shard, actorId);
}

/** Each saved message names the fence that it was saved under. */
function marked({ claims, shardOf }: FencedParts, plan: SavePlan): SavePlan {
  const fences = new Map<string, StreamSequence>();
  for (const actorId of plan.actors) {
    fences.set(actorId, asStreamSequence(claims.get(shardOf(actorId))!.fence.sequence));
  }
  return { ...plan, fenceOf: (actorId) => fences.get(actorId)! };
}
