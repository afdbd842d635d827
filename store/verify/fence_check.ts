import type { FenceHolder } from "../errors.ts";
import { fenceHolderIn, isForeign } from "../fencing/fences.ts";
import { EXPECT, FENCE } from "../format/headers.ts";
import type { StreamSequence } from "../format/position.ts";
import { numberIn, type StoredMessage } from "../nats/stored_message.ts";
import type { Findings } from "./findings.ts";
import type { VerifySource } from "./source.ts";

const RULE = "fence";

/** Whether what is stored of a shard was written under its newest fence. */
export class FenceCheck {
  readonly #source: VerifySource;
  readonly #findings: Findings;
  /** By shard, its newest fence so far; `undefined` if there is none. */
  readonly #newest = new Map<number, FenceHolder | undefined>();
  /** Whether fences may be stored before the walk begins. */
  readonly #looksBack: boolean;

  /** `looksBack`: whether the walk begins somewhere in the middle. */
  constructor(source: VerifySource, findings: Findings, looksBack: boolean) {
    this.#source = source;
    this.#findings = findings;
    this.#looksBack = looksBack;
  }

  /** Takes a fence of the shard. */
  async seeFence(message: StoredMessage, shard: number): Promise<void> {
    const { sequence } = message;
    const before = await this.#before(shard, sequence);
    const fence = fenceHolderIn(message);
    this.#newest.set(shard, fence);
    const report = (what: string) => this.#findings.add(RULE, { sequence }, what);
    if (isForeign(fence)) {
      const what =
        `message ${sequence} is no fence, though it is on the fence's subject of shard ` +
        `${shard}`;
      return report(what);
    }
    const { nodeId, mapVersion, state } = fence;
    if (before !== undefined && mapVersion < before.mapVersion) {
      return report(
        `the fence of shard ${shard} at message ${sequence} names map ${mapVersion}, and the one ` +
          `before it, message ${before.sequence}, names map ${before.mapVersion}`,
      );
    }
    if (before !== undefined && mapVersion === before.mapVersion && nodeId !== before.nodeId) {
      return report(
        `node "${nodeId}" has ${state} shard ${shard} under map ${mapVersion} at message ` +
          `${sequence}, and node "${before.nodeId}" owned it under the same map`,
      );
    }
    const expected = numberIn(message, EXPECT);
    if (expected !== (before?.sequence ?? 0)) {
      report(
        `the fence of shard ${shard} at message ${sequence} follows on message ` +
          `${expected ?? "(none)"}, and the one before it is message ${before?.sequence ?? 0}`,
      );
    }
  }

  /** Takes a message of an actor of the shard, which may name a fence. */
  async seeEvents(message: StoredMessage, shard: number, actorId: string): Promise<void> {
    const text = message.header(FENCE);
    if (text === "") return;
    const { sequence } = message;
    const newest = await this.#before(shard, sequence);
    const named = numberIn(message, FENCE);
    if (newest?.sequence === named && newest?.state === "claimed") return;
    const is = newest === undefined
      ? `shard ${shard} has no fence before it`
      : `the newest fence of shard ${shard} before it is message ${newest.sequence}, by which ` +
        `node "${newest.nodeId}" has ${newest.state} it under map ${newest.mapVersion}`;
    this.#findings.add(
      RULE,
      { sequence, actorId },
      `message ${sequence} of "${actorId}" was saved under fence ${text}, and ${is}`,
    );
  }

  async #before(shard: number, sequence: StreamSequence): Promise<FenceHolder | undefined> {
    if (!this.#newest.has(shard) && this.#looksBack) {
      const message = await this.#source.lastBefore(this.#source.layout.fence(shard), sequence);
      this.#newest.set(shard, message && fenceHolderIn(message));
    }
    return this.#newest.get(shard);
  }
}
