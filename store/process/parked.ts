import { isRecord } from "../base/json.ts";
import { sleep } from "../base/sleep.ts";
import { encodeToken } from "../base/token.ts";
import { isAetherError } from "../errors.ts";
import type { CheckpointStore } from "../projection/checkpoint_store.ts";
import { endingWith } from "../projection/plain_checkpoints.ts";
import { readRecord, waitsForOthers } from "../projection/checkpoints.ts";

/** A process that is parked: its inputs wait. */
export interface ParkedProcess {
  /** The process's id. */
  readonly id: string;
  /** Position of the event that failed, or of the issued command whose outcome did. */
  readonly sequence: number;
  /** The id of that event. */
  readonly eventId: string;
  /** The error, as text. */
  readonly reason: string;
  /** When it was parked, as ISO 8601. */
  readonly since: string;
}

/** The list as it is kept. */
interface ParkedList {
  /** The store that it is about. */
  readonly identity: string;
  readonly parked: ParkedProcess[];
}

function readList(key: string, body: string): Partial<ParkedList> {
  return readRecord(
    key,
    body,
    ({ parked }) => parked === undefined || (Array.isArray(parked) && parked.every(isParked)),
  );
}

function isParked(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { id, sequence, eventId, reason, since } = value;
  return [id, eventId, reason, since].every((it) => typeof it === "string") &&
    Number.isSafeInteger(sequence);
}

/** Reads from the history of a process how it is parked now, if it is. */
export type LookAtProcess = () => Promise<ParkedProcess | undefined>;

/** Reads all parked processes from their histories, where the list cannot be read for `cause`. */
export type RemakeList = (cause: unknown, signal: AbortSignal) => Promise<ParkedProcess[]>;

/**
 * The list of parked processes: a read model of their histories. A program that has lost a partition
 * may come late with a change: so the history has the last word on each. If the list is damaged, they
 * make it up. A checkpoint store that never answers holds up no call once its `signal` is aborted.
 */
export class ParkedProcesses {
  readonly #checkpoints: CheckpointStore<undefined>;
  readonly #key: string;
  readonly #identity: string;
  readonly #remake: RemakeList;
  /** The ids in the list as it was seen last, since this program took a partition over. */
  #seen: { readonly revision: number; readonly ids: ReadonlySet<string> } | undefined;
  #takeovers = 0;

  /** The list under `key`, about events of the store with `identity`. */
  constructor(
    checkpoints: CheckpointStore<undefined>,
    key: string,
    identity: string,
    remake: RemakeList,
  ) {
    this.#checkpoints = checkpoints;
    this.#key = encodeToken(key);
    this.#identity = identity;
    this.#remake = remake;
  }

  /** All of them, those that are parked longest first. */
  async list(signal: AbortSignal): Promise<ParkedProcess[]> {
    return (await this.#load(signal)).parked;
  }

  /** Has the list say of one what `look` gives. */
  async update(id: string, look: LookAtProcess, signal: AbortSignal): Promise<void> {
    const nextWait = waitsForOthers();
    for (;; await sleep(nextWait(), signal)) {
      signal.throwIfAborted();
      const takeovers = this.#takeovers;
      const { revision, parked } = await this.#load(signal);
      // After the list was loaded: a program that changes it for a later event makes the save fail.
      const now = await look();
      const rest = parked.filter((it) => it.id !== id);
      if (now === undefined && rest.length === parked.length) return;
      const next = now === undefined ? rest : [...rest, now];
      const saved = await this.#save(revision + 1, next, signal);
      if (saved) return this.#see(next, revision + 1, takeovers);
    }
  }

  /** Others may have added processes for which this program is responsible from now on. */
  forget(): void {
    this.#seen = undefined;
    this.#takeovers++;
  }

  /**
   * As {@linkcode ParkedProcesses.update}, of one that goes on; asks nobody if it was not in the list
   * and only this program could have added it.
   */
  async remove(id: string, look: LookAtProcess, signal: AbortSignal): Promise<void> {
    if (this.#seen?.ids.has(id) !== false) await this.update(id, look, signal);
  }

  async #load(signal: AbortSignal): Promise<{ revision: number; parked: ParkedProcess[] }> {
    const takeovers = this.#takeovers;
    let revision = 0;
    let own: ParkedProcess[];
    try {
      const saved = await endingWith(signal, this.#checkpoints).load(this.#key);
      revision = saved?.revision ?? 0;
      const { identity, parked = [] } = readList(this.#key, saved?.body ?? "{}");
      own = identity === this.#identity ? parked : [];
    } catch (error) {
      if (!isAetherError(error, "CorruptCheckpointError")) throw error;
      own = await this.#remake(error, signal);
      if (await this.#save(revision + 1, own, signal)) revision++;
    }
    this.#see(own, revision, takeovers);
    return { revision, parked: own };
  }

  async #save(
    revision: number,
    parked: readonly ParkedProcess[],
    signal: AbortSignal,
  ): Promise<boolean> {
    const body = JSON.stringify({ identity: this.#identity, parked });
    return await endingWith(signal, this.#checkpoints).save(this.#key, { revision, body });
  }

  #see(parked: readonly ParkedProcess[], revision: number, takeovers: number): void {
    if (takeovers !== this.#takeovers || revision < (this.#seen?.revision ?? 0)) return;
    this.#seen = { revision, ids: new Set(parked.map(({ id }) => id)) };
  }
}
