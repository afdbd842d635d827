import { messageOf } from "../../store/base/text.ts";
import {
  isAetherError,
  type StoreRefusedError,
  StoreUnavailableError,
} from "../../store/errors.ts";
import { isTooLarge } from "../../store/nats/failure.ts";
import { isPassing } from "../../store/nats/stream_api.ts";

/**
 * How long what may pass has to last before it counts, in ms: NATS takes no writes for up to 9 s
 * while it elects the leader of a stream.
 */
const PATIENCE = 15_000;
/** How long a failure counts that nothing has tried again, in ms. */
const FORGET = 60_000;

/** A write that fails. */
interface Failure {
  readonly since: number;
  last: number;
  reason: string | undefined;
  /** The refusal of the server that would come again. */
  refusal: StoreRefusedError | undefined;
}

/**
 * Whether this node can serve its shards: it may live, and have no right to write the events, no
 * room for them, or claims that keep failing. Then it reports that here, and to the coordinator.
 */
export class Ability {
  readonly #nodeId: string;
  readonly #report: (error: unknown) => void;
  readonly #failures = new Map<number, Failure>();

  /** The node can serve until a write fails. */
  constructor(nodeId: string, report: (error: unknown) => void) {
    this.#nodeId = nodeId;
    this.#report = report;
  }

  /** Why the node cannot serve; `undefined` if it can. */
  get problem(): string | undefined {
    const now = performance.now();
    for (const [shard, { last, reason }] of this.#failures) {
      if (now - last > FORGET) this.#failures.delete(shard);
      else if (reason !== undefined) return reason;
    }
    return undefined;
  }

  /** The lasting refusal of the shard's writes by the server; `undefined` if there is none. */
  refusalOf(shard: number): StoreRefusedError | undefined {
    const { last = -Infinity, refusal } = this.#failures.get(shard) ?? {};
    return performance.now() - last > FORGET ? undefined : refusal;
  }

  /** A claim of the shard, or a save in it, has failed; or the whole store has, for good. */
  failed(shard: number, error: unknown): void {
    const refusal = isAetherError(error, "StoreRefusedError") ? error : undefined;
    const isLost = isAetherError(error, "StreamRegressedError");
    const isLasting = refusal !== undefined || isLost;
    if (isLasting ? isTooLarge(error) : !isPassingFailure(error)) return;
    const now = performance.now();
    const before = this.#failures.get(shard);
    const failure = before === undefined || now - before.last > FORGET
      ? { since: now, last: now, reason: undefined, refusal: undefined }
      : before;
    failure.last = now;
    if (refusal !== undefined) failure.refusal = refusal;
    this.#failures.set(shard, failure);
    if (failure.reason !== undefined || (!isLasting && now - failure.since < PATIENCE)) return;
    const isKnown = this.problem !== undefined;
    failure.reason = messageOf((error as Error).cause ?? error);
    if (isKnown) return;
    this.#report(
      new StoreUnavailableError(
        `Cannot serve shards as node "${this.#nodeId}": ${failure.reason}; ` +
          (isLost
            ? "have it leave, then join again"
            : "see that it may write the events, and that there is room for them"),
        { cause: error },
      ),
    );
  }

  /** The shard was written, or is not this node's any more. */
  ended(shard: number): void {
    this.#failures.delete(shard);
  }
}

/** Whether the store was out of reach: a save that its caller has given up says nothing. */
function isPassingFailure(error: unknown): boolean {
  return isAetherError(error, "StoreUnavailableError") &&
    (error.cause === undefined || isPassing(error.cause));
}
