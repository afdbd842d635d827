import { unlessAborted } from "./abort.ts";
import type { Committer } from "./committer.ts";
import { haveBodies, withBodies } from "./encode.ts";
import { SaveOutcomeUnknownError, StoreUnavailableError, VersionConflictError } from "./errors.ts";
import { Lanes } from "./lanes.ts";
import { MAX_BATCH } from "./layout.ts";
import { type CheckedEvent, type PreparedEvent, unavailable } from "./prepare.ts";
import type { Save } from "./save.ts";
import type { SaveReceipt } from "./store.ts";
import type { StoredNotifier } from "./stored.ts";

/** Bytes of bodies that one group of saves may have. */
const GROUP_BYTES = 8 * 1024 * 1024;

/** A save whose events may still have to be encoded. */
export type Plan = Omit<Save, "events">;

/** A save that waits for its turn. */
interface Waiting {
  readonly plan: Plan;
  readonly checked: readonly CheckedEvent[];
  /** Its end, where it went along with the saves before it. */
  taken?: Promise<SaveReceipt>;
}

/**
 * Lets the saves of one actor go one after the other, and those of different actors side by
 * side. Saves of one actor that pile up go out together, in one atomic batch: where one of them
 * is refused they are tried again one at a time, so that each hears only of its own conflict.
 */
export class SaveQueue {
  readonly #committer: Committer;
  readonly #notifier: StoredNotifier;
  readonly #threshold: number;
  readonly #lanes = new Lanes();
  /** What waits behind the save whose turn it is, by actor, in order. */
  readonly #waiting = new Map<string, Waiting[]>();

  /** `threshold`: saves from which a batch is quicker than one at a time. */
  constructor(committer: Committer, notifier: StoredNotifier, threshold: number) {
    this.#committer = committer;
    this.#notifier = notifier;
    this.#threshold = threshold;
  }

  /** Brings a save to its end when its turn comes. */
  save(plan: Plan, checked: readonly CheckedEvent[]): Promise<SaveReceipt> {
    let waiting: Waiting | undefined;
    for (const actorId of plan.actors) {
      if (!this.#lanes.isBusy(actorId)) continue;
      waiting ??= { plan, checked };
      const line = this.#waiting.get(actorId);
      if (line === undefined) this.#waiting.set(actorId, [waiting]);
      else line.push(waiting);
    }
    if (plan.signal !== undefined) return this.#abortable(plan, checked, waiting, plan.signal);
    return this.#lanes.run(plan.actors, () => this.#turn(plan, checked, waiting));
  }

  /** Resolves when no save is left. */
  idle(): Promise<void> {
    return this.#lanes.idle();
  }

  /** Gives up at once where the signal is aborted before the turn has come. */
  async #abortable(
    plan: Plan,
    checked: readonly CheckedEvent[],
    waiting: Waiting | undefined,
    signal: AbortSignal,
  ): Promise<SaveReceipt> {
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const done = this.#lanes.run(plan.actors, () => {
      begin();
      return this.#turn(plan, checked, waiting);
    });
    done.catch(() => {}); // Awaited below, unless nobody waits any more.
    try {
      await unlessAborted(signal, begun);
    } catch (cause) {
      throw unavailable(checked[0]!, cause);
    }
    return await done;
  }

  #turn(
    plan: Plan,
    checked: readonly CheckedEvent[],
    waiting: Waiting | undefined,
  ): Promise<SaveReceipt> {
    if (waiting !== undefined) this.#step(waiting);
    if (waiting?.taken !== undefined) return waiting.taken;
    // Told already, for nobody waits: nothing must be sent any more.
    if (plan.signal?.aborted) return Promise.reject(unavailable(checked[0]!, plan.signal.reason));
    const group = this.#group(plan, checked);
    return group === undefined ? this.#alone(plan, checked) : this.#together(plan, checked, group);
  }

  /** Takes the save whose turn has come out of its lines; it stands first in all of them. */
  #step(waiting: Waiting): void {
    for (const actorId of waiting.plan.actors) {
      const line = this.#waiting.get(actorId);
      if (line?.[0] !== waiting) continue;
      line.shift();
      if (line.length === 0) this.#waiting.delete(actorId);
    }
  }

  /** Makes few promises where nobody is to be told: with many saves in flight their number counts. */
  #alone(plan: Plan, checked: readonly CheckedEvent[]): Promise<SaveReceipt> {
    if (!haveBodies(checked)) return this.#encoded(plan, checked);
    const done = this.#committer.commit({ ...plan, events: checked });
    return this.#notifier.silent ? done : done.then((receipt) => this.#told(receipt, checked));
  }

  async #encoded(plan: Plan, checked: readonly CheckedEvent[]): Promise<SaveReceipt> {
    let events: readonly PreparedEvent[];
    try {
      events = await unlessAborted(plan.signal, withBodies(checked));
    } catch (error) {
      throw plan.signal?.aborted ? unavailable(checked[0]!, plan.signal.reason) : error;
    }
    return await this.#alone(plan, events);
  }

  async #told(receipt: SaveReceipt, events: readonly PreparedEvent[]): Promise<SaveReceipt> {
    if (!receipt.duplicate) await this.#notifier.notify(events);
    return receipt;
  }

  /** The saves behind this one that can go along: those whose versions follow, without a gap in line. */
  #group(plan: Plan, checked: readonly CheckedEvent[]): Waiting[] | undefined {
    const [actorId] = plan.actors as [string];
    const line = this.#waiting.get(actorId);
    if (line === undefined || line.length + 1 < this.#threshold) return undefined;
    if (!canGroup(plan, checked)) return undefined;
    let version = checked.at(-1)!.version;
    let count = checked.length;
    let bytes = sizeOf(checked);
    const group: Waiting[] = [];
    for (const next of line) {
      if (!canGroup(next.plan, next.checked)) break;
      const expected = next.plan.expect.get(actorId) ?? version;
      count += next.checked.length;
      bytes += sizeOf(next.checked);
      if (expected !== version || next.checked[0]!.version <= version) break;
      if (count > MAX_BATCH || bytes > GROUP_BYTES) break;
      version = next.checked.at(-1)!.version;
      group.push(next);
    }
    return group.length + 1 < this.#threshold ? undefined : group;
  }

  /** Commits a save and those behind it in one batch, and tells each its own outcome. */
  #together(
    plan: Plan,
    checked: readonly CheckedEvent[],
    group: readonly Waiting[],
  ): Promise<SaveReceipt> {
    const members = [{ plan, checked }, ...group].map((member) => ({
      plan: member.plan,
      events: member.checked as readonly PreparedEvent[],
      ...Promise.withResolvers<SaveReceipt>(),
    }));
    for (const [at, member] of members.entries()) {
      member.promise.catch(() => {}); // Told when its turn comes.
      if (at > 0) group[at - 1]!.taken = member.promise;
    }
    const whole = this.#committer.commit({ ...plan, events: members.flatMap((it) => it.events) });
    whole.then(async (receipt) => {
      if (receipt.duplicate) return await this.#oneByOne(members);
      let sequence = receipt.sequence - members.reduce((sum, it) => sum + it.events.length, 0);
      for (const { events, resolve } of members) {
        sequence += events.length;
        resolve(await this.#told({ sequence, duplicate: false }, events));
      }
    }, async (error) => {
      const absent = error instanceof VersionConflictError ||
        error instanceof StoreUnavailableError;
      if (absent) return await this.#oneByOne(members);
      for (const { events, reject } of members) reject(errorFor(events, error));
    });
    return members[0]!.promise;
  }

  /** Nothing of the group was stored, or all of it before: each save finds out for itself. */
  async #oneByOne(members: readonly Member[]): Promise<void> {
    for (const { plan, events, resolve, reject } of members) {
      await this.#alone(plan, events).then(resolve, reject);
    }
  }
}

/** A save that goes along with others. */
interface Member {
  readonly plan: Plan;
  readonly events: readonly PreparedEvent[];
  readonly resolve: (receipt: SaveReceipt) => void;
  readonly reject: (error: unknown) => void;
}

/** Whether the save is of one actor and depends on no other, and nothing of it is still to come. */
function canGroup(plan: Plan, checked: readonly CheckedEvent[]): boolean {
  if (plan.actors.length > 1 || plan.signal !== undefined || !haveBodies(checked)) return false;
  return plan.expect.size === 0 || (plan.expect.size === 1 && plan.expect.has(plan.actors[0]!));
}

function sizeOf(events: readonly CheckedEvent[]): number {
  return events.reduce((sum, { body }) => sum + (body as Uint8Array).length, 0);
}

/** An unknown outcome names the save that it is told to. */
function errorFor([event]: readonly PreparedEvent[], error: unknown): unknown {
  if (!(error instanceof SaveOutcomeUnknownError)) return error;
  const { actorId, version } = event!;
  return new SaveOutcomeUnknownError(actorId, version, () => error.settle(), {
    cause: error.cause,
  });
}
