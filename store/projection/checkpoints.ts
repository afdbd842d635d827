import { called, unlessStuck } from "../base/abort.ts";
import { jitteredWaits } from "../base/jitter.ts";
import { isRecord } from "../base/json.ts";
import { sleep } from "../base/sleep.ts";
import { describe } from "../base/token.ts";
import { CorruptCheckpointError } from "../errors.ts";
import type { CheckpointStore } from "./checkpoint_store.ts";
import {
  beginning,
  type KeptParked,
  MAX_PARTITIONS,
  type PartitionId,
  type PartitionState,
  type ProjectionBeginning,
  type ProjectionControl,
  ProjectionKeys,
} from "./state.ts";

/** The shortest and the longest wait after another process was quicker, in ms. */
const WAITS = [1, 250] as const;

/** Waits after saves that came too late: without them, a store that takes none keeps its callers busy. */
export function waitsForOthers(): () => number {
  return jitteredWaits(...WAITS);
}

/** The checkpoints of a projection: its control, for all processes, and each partition's state. */
export class ProjectionCheckpoints<Tx> {
  /** Keeps the texts. */
  readonly store: CheckpointStore<Tx>;
  /** Their keys. */
  readonly keys: ProjectionKeys;
  readonly #begin: () => Promise<ProjectionBeginning | undefined>;
  readonly #filter: string;
  readonly #stop: AbortSignal | undefined;

  /**
   * The checkpoints of the projection `name`; a new one begins where `begin` says. With `stop`, a store
   * that never answers holds up no call once that is aborted.
   */
  constructor(
    store: CheckpointStore<Tx>,
    name: string,
    begin: () => Promise<ProjectionBeginning | undefined>,
    filter: string,
    stop?: AbortSignal,
  ) {
    this.store = store;
    this.#stop = stop;
    this.#begin = begin;
    this.#filter = filter;
    this.keys = new ProjectionKeys(name);
  }

  /** The current control; begins with version 1 in `partitions` if nothing is saved yet. */
  async control(partitions: number): Promise<ProjectionControl> {
    return await this.change(partitions, (control) => control);
  }

  /**
   * Saves the control that `change` returns for the current one, and calls it again if another
   * process was quicker; returns the control in the end.
   *
   * @param also Work to commit with it, in the same transaction if the store has any.
   */
  async change(
    partitions: number,
    change: (control: ProjectionControl) => ProjectionControl,
    also?: (control: ProjectionControl, tx: Tx) => void | Promise<void>,
  ): Promise<ProjectionControl> {
    const key = this.keys.control;
    const nextWait = waitsForOthers();
    for (;; await sleep(nextWait())) {
      const saved = await this.#answer(this.store.load(key));
      const before = saved === undefined
        ? await this.#first(partitions)
        : readControl(key, saved.body);
      const after = change(before);
      if (after === before && saved !== undefined) return before;
      const control = { ...after, nonce: crypto.randomUUID() };
      const revision = (saved?.revision ?? 0) + 1;
      const next = { revision, body: JSON.stringify(control) };
      if (also === undefined || this.store.transaction === undefined) {
        await this.#answer(called(() => also?.(control, undefined as Tx)));
        if (await this.#answer(this.store.save(key, next))) return control;
      } else {
        const together = this.#together(key, next, (tx) => also(control, tx));
        if (await this.#answer(together)) return control;
      }
    }
  }

  /** The control of a new projection. */
  async #first(partitions: number): Promise<ProjectionControl> {
    const begin = await this.#begin();
    const active = { version: 1, partitions, ...(begin && { begin }), filter: this.#filter };
    return { active, latest: 1, paused: false, retries: {}, nonce: "" };
  }

  async #together(
    key: string,
    next: { revision: number; body: string },
    also: (tx: Tx) => void | Promise<void>,
  ): Promise<boolean> {
    const stale = new Error("stale");
    try {
      await this.store.transaction!(async (tx) => {
        await also(tx);
        if (!await this.store.save(key, next, tx)) throw stale;
      });
      return true;
    } catch (error) {
      if (error === stale) return false;
      throw error;
    }
  }

  /** The state of a partition; the beginning, in the store of `identity`, if nothing is saved. */
  async partition(
    { version, partition, begin }: Omit<PartitionId, "of">,
    identity: string,
  ): Promise<{ readonly revision: number; readonly state: PartitionState }> {
    const key = this.keys.partition(version, partition);
    const saved = await this.#answer(this.store.load(key));
    return saved === undefined
      ? { revision: 0, state: beginning(begin ?? { identity, sequence: 0 }) }
      : { revision: saved.revision, state: readState(key, saved.body) };
  }

  /** Makes a retired partition go on, if its version is the only one: the one to replace it was given up. */
  async revive({ of, ...partitionId }: PartitionId, identity: string): Promise<void> {
    const { version, partition } = partitionId;
    const { revision, state } = await this.partition(partitionId, identity);
    // After the state: a rebuild that begins meanwhile has its own reason to retire it.
    const { active, next } = await this.control(of);
    if (!state.retired || active.version !== version || next !== undefined) return;
    const revived = { ...state, owner: crypto.randomUUID(), retired: false };
    const saved = { revision: revision + 1, body: JSON.stringify(revived) };
    // If another process was quicker, the claim that follows shows what it did.
    await this.#answer(this.store.save(this.keys.partition(version, partition), saved));
  }

  /** Takes a partition from its owner, so that no process goes on with it. */
  async retire(
    partitionId: Omit<PartitionId, "of">,
    identity: string,
  ): Promise<PartitionState> {
    const { version, partition } = partitionId;
    const nextWait = waitsForOthers();
    for (;; await sleep(nextWait())) {
      const { revision, state } = await this.partition(partitionId, identity);
      if (state.retired) return state;
      const retired = { ...state, owner: crypto.randomUUID(), retired: true };
      const next = { revision: revision + 1, body: JSON.stringify(retired) };
      const save = this.store.save(this.keys.partition(version, partition), next);
      if (await this.#answer(save)) return retired;
    }
  }

  #answer<T>(asked: Promise<T>): Promise<T> {
    return unlessStuck(this.#stop, asked);
  }
}

/**
 * The record that a checkpoint store keeps under `key`.
 *
 * @throws {TypeError} `body` is no text.
 * @throws {CorruptCheckpointError} It is no JSON, or not as `isWhole` wants it.
 */
export function readRecord<T>(
  key: string,
  body: string,
  isWhole: (value: Record<string, unknown>) => boolean,
): T {
  // A store of the user's own may give anything, and something better when it is asked again.
  if (typeof body !== "string") {
    throw new TypeError(
      `Cannot read the record ${describe(key)}: load() of the checkpoint store gave ` +
        `${describe(body)} as its body, not a text`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (cause) {
    throw new CorruptCheckpointError(key, "it is not JSON", { cause });
  }
  if (isRecord(value) && isWhole(value)) return value as T;
  throw new CorruptCheckpointError(key, "parts of it are missing, or of another kind");
}

/** The control of a projection; see {@linkcode readRecord}. */
export function readControl(key: string, body: string): ProjectionControl {
  return readRecord(
    key,
    body,
    ({ active, next, latest, paused, retries, skipped }) =>
      isVersion(active) && (next === undefined || isVersion(next)) && isCount(latest, 1) &&
      typeof paused === "boolean" && isRecord(retries) &&
      Object.values(retries).every(isText) &&
      (skipped === undefined ||
        isListOf(skipped, ({ sequence, since }) => isCount(sequence) && isText(since))),
  );
}

/** The state of a partition; see {@linkcode readRecord}. */
export function readState(key: string, body: string): PartitionState {
  return readRecord(
    key,
    body,
    ({ sequence, caughtUp, retired, parked, ...texts }) =>
      [texts.owner, texts.identity, texts.eventId, texts.actorId].every(isText) &&
      isCount(sequence) && typeof caughtUp === "boolean" && typeof retired === "boolean" &&
      isListOf(parked, isParked),
  );
}

function isParked({ actorId, sequence, eventId, events, attempts, ...rest }: Parts<KeptParked>) {
  return [actorId, eventId, rest.eventType, rest.reason, rest.since].every(isText) &&
    [sequence, rest.version, events, attempts].every((it) => isCount(it)) &&
    (rest.answered === undefined || isText(rest.answered));
}

/** Something that may be a `T`. */
type Parts<T> = Partial<Record<keyof T, unknown>>;

function isVersion(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { version, partitions, begin, filter } = value;
  return isCount(version, 1) && isCount(partitions, 1, MAX_PARTITIONS) &&
    (filter === undefined || isText(filter)) &&
    (begin === undefined ||
      (isRecord(begin) && isText(begin.identity) && isCount(begin.sequence)));
}

function isListOf(value: unknown, isGood: (item: Record<string, unknown>) => boolean): boolean {
  return Array.isArray(value) && value.every((item) => isRecord(item) && isGood(item));
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isCount(value: unknown, least = 0, most = Infinity): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
}
