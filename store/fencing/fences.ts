import { headers } from "@nats-io/nats-core";
import { encodeJson, jsonIn } from "../base/json.ts";
import { FencedError, type FenceHolder } from "../errors.ts";
import { EXPECT } from "../format/headers.ts";
import { partsOf, readLastProved } from "../nats/direct_get.ts";
import type { Publisher } from "../nats/publisher.ts";
import { attempt } from "../nats/retry.ts";
import { settledWrite } from "../nats/settled_write.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { StreamApi } from "../nats/stream_api.ts";
import type { StreamCheck } from "../read/stream_check.ts";

/** How many fences one request asks for: the server gives at most 1,024 at once. */
const PART = 1000;

/** The content of a fence that something other than this library wrote. */
const UNREADABLE = {
  ...{ nodeId: "(unreadable)", incarnation: "", mapVersion: 0, nonce: "" },
  state: "released",
} as const;

/** The parts that fences need. */
export interface FenceParts {
  readonly api: StreamApi;
  readonly publisher: Publisher;
  readonly check: StreamCheck;
  readonly nodeId: string;
  /** The life of the node; a later one sorts behind it. */
  readonly incarnation: string;
  readonly shards: number;
  /** How long one request may take, in ms. */
  readonly requestTimeout: number;
  /** Deadline of one call, in ms. */
  readonly timeout: number;
}

/** A fence as it is stored. */
interface StoredFence extends FenceHolder {
  /** Names one write of the fence, so that a writer without an answer knows its own. */
  readonly nonce: string;
}

/** A fence to write, if `check` allows it over the current one. */
interface FenceWrite {
  readonly shard: number;
  readonly what: string;
  readonly mapVersion: number;
  readonly state: FenceHolder["state"];
  /** Throws if the current fence forbids it. */
  readonly check: (current: StoredFence | undefined) => void;
  readonly signal: AbortSignal | undefined;
}

/** The content of a fence's place; there may be none. */
interface SeenFence {
  readonly fence: StoredFence | undefined;
}

/**
 * The fences of shards: messages in the stream of events itself, written by compare-and-set, so
 * that a commit that names one is refused once another is stored.
 */
export class Fences {
  readonly #parts: FenceParts;
  /** By shard, the fence that was read or written last; the next write first builds on it. */
  readonly #seen = new Map<number, StoredFence | undefined>();

  /** Writes in the name of the node of `parts`. */
  constructor(parts: FenceParts) {
    this.#parts = parts;
  }

  /**
   * The shard's fence, as the leader has it; `undefined` if no node ever claimed the shard.
   *
   * @throws {StoreUnavailableError} No answer in time.
   */
  read(shard: number): Promise<FenceHolder | undefined> {
    const { api, timeout } = this.#parts;
    return attempt(
      api.requests,
      timeout,
      `read the fence of shard ${shard}`,
      () => this.look(shard),
    );
  }

  /** {@linkcode Fences.read}, once. */
  async look(shard: number): Promise<FenceHolder | undefined> {
    const due = this.#parts.check.ensure();
    if (due !== undefined) await due;
    const current = await this.#read(shard);
    return current && holderIn(current);
  }

  /**
   * The fences of all shards that were ever claimed, as the nearest replica has them.
   *
   * @throws {StoreUnavailableError} No answer in time.
   */
  readAll(): Promise<Map<number, FenceHolder>> {
    const { api, timeout } = this.#parts;
    return attempt(api.requests, timeout, "read the fences", () => this.#readAll());
  }

  async #readAll(): Promise<Map<number, FenceHolder>> {
    const { api, requestTimeout, shards } = this.#parts;
    const found = new Map<number, FenceHolder>();
    const shardOf = new Map<string, number>();
    for (let shard = 0; shard < shards; shard++) shardOf.set(api.layout.fence(shard), shard);
    for (const part of partsOf(api, shardOf.keys(), PART)) {
      for (const message of (await readLastProved(api, part, requestTimeout)).messages) {
        const shard = shardOf.get(message.subject);
        if (shard !== undefined) found.set(shard, fenceHolderIn(message));
      }
    }
    return found;
  }

  /**
   * Makes this node the shard's owner under a map version.
   *
   * @throws {FencedError} The shard was claimed under a newer map, or under this one by another
   * node or a later life of this one.
   * @throws {StoreUnavailableError} No answer before the deadline; the claim may still land.
   */
  claim(shard: number, mapVersion: number, signal?: AbortSignal): Promise<FenceHolder> {
    const what = `claim shard ${shard} under map ${mapVersion}`;
    const { nodeId, incarnation } = this.#parts;
    const check = (current: StoredFence | undefined) => {
      if (current === undefined || current.mapVersion < mapVersion) return;
      const isOwn = current.nodeId === nodeId && current.incarnation <= incarnation;
      if (isOwn && current.mapVersion === mapVersion) return;
      throw new FencedError(what, { shard, nodeId, holder: holderIn(current) });
    };
    return this.#write({ shard, what, mapVersion, state: "claimed", check, signal });
  }

  /**
   * Writes `claim` again, so that a commit that names the old fence is refused from then on.
   *
   * @throws {FencedError} Another fence was written since: the shard was not this node's any more.
   * @throws {StoreUnavailableError} No answer before the deadline; the fence may still land.
   */
  renew(shard: number, claim: FenceHolder, signal?: AbortSignal): Promise<FenceHolder> {
    return this.#follow(shard, claim, "claimed", `claim shard ${shard} again`, signal);
  }

  /**
   * Gives up the shard that was claimed by `claim`.
   *
   * @throws {FencedError} Another fence was written since: the shard was not this node's any more.
   * @throws {StoreUnavailableError} No answer before the deadline; the release may still land.
   */
  release(shard: number, claim: FenceHolder, signal?: AbortSignal): Promise<FenceHolder> {
    return this.#follow(shard, claim, "released", `release shard ${shard}`, signal);
  }

  /** Writes a fence over that of `claim`, and over no other. */
  #follow(
    shard: number,
    claim: FenceHolder,
    state: FenceHolder["state"],
    what: string,
    signal: AbortSignal | undefined,
  ): Promise<FenceHolder> {
    const { nodeId } = this.#parts;
    const check = (current: StoredFence | undefined) => {
      if (current?.sequence === claim.sequence) return;
      throw new FencedError(what, { shard, nodeId, holder: current && holderIn(current) });
    };
    const { mapVersion } = claim;
    return this.#write({ shard, what, mapVersion, state, check, signal });
  }

  /**
   * Writes the fence; first over the one that was seen last, which spares a request if nobody else
   * has written it since.
   */
  async #write(wanted: FenceWrite): Promise<FenceHolder> {
    const { api, publisher, check: stream, nodeId, incarnation, requestTimeout, timeout } = this
      .#parts;
    const { shard, what, mapVersion, state, check, signal } = wanted;
    const deadline = performance.now() + timeout;
    const own = { nodeId, incarnation, mapVersion, state, nonce: crypto.randomUUID() };
    const body = encodeJson(own);
    const end = await settledWrite<SeenFence, typeof own>({
      requests: api.requests,
      deadline,
      signal,
      what,
      otherwise: "others kept the fence busy",
      ends: {
        absent: "it did not happen",
        unknown: "it may have happened all the same, try again",
      },
      known: this.#isFine(shard, check) ? { fence: this.#seen.get(shard) } : undefined,
      read: async () => {
        await stream.ensure();
        return { fence: await this.#read(shard) };
      },
      sequenceOf,
      next: ({ fence }) => {
        check(fence);
        return own;
      },
      holds: ({ fence }) => fence?.nonce === own.nonce,
      put: async (_own, seen) => {
        const due = stream.ensure();
        if (due !== undefined) await due;
        const fields = headers();
        fields.set(EXPECT, String(sequenceOf(seen)));
        const message = { subject: api.layout.fence(shard), headers: fields, body };
        return await publisher.publish([message], requestTimeout, deadline, signal);
      },
    });
    if (end.kind !== "stored") return holderIn(end.state.fence!);
    const stored = { ...own, sequence: end.sequence };
    this.#seen.set(shard, stored);
    return holderIn(stored);
  }

  /** Whether a write may build on the fence that was seen last. */
  #isFine(shard: number, check: FenceWrite["check"]): boolean {
    if (!this.#seen.has(shard)) return false;
    try {
      check(this.#seen.get(shard));
      return true;
    } catch {
      return false; // the fence may have changed: it is read
    }
  }

  async #read(shard: number): Promise<StoredFence | undefined> {
    const { api, requestTimeout } = this.#parts;
    const message = await api.get({ last_by_subj: api.layout.fence(shard) }, requestTimeout);
    const fence = message && fenceIn(message);
    this.#seen.set(shard, fence);
    return fence;
  }
}

/**
 * The holder in the fence in `message`. A message that cannot be read, as something else wrote it,
 * belongs to nobody: the next claim replaces it.
 */
export function fenceHolderIn(message: StoredMessage): FenceHolder {
  return holderIn(fenceIn(message));
}

/** Whether something other than this library wrote the fence. */
export function isForeign({ nodeId, mapVersion }: FenceHolder): boolean {
  return nodeId === UNREADABLE.nodeId && mapVersion === UNREADABLE.mapVersion;
}

function fenceIn({ data, sequence }: StoredMessage): StoredFence {
  const value = (jsonIn(data) ?? {}) as Partial<StoredFence>;
  const { nodeId, incarnation, mapVersion, state, nonce } = value;
  const isFence = [nodeId, incarnation, nonce].every((text) => typeof text === "string") &&
    Number.isSafeInteger(mapVersion) && (state === "claimed" || state === "released");
  return isFence ? { ...value as StoredFence, sequence } : { ...UNREADABLE, sequence };
}

function sequenceOf({ fence }: SeenFence): number {
  return fence?.sequence ?? 0;
}

function holderIn({ nodeId, incarnation, mapVersion, state, sequence }: FenceHolder): FenceHolder {
  return { nodeId, incarnation, mapVersion, state, sequence };
}
