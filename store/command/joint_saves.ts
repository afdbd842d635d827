import { Notifier } from "../base/notifier.ts";
import { type CommandTrace, inTraceOf } from "./command_trace.ts";
import { isAetherError, SaveOutcomeUnknownError } from "../errors.ts";
import type { Event } from "../event.ts";
import { type InnerSaveOptions, positionsIn } from "../format/save_options.ts";
import type { SavePart } from "../format/runs.ts";
import type { SaveReceipt } from "../options.ts";
import type { EventStore } from "../store.ts";

/** The most events of a group; each may take a message of the batch, which has room for 1,000. */
const MAX_EVENTS = 500;
/** How long a group waits for calls that are about to save, in ms: less than a batch takes. */
const GATHER = 2;

/** The save of one call on several actors. */
export interface JointSave {
  readonly events: readonly Event[];
  readonly options: InnerSaveOptions & { readonly parts: readonly SavePart[] };
  /** Whether it may go together with others: its actors are only its own. */
  readonly canGroup: boolean;
  /** Its trace, if a tracing SDK is installed. */
  readonly trace: CommandTrace | undefined;
  /** Whether nobody waits for it any more. */
  readonly isOver: () => unknown;
}

/** The result of a save: where the events of each part end, or no positions if they are not known. */
export interface JointReceipt {
  readonly positions: readonly number[] | undefined;
}

/** A save that waits. */
interface Waiting {
  readonly save: JointSave;
  readonly resolve: (receipt: JointReceipt) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Saves of calls on several actors. A server takes as long for an atomic batch of a few events as
 * for one of hundreds, so calls that come while a batch is under way go out together as the next
 * one. If one is refused, it goes in halves, so that each call hears of its own conflict only.
 */
export class JointSaves {
  readonly #store: EventStore;
  readonly #waiting: Waiting[] = [];
  readonly #changed = new Notifier();
  /** Calls that load or decide, and are likely to save soon. */
  #preparing = 0;
  #isSaving = false;

  /** Saves in `store`. */
  constructor(store: EventStore) {
    this.#store = store;
  }

  /** Notes that a call loads and decides; returns the function that notes its end. */
  prepare(): () => void {
    this.#preparing++;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      if (--this.#preparing === 0) this.#changed.notify();
    };
  }

  /** Saves all events of a call, or none; throws what the store throws. */
  async save(save: JointSave): Promise<JointReceipt> {
    if (!save.canGroup) return await this.#alone(save);
    const { promise, resolve, reject } = Promise.withResolvers<JointReceipt>();
    this.#waiting.push({ save, resolve, reject });
    if (!this.#isSaving) void this.#drain();
    return await promise;
  }

  async #drain(): Promise<void> {
    this.#isSaving = true;
    while (this.#waiting.length > 0) {
      if (this.#preparing > 0) await this.#changed.wait(GATHER);
      const group = this.#next();
      if (group.length > 0) await this.#together(group);
    }
    this.#isSaving = false;
  }

  #next(): Waiting[] {
    const group: Waiting[] = [];
    let events = 0;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const { save, reject } = first;
      const error = save.isOver();
      if (error === undefined) {
        if (group.length > 0 && events + save.events.length > MAX_EVENTS) break;
        events += save.events.length;
        group.push(first);
      } else reject(error);
      this.#waiting.shift();
    }
    return group;
  }

  async #alone({ events, options, trace }: JointSave): Promise<JointReceipt> {
    const receipt = await inTraceOf([trace], () => this.#store.saveEvents(events, options));
    return { positions: positionsOf(receipt, options.parts) };
  }

  /** Saves a group; never rejects. */
  async #together(group: readonly Waiting[]): Promise<void> {
    if (group.length === 1) {
      const { save, resolve, reject } = group[0]!;
      return await this.#alone(save).then(resolve, reject);
    }
    const saves = group.map(({ save }) => save);
    const parts = saves.flatMap(({ options }) => options.parts);
    const ends = new Map(saves.flatMap(({ options }) => [...options.ends ?? []]));
    const options: InnerSaveOptions = {
      expect: saves.flatMap(({ options }) => options.expect ?? []),
      parts,
      ...(ends.size > 0 && { ends }),
    };
    try {
      const receipt = await inTraceOf(
        saves.map(({ trace }) => trace),
        () => this.#store.saveEvents(saves.flatMap(({ events }) => events), options),
      );
      const positions = positionsOf(receipt, parts);
      let from = 0;
      for (const { save, resolve } of group) {
        const to = from + save.options.parts.length;
        resolve({ positions: positions?.slice(from, to) });
        from = to;
      }
    } catch (error) {
      if (isAetherError(error, "SaveOutcomeUnknownError")) {
        for (const { save, reject } of group) {
          const { actorId, version } = save.events[0]!;
          const settle = () => error.settle();
          reject(new SaveOutcomeUnknownError(actorId, version, settle, { cause: error }));
        }
      } else if (isAetherError(error, "StoreUnavailableError")) {
        for (const { reject } of group) reject(error);
      } else {
        const half = group.length >> 1;
        await this.#together(group.slice(0, half));
        await this.#together(group.slice(half));
      }
    }
  }
}

/** Of events that were stored before, the store says only where the last one is. */
function positionsOf(
  receipt: SaveReceipt,
  parts: readonly SavePart[],
): readonly number[] | undefined {
  return receipt.duplicate && parts.length > 1 ? undefined : positionsIn(receipt, parts);
}
