import { reasonOf } from "../base/reason.ts";
import { SaveOutcomeUnknownError, StoreUnavailableError } from "../errors.ts";
import type { Attempts } from "./attempts.ts";
import type { ShardClaim } from "./claims.ts";
import type { CheckedEvent, PreparedEvent } from "../format/encode.ts";
import { adviceAbout, failed, notSaved } from "../nats/failure.ts";
import type { SaveReceipt } from "../options.ts";
import type { Head } from "../read/heads.ts";
import type { Save } from "../save/messages.ts";
import { saveOf, type SavePlan, subjectOfPlan } from "../save/plan.ts";
import type { SaveOutcome } from "../save/settle.ts";

/** A request to a commit. */
export interface PendingSaveInit {
  readonly plan: SavePlan;
  /** The save; `undefined` if only the claims are to be proved. */
  readonly checked: readonly CheckedEvent[];
  /** The claims of all shards that it writes, as they were when it came. */
  readonly claims: readonly ShardClaim[];
}

/**
 * A save in line for a commit, from its arrival until its caller gets the result; or a barrier,
 * which saves nothing and proves a claim.
 */
export class PendingSave {
  readonly plan: SavePlan;
  readonly checked: readonly CheckedEvent[];
  readonly claims: readonly ShardClaim[];
  /** The promise that the caller waits for. */
  readonly receipt: Promise<SaveReceipt>;
  /** The save, once the bodies of its events are at hand. */
  save: Save | undefined;
  /** Bytes of the bodies. */
  bytes = 0;
  /** Heads that were read for it. */
  readonly known: Map<string, Head> = new Map();
  /** Whether all of `known` was read since the last refusal, so that it may decide the save. */
  isFresh = false;
  /** Whether something is under way for it, so that it has to wait. */
  isBusy = false;
  /** Whether the caller has its result. */
  isEnded = false;
  /** Whether it has to be committed without others, as a group with it was refused for good. */
  isAlone = false;
  /** How often it was refused without a visible cause. */
  refusals = 0;
  /** The last failure. */
  cause: unknown;
  /** Attempts that it was in. */
  tries: Attempts<PendingSave> | undefined;
  /** Its outcome, if that was found out after its caller got a result. */
  outcome: SaveOutcome = "unknown";
  readonly #resolve: (receipt: SaveReceipt) => void;
  readonly #reject: (error: unknown) => void;
  readonly #settle: (entry: PendingSave) => () => ReturnType<SaveOutcomeUnknownError["settle"]>;

  /** `settle` finds out later what became of an entry whose outcome is unknown. */
  constructor(
    { plan, checked, claims }: PendingSaveInit,
    settle: (entry: PendingSave) => () => ReturnType<SaveOutcomeUnknownError["settle"]>,
  ) {
    const { promise, resolve, reject } = Promise.withResolvers<SaveReceipt>();
    this.plan = plan;
    this.checked = checked;
    this.claims = claims;
    this.receipt = promise;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#settle = settle;
  }

  /**
   * Takes the events with their bodies.
   *
   * @throws {RangeError} They take more messages than fit in one batch.
   */
  prepare(events: readonly PreparedEvent[]): void {
    this.save = saveOf(this.plan, events, this.claims.length);
    for (const { body } of events) this.bytes += body.length;
  }

  /** The work of the entry, as errors name it. */
  get what(): string {
    const first = this.subject;
    return first === undefined
      ? `prove that shard ${this.claims[0]!.shard} is owned`
      : `save event at version ${first.version} of "${first.actorId}"`;
  }

  /** The actor and the version that errors name; `undefined` if only claims are to be proved. */
  get subject(): Pick<CheckedEvent, "actorId" | "version"> | undefined {
    if (this.plan.actors.length === 0) return undefined;
    return subjectOfPlan(this.plan, this.checked);
  }

  /** Whether it may be put into a commit now. */
  get isReady(): boolean {
    return this.save !== undefined && !this.isBusy;
  }

  /** Resolves: it is stored. */
  resolve(receipt: SaveReceipt): void {
    this.#resolve(receipt);
  }

  /** Rejects with the reason why it is not stored. */
  reject(error: unknown): void {
    this.#reject(error);
  }

  /** Rejects with as much as is known by now: its time is over, or it was aborted. */
  giveUp(cause: unknown): void {
    const first = this.subject;
    if (first === undefined) {
      const reason = reasonOf(cause, "its turn did not come in time");
      const error = adviceAbout(cause) === undefined
        ? new StoreUnavailableError(`Cannot ${this.what}: ${reason}`, { cause })
        : failed(this.what, cause);
      return this.reject(error);
    }
    if (this.tries?.has(this) !== true) return this.reject(notSaved(first, cause));
    const { actorId, version } = first;
    this.reject(new SaveOutcomeUnknownError(actorId, version, this.#settle(this), { cause }));
  }
}
