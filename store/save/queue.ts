import { unlessAborted } from "../base/abort.ts";
import { KeyedQueue } from "../base/keyed_queue.ts";
import { unavailable } from "../check/refusals.ts";
import { SaveOutcomeUnknownError, StoreUnavailableError, VersionConflictError } from "../errors.ts";
import type { StoredNotifier } from "../event_stored.ts";
import { type CheckedEvent, haveBodies, type PreparedEvent, withBodies } from "../format/encode.ts";
import { MAX_BATCH } from "../format/layout.ts";
import type { SaveReceipt } from "../options.ts";
import type { Committer } from "./committer.ts";
import type { Save } from "./messages.ts";

/** Bytes of bodies that one group of saves may have. */
const GROUP_BYTES = 8 * 1024 * 1024;

/** A save whose events may still have to be encoded. */
export type SavePlan = Omit<Save, "events">;

/** A save in line. */
interface QueuedSave {
  readonly plan: SavePlan;
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
  readonly #lanes = new KeyedQueue<QueuedSave>();

  /** `threshold`: saves from which a batch is quicker than one at a time. */
  constructor(committer: Committer, notifier: StoredNotifier, threshold: number) {
    this.#committer = committer;
    this.#notifier = notifier;
    this.#threshold = threshold;
  }

  /** Brings a save to its end when its turn comes. */
  save(plan: SavePlan, checked: readonly CheckedEvent[]): Promise<SaveReceipt> {
    const entry: QueuedSave = { plan, checked };
    if (plan.signal !== undefined) return this.#abortable(entry, plan.signal);
    return this.#lanes.run(plan.actors, (turn) => this.#turn(entry, turn), entry);
  }

  /** Resolves when no save is left. */
  idle(): Promise<void> {
    return this.#lanes.idle();
  }

  /** Gives up at once where the signal is aborted before the turn has come. */
  async #abortable(entry: QueuedSave, signal: AbortSignal): Promise<SaveReceipt> {
    const { plan, checked } = entry;
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const done = this.#lanes.run(plan.actors, (turn) => {
      begin();
      return this.#turn(entry, turn);
    }, entry);
    done.catch(() => {}); // Awaited below, unless nobody waits any more.
    try {
      await unlessAborted(signal, begun);
    } catch (cause) {
      throw unavailable(checked[0]!, cause);
    }
    return await done;
  }

  #turn(
    entry: QueuedSave,
    turn: { behind(): Iterable<QueuedSave | undefined> },
  ): Promise<SaveReceipt> {
    const { plan, checked, taken } = entry;
    if (taken !== undefined) return taken;
    // Told already, for nobody waits: nothing must be sent any more.
    if (plan.signal?.aborted) return Promise.reject(unavailable(checked[0]!, plan.signal.reason));
    const group = canGroup(entry) ? this.#group(entry, turn.behind()) : undefined;
    return group === undefined ? this.#alone(plan, checked) : this.#together(plan, checked, group);
  }

  /** Makes few promises where nobody is to be told: with many saves in flight their number counts. */
  #alone(plan: SavePlan, checked: readonly CheckedEvent[]): Promise<SaveReceipt> {
    if (!haveBodies(checked)) return this.#encoded(plan, checked);
    const done = this.#committer.commit({ ...plan, events: checked });
    if (this.#notifier.silent) return done;
    return done.then((receipt) => this.#told(receipt, plan, checked));
  }

  async #encoded(plan: SavePlan, checked: readonly CheckedEvent[]): Promise<SaveReceipt> {
    let events: readonly PreparedEvent[];
    try {
      events = await unlessAborted(plan.signal, withBodies(checked));
    } catch (error) {
      throw plan.signal?.aborted ? unavailable(checked[0]!, plan.signal.reason) : error;
    }
    return await this.#alone(plan, events);
  }

  async #told(
    receipt: SaveReceipt,
    { within }: SavePlan,
    events: readonly PreparedEvent[],
  ): Promise<SaveReceipt> {
    if (!receipt.duplicate) await this.#notifier.notify(events, within);
    return receipt;
  }

  /** The saves right behind this one that can go along: those whose versions follow. */
  #group(
    { plan, checked }: QueuedSave,
    behind: Iterable<QueuedSave | undefined>,
  ): QueuedSave[] | undefined {
    const [actorId] = plan.actors as [string];
    let version = checked.at(-1)!.version;
    let count = checked.length;
    let bytes = sizeOf(checked);
    const group: QueuedSave[] = [];
    for (const next of behind) {
      if (next === undefined || !canGroup(next)) break;
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
    plan: SavePlan,
    checked: readonly CheckedEvent[],
    group: readonly QueuedSave[],
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
      for (const { plan, events, resolve } of members) {
        sequence += events.length;
        resolve(await this.#told({ sequence, duplicate: false }, plan, events));
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
  readonly plan: SavePlan;
  readonly events: readonly PreparedEvent[];
  readonly resolve: (receipt: SaveReceipt) => void;
  readonly reject: (error: unknown) => void;
}

/** Whether the save is of one actor and depends on no other, and nothing of it is still to come. */
function canGroup({ plan, checked }: QueuedSave): boolean {
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
