import { categoryOf } from "../actor.ts";
import { refusePromise } from "../base/hook.ts";
import { checkCategory } from "../check/query.ts";
import { reasonOf } from "../base/reason.ts";
import { isAetherError } from "../errors.ts";
import { asStreamSequence } from "../format/position.ts";
import type { EventStore } from "../store.ts";
import type { Findings } from "./findings.ts";
import type { VerifySnapshots } from "./options.ts";
import { isSameState } from "./same_state.ts";

/** Actors that are replayed where nothing is said. */
const SAMPLE = 100;

/** Compares the snapshots of some actors with replays; picks them while the walk meets actors. */
export class SnapshotCheck {
  readonly #options: VerifySnapshots;
  readonly #picked: string[] = [];
  #met = 0;

  /** Picks and compares as `options` say. */
  constructor(options: VerifySnapshots) {
    const { category } = options;
    if (category !== undefined) checkCategory(category, "verify snapshots of category");
    this.#options = options;
  }

  /** Takes an actor that is met; each one has the same chance to be picked. */
  meet(actorId: string): void {
    const { category, sample = SAMPLE } = this.#options;
    if (category !== undefined && categoryOf(actorId) !== category) return;
    const at = this.#met++ < sample ? this.#picked.length : Math.floor(Math.random() * this.#met);
    if (at < sample) this.#picked[at] = actorId;
  }

  /** Compares the snapshots of those that were picked; gives how many there were. */
  async run(store: EventStore, findings: Findings, signal: AbortSignal): Promise<number> {
    const { store: snapshots, name, schemaVersion } = this.#options;
    let count = 0;
    for (const actorId of new Set(this.#picked)) {
      signal.throwIfAborted();
      const snapshot = await snapshots.getLatestSnapshot(actorId, { name, schemaVersion });
      if (snapshot === undefined) continue;
      count++;
      const problem = await this.#compare(store, snapshot, signal);
      if (problem === undefined) continue;
      const { version } = snapshot;
      findings.add(
        "snapshot",
        { sequence: asStreamSequence(0), actorId },
        `the snapshot of "${actorId}" at version ${version} in schema ${schemaVersion} ${problem}`,
      );
    }
    return count;
  }

  async #compare(
    store: EventStore,
    { actorId, version, state, lastEventId }:
      & Awaited<
        ReturnType<VerifySnapshots["store"]["getLatestSnapshot"]>
      >
      & object,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { evolution } = this.#options;
    const evolve = evolution.evolve as (state: unknown, event: unknown) => unknown;
    let last = { version: 0, id: "" };
    let isSame: boolean;
    try {
      let replayed = evolution.initialState();
      refusePromise(replayed, "initialState()");
      for await (const event of store.readEvents(actorId, { toVersion: version, signal })) {
        // First: `evolve` may change its event.
        last = { version: event.version, id: event.id };
        replayed = evolve(replayed, event);
        refusePromise(replayed, "evolve()");
      }
      isSame = isSameState(state, replayed);
    } catch (error) {
      if (signal.aborted || isAetherError(error, "StoreUnavailableError")) throw error;
      return `cannot be compared with a replay: ${reasonOf(error)}`;
    }
    if (last.version !== version) {
      return `is of an event that is not stored: up to there the last one has version ` +
        `${last.version}`;
    }
    if (lastEventId !== undefined && lastEventId !== last.id) {
      return `is of event "${lastEventId}", and the one that is stored there is "${last.id}"`;
    }
    return isSame ? undefined : "is not the state that its events make up";
  }
}
