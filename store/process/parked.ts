import { isRecord } from "../base/json.ts";
import { encodeToken } from "../base/token.ts";
import type { CheckpointStore } from "../projection/checkpoint_store.ts";
import { readRecord } from "../projection/checkpoints.ts";

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

function isParked(value: unknown): boolean {
  if (!isRecord(value)) return false;
  const { id, sequence, eventId, reason, since } = value;
  return [id, eventId, reason, since].every((it) => typeof it === "string") &&
    Number.isSafeInteger(sequence);
}

/** The list of parked processes: a read model of their histories. */
export class ParkedProcesses {
  readonly #checkpoints: CheckpointStore<undefined>;
  readonly #key: string;
  readonly #identity: string;

  /** The list under `key`, about events of the store with `identity`. */
  constructor(checkpoints: CheckpointStore<undefined>, key: string, identity: string) {
    this.#checkpoints = checkpoints;
    this.#key = encodeToken(key);
    this.#identity = identity;
  }

  /** All of them, those that are parked longest first. */
  async list(): Promise<ParkedProcess[]> {
    return (await this.#load()).parked;
  }

  /** Adds one, in place of what was said of it before. */
  async add(parked: ParkedProcess): Promise<void> {
    await this.#change((all) => [...all.filter(({ id }) => id !== parked.id), parked]);
  }

  /** Removes one. */
  async remove(id: string): Promise<void> {
    await this.#change((all) => {
      const rest = all.filter((it) => it.id !== id);
      return rest.length === all.length ? all : rest;
    });
  }

  async #change(change: (all: ParkedProcess[]) => ParkedProcess[]): Promise<void> {
    for (;;) {
      const { revision, parked } = await this.#load();
      const next = change(parked);
      if (next === parked) return;
      const body = JSON.stringify({ identity: this.#identity, parked: next });
      if (await this.#checkpoints.save(this.#key, { revision: revision + 1, body })) return;
    }
  }

  async #load(): Promise<{ revision: number; parked: ParkedProcess[] }> {
    const { revision = 0, body = "{}" } = await this.#checkpoints.load(this.#key) ?? {};
    const { identity, parked = [] } = readRecord<Partial<ParkedList>>(
      this.#key,
      body,
      ({ parked }) => parked === undefined || (Array.isArray(parked) && parked.every(isParked)),
    );
    return { revision, parked: identity === this.#identity ? parked : [] };
  }
}
