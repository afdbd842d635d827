import { callHook } from "../base/hook.ts";
import { shardOf } from "../actor.ts";
import { unlessAborted } from "../base/abort.ts";
import { KeyedQueue } from "../base/keyed_queue.ts";
import { FencedError, type FenceHolder, isAetherError } from "../errors.ts";
import { asStreamSequence } from "../format/position.ts";
import { type Fences, isForeign } from "./fences.ts";
import { failed } from "../nats/failure.ts";
import type { HeadCache } from "../read/heads.ts";

/**
 * A shard that this node owns. Each claim is an object of its own, so that a lost one is never
 * taken for a new one.
 */
export interface ShardClaim {
  readonly shard: number;
  /** The fence as it was stored. */
  readonly fence: FenceHolder;
  /** Whether it takes no new saves, as the shard is being released. */
  closing: boolean;
}

/** A claim that ended because another node made one. */
interface LostClaim {
  /** A claim under this map or an older one is refused. */
  readonly mapVersion: number;
  readonly holder: FenceHolder;
}

/** The parts that claims need. */
export interface ClaimsParts {
  readonly fences: Fences;
  readonly heads: HeadCache;
  readonly nodeId: string;
  /** The life of the node; a restart begins another. */
  readonly incarnation: string;
  readonly shards: number;
  /** Called with each shard that another node has taken. */
  readonly onDeposed: ((shard: number, error: FencedError) => void) | undefined;
}

/**
 * The shards that this node owns, as far as it knows. Other owners' writes do not rest on that, as
 * each commit proves its claim; it only spares requests that the stream would refuse.
 */
export class Claims {
  readonly #parts: ClaimsParts;
  readonly #claims = new Map<number, ShardClaim>();
  /** By shard, the claim that was lost last: a new one has to be under a newer map. */
  readonly #lost = new Map<number, LostClaim>();
  /** One claim or release of a shard at a time. */
  readonly #lanes = new KeyedQueue();
  /** Shards whose actors are about to be forgotten, all at once. */
  #forgetting: { readonly shards: Set<number>; readonly done: Promise<void> } | undefined;

  /** Claims in the name of `parts.nodeId`. */
  constructor(parts: ClaimsParts) {
    this.#parts = parts;
  }

  /** The claim on the shard, if this node has it and is not about to give it up. */
  get(shard: number): ShardClaim | undefined {
    const claim = this.#claims.get(shard);
    return claim?.closing ? undefined : claim;
  }

  /** Whether saves may still be made under `claim`: also those that came before its release began. */
  holds(claim: ShardClaim): boolean {
    return this.#claims.get(claim.shard) === claim;
  }

  /** The error of a save under a claim that is lost, or that never existed. */
  errorFor(what: string, shard: number, actorId?: string): FencedError {
    const holder = this.#lost.get(shard)?.holder;
    return new FencedError(what, { shard, nodeId: this.#parts.nodeId, actorId, holder });
  }

  /** The shards that are owned, in no order. */
  get shards(): number[] {
    return [...this.#claims.keys()].filter((shard) => this.get(shard) !== undefined);
  }

  /**
   * Claims the shard; a claim that this node has already, under whichever map, stays as it is.
   *
   * @throws {FencedError} Another node has it, or this one lost it, under this map or a newer one.
   */
  claim(shard: number, mapVersion: number, signal?: AbortSignal): Promise<FenceHolder> {
    return this.#inTurn(shard, `claim shard ${shard} under map ${mapVersion}`, signal, async () => {
      const { fences, heads, nodeId } = this.#parts;
      const owned = this.get(shard);
      if (owned !== undefined) {
        // The shard may have been lost without a sign here, and a newer map gives it back.
        const isKnown = mapVersion <= owned.fence.mapVersion;
        if (isKnown || !this.observe(owned, await fences.read(shard))) return owned.fence;
      }
      const lost = this.#lost.get(shard);
      if (lost !== undefined && mapVersion <= lost.mapVersion) {
        throw new FencedError(
          `claim shard ${shard} under map ${mapVersion}`,
          { shard, nodeId, holder: lost.holder },
          `node "${lost.holder.nodeId}" took it from node "${nodeId}" under map ` +
            `${lost.mapVersion}; a newer map has to give it back`,
        );
      }
      const fence = await fences.claim(shard, mapVersion, signal);
      await this.#forget(shard);
      heads.reach(asStreamSequence(fence.sequence));
      this.#claims.set(shard, { shard, fence, closing: false });
      return fence;
    });
  }

  /**
   * Writes the fence of an owned shard again: saves that were sent under the old claim and are not
   * stored yet are refused from then on.
   *
   * @throws {FencedError} The shard is not this node's.
   */
  renew(shard: number, signal?: AbortSignal): Promise<void> {
    return this.#inTurn(shard, `claim shard ${shard} again`, signal, async () => {
      const { fences, heads } = this.#parts;
      const claim = this.get(shard);
      if (claim === undefined) throw this.errorFor(`claim shard ${shard} again`, shard);
      try {
        const fence = await fences.renew(shard, claim.fence, signal);
        heads.reach(asStreamSequence(fence.sequence));
        if (this.holds(claim)) this.#claims.set(shard, { shard, fence, closing: false });
      } catch (error) {
        if (!isAetherError(error, "FencedError")) throw error;
        this.observe(claim, error.holder);
      }
      if (this.get(shard) === undefined) throw this.errorFor(`claim shard ${shard} again`, shard);
    });
  }

  /**
   * Gives the shard up: takes no new saves, waits until `drain` has ended the others, and writes
   * the fence. Returns the shard's fence then: another node's if the shard was lost, `undefined` if
   * this node has no claim.
   */
  release(
    shard: number,
    drain: (claim: ShardClaim) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<FenceHolder | undefined> {
    return this.#inTurn(shard, `release shard ${shard}`, signal, async () => {
      const claim = this.#claims.get(shard);
      if (claim === undefined) return undefined;
      claim.closing = true;
      await unlessAborted(signal, drain(claim));
      for (;;) {
        const current = this.#claims.get(shard) ?? claim;
        try {
          const fence = await this.#parts.fences.release(shard, current.fence, signal);
          this.#claims.delete(shard);
          return fence;
        } catch (error) {
          if (!isAetherError(error, "FencedError")) throw error;
          if (this.#adopt(current, error.holder)) continue;
          this.#claims.delete(shard); // lost meanwhile, which comes to the same
          return error.holder;
        }
      }
    });
  }

  /**
   * Does `work` when all before it on the shard has ended.
   *
   * @throws {StoreUnavailableError} `signal` was aborted before: it is not done.
   */
  async #inTurn<T>(
    shard: number,
    what: string,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
  ): Promise<T> {
    const turn = Promise.withResolvers<void>();
    let isBegun = false;
    const done = this.#lanes.run([String(shard)], () => {
      isBegun = !signal?.aborted;
      turn.resolve();
      return isBegun ? work() : Promise.reject(signal!.reason);
    });
    done.catch(() => {}); // Awaited below, unless nobody waits any more.
    try {
      await unlessAborted(signal, turn.promise);
    } catch (cause) {
      if (!isBegun) throw failed(what, cause, "it did not happen");
    }
    return await done;
  }

  /** Takes note of a fence that was read: if it is behind a claim, it ends the claim; true if so. */
  observe({ shard, fence }: ShardClaim, holder: FenceHolder | undefined): boolean {
    if (holder === undefined || holder.sequence <= fence.sequence) return false;
    const claim = this.#claims.get(shard);
    if (claim?.fence !== fence) return true;
    if (this.#adopt(claim, holder)) return true;
    const { nodeId, onDeposed } = this.#parts;
    this.#claims.delete(shard);
    // A message that is no fence gives the shard to nobody: the map of the claim allows another
    // one.
    const mapVersion = fence.mapVersion - (isForeign(holder) ? 1 : 0);
    this.#lost.set(shard, { mapVersion, holder });
    const error = new FencedError(`go on with shard ${shard}`, { shard, nodeId, holder });
    if (onDeposed !== undefined) {
      callHook(`onDeposed of shard ${shard}`, () => onDeposed(shard, error));
    }
    return true;
  }

  /** Goes on under a fence that this node wrote again, by a try whose answer was lost; true if so. */
  #adopt(
    { shard, fence, closing }: ShardClaim,
    holder: FenceHolder | undefined,
  ): boolean {
    const { nodeId, incarnation, heads } = this.#parts;
    const isOwn = holder?.nodeId === nodeId && holder.incarnation === incarnation;
    if (!isOwn || holder.state !== "claimed" || holder.sequence <= fence.sequence) return false;
    heads.reach(asStreamSequence(holder.sequence));
    this.#claims.set(shard, { shard, fence: holder, closing });
    return true;
  }

  /**
   * Forgets the known heads of the shard's actors: other nodes may have written them. Claims that
   * are stored at about the same time share one look at all that is known.
   */
  #forget(shard: number): Promise<void> {
    if (this.#forgetting === undefined) {
      const { heads, shards: count } = this.#parts;
      const shards = new Set<number>();
      const done = new Promise<void>((resolve) => setTimeout(resolve)).then(() => {
        this.#forgetting = undefined;
        heads.forget((actorId) => shards.has(shardOf(actorId, count)));
      });
      this.#forgetting = { shards, done };
    }
    this.#forgetting.shards.add(shard);
    return this.#forgetting.done;
  }
}
