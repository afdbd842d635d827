import { isInstance } from "../base/text.ts";
import { unlessAborted } from "../base/abort.ts";
import { KeyedQueue } from "../base/keyed_queue.ts";
import { unavailable } from "../check/refusals.ts";
import { SaveOutcomeUnknownError } from "../errors.ts";
import type { StoredNotifier } from "../event_stored.ts";
import { type CheckedEvent, haveBodies, type PreparedEvent, withBodies } from "../format/encode.ts";
import { MAX_BODIES } from "../format/layout.ts";
import { MAX_RUN } from "../format/position.ts";
import { divide, membersOf, positionsOf, type Run } from "../format/runs.ts";
import type { SaveReceipt } from "../options.ts";
import type { Save } from "./messages.ts";
import { saveOf, type SavePlan, subjectOfPlan } from "./plan.ts";
import type { Commits } from "./shared_commit.ts";

/** A save in line. */
interface QueuedSave {
  readonly plan: SavePlan;
  readonly checked: readonly CheckedEvent[];
  /** Its end, if it went along with the saves before it. */
  taken?: Promise<SaveReceipt>;
}

/**
 * Lets the saves of one actor go one after the other, and those of different actors side by
 * side. Saves of one actor that pile up go out together, as one message: if one of them is
 * refused they are tried again one at a time, so that each hears only of its own conflict.
 */
export class SaveQueue {
  readonly #commits: Commits;
  readonly #notifier: StoredNotifier;
  readonly #lanes = new KeyedQueue<QueuedSave>();

  /** Commits with `commits`, and tells `notifier`. */
  constructor(commits: Commits, notifier: StoredNotifier) {
    this.#commits = commits;
    this.#notifier = notifier;
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

  /** Gives up at once if the signal is aborted before the turn has come. */
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
      throw unavailable(subjectOfPlan(plan, checked), cause);
    }
    return await done;
  }

  #turn(
    entry: QueuedSave,
    turn: { behind(): Iterable<QueuedSave | undefined> },
  ): Promise<SaveReceipt> {
    const { plan, checked, taken } = entry;
    if (taken !== undefined) return taken;
    // Its caller has its result already: nothing must be sent any more.
    if (plan.signal?.aborted) {
      return Promise.reject(unavailable(subjectOfPlan(plan, checked), plan.signal.reason));
    }
    const group = canGroup(entry) ? this.#group(entry, turn.behind()) : undefined;
    if (group === undefined) return this.#alone(plan, checked);
    try {
      plan.check?.();
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#together(group);
  }

  /** Makes few promises if nobody is to be notified: with many saves in flight their number counts. */
  #alone(plan: SavePlan, checked: readonly CheckedEvent[]): Promise<SaveReceipt> {
    let save: Save;
    try {
      plan.check?.(); // Also once its codec is done, or its group was refused.
      if (!haveBodies(checked)) return this.#encoded(plan, checked);
      save = saveOf(plan, checked);
    } catch (error) {
      return Promise.reject(error);
    }
    const done = this.#commits.commit(save);
    if (this.#notifier.silent) return done;
    return done.then((receipt) =>
      this.#reported(receipt, plan, save.events, () => positionsOf(save.runs, receipt.sequence))
    );
  }

  async #encoded(plan: SavePlan, checked: readonly CheckedEvent[]): Promise<SaveReceipt> {
    let events: readonly PreparedEvent[];
    try {
      events = await unlessAborted(plan.signal, withBodies(checked, plan.deadline));
    } catch (error) {
      throw plan.signal?.aborted
        ? unavailable(subjectOfPlan(plan, checked), plan.signal.reason)
        : error;
    }
    return await this.#alone(plan, events);
  }

  async #reported(
    receipt: SaveReceipt,
    { within }: SavePlan,
    events: readonly PreparedEvent[],
    positions: () => readonly number[],
  ): Promise<SaveReceipt> {
    if (receipt.duplicate || this.#notifier.silent) return receipt;
    await this.#notifier.notify(events, positions(), within);
    return receipt;
  }

  /** This save and those right behind it that fit in one message; `undefined` if none does. */
  #group(entry: QueuedSave, behind: Iterable<QueuedSave | undefined>): Group | undefined {
    const [actorId] = entry.plan.actors as [string];
    const entries = [entry];
    let { version } = entry.checked.at(-1)!;
    let count = entry.checked.length;
    let bytes = sizeOf(entry.checked);
    const ids = new Set(entry.checked.map(({ id }) => id));
    for (const next of behind) {
      if (next === undefined || !canGroup(next)) break;
      const expected = next.plan.expect.get(actorId) ?? version;
      count += next.checked.length;
      bytes += sizeOf(next.checked);
      if (expected !== version || next.checked[0]!.version <= version) break;
      if (count > MAX_RUN || bytes > MAX_BODIES) break;
      // An id that comes again is refused once the first event is stored.
      if (next.checked.some(({ id }) => ids.has(id))) break;
      for (const { id } of next.checked) ids.add(id);
      version = next.checked.at(-1)!.version;
      entries.push(next);
    }
    if (entries.length === 1) return undefined;
    const members = entries.map(({ plan, checked }) =>
      membersOf(plan.parts, checked as readonly PreparedEvent[])
    );
    const { runs: [run], places } = divide(members.flat(), entry.plan.maxBytes);
    // Saves of several parts go as wholes: the last one whose parts are all in the first run.
    let parts = 0;
    let saves = 0;
    for (const { length } of members) {
      if (places[parts + length - 1]!.last.run > 0) break;
      parts += length;
      saves++;
    }
    if (saves < 2) return undefined;
    return { entries: entries.slice(0, saves), run: upTo(run!, parts) };
  }

  /** Commits saves as one message, and tells each its own outcome. */
  #together({ entries, run }: Group): Promise<SaveReceipt> {
    const members = entries.map(({ plan, checked }) => ({
      plan,
      events: checked as readonly PreparedEvent[],
      ...Promise.withResolvers<SaveReceipt>(),
    }));
    for (const [at, member] of members.entries()) {
      member.promise.catch(() => {}); // Told when its turn comes.
      if (at > 0) entries[at]!.taken = member.promise;
    }
    const { plan } = entries[0]!;
    const parts = entries.flatMap(({ plan }) => plan.parts);
    const whole = this.#commits.commit({ ...plan, parts, events: run.events, runs: [run] });
    whole.then(async (receipt) => {
      if (receipt.duplicate) return await this.#oneByOne(members);
      let sequence = receipt.sequence - run.events.length;
      for (const { plan, events, resolve } of members) {
        sequence += events.length;
        const start = sequence - events.length + 1;
        const positions = () => events.map((_, at) => start + at);
        resolve(await this.#reported({ sequence, duplicate: false }, plan, events, positions));
      }
    }, async (error) => {
      // The batch is certainly not stored, perhaps for a reason that concerns one of them only.
      if (!isInstance(error, SaveOutcomeUnknownError)) return await this.#oneByOne(members);
      for (const { events, reject } of members) {
        reject(this.#commits.partOf(error, { events, runs: [] }));
      }
    });
    return members[0]!.promise;
  }

  /** Nothing of the group was stored, or all of it before: each save finds out for itself. */
  async #oneByOne(members: readonly GroupMember[]): Promise<void> {
    for (const { plan, events, resolve, reject } of members) {
      await this.#alone(plan, events).then(resolve, reject);
    }
  }
}

/** Saves that go together, and the message that they make. */
interface Group {
  readonly entries: readonly QueuedSave[];
  readonly run: Run;
}

/** A save that goes along with others. */
interface GroupMember {
  readonly plan: SavePlan;
  readonly events: readonly PreparedEvent[];
  readonly resolve: (receipt: SaveReceipt) => void;
  readonly reject: (error: unknown) => void;
}

/** Whether the save is of one actor and depends on no other, and nothing of it is still to come. */
function canGroup({ plan, checked }: QueuedSave): boolean {
  if (plan.actors.length > 1 || plan.signal !== undefined || !haveBodies(checked)) return false;
  if (plan.receipt !== undefined || plan.ends !== undefined) return false;
  return plan.expect.size === 0 || (plan.expect.size === 1 && plan.expect.has(plan.actors[0]!));
}

/** The first saves of a run. */
function upTo(run: Run, count: number): Run {
  if (count === run.saves.length) return run;
  const saves = run.saves.slice(0, count);
  const events = run.events.slice(0, saves.reduce((sum, { events }) => sum + events, 0));
  return { ...run, events, saves };
}

function sizeOf(events: readonly CheckedEvent[]): number {
  return events.reduce((sum, { body }) => sum + (body as Uint8Array).length, 0);
}
