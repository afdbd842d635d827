import { isRecord } from "../base/json.ts";
import { isAetherError } from "../errors.ts";
import type { CheckpointStore, SavedCheckpoint } from "../projection/checkpoint_store.ts";
import { readRecord } from "../projection/checkpoints.ts";

/** Items in one key: some 200 kB. */
const CHUNK = 1_000;

/** An item that an event in the history of a process has opened, by the event's place. */
export interface OpenItem {
  /** The process's history. */
  readonly actorId: string;
  /** The event's version. */
  readonly version: number;
  /** Its position. */
  readonly sequence: number;
  /** Its id. */
  readonly eventId: string;
  /** The name of what is open, one of a kind in the process. */
  readonly name: string;
  /** Work of one process in one lane is done one after the other. */
  readonly lane: string;
  /** The name of the effect, of a call. */
  readonly effect?: string;
  /** When work on it is due, in ms since 1970, and its own name: of a deadline. */
  readonly deadline?: { readonly name: string; readonly at: number };
}

/** The open items of a partition, as they were behind a position. */
export interface OpenItems {
  /** The position up to which events are taken into account. */
  readonly sequence: number;
  readonly items: readonly OpenItem[];
}

/** The content of the first key. */
interface Head {
  readonly identity: string;
  readonly sequence: number;
  readonly chunks: number;
  /** Names the writing that all chunks have to be of. */
  readonly nonce: string;
}

/** The content of the other keys. */
interface Chunk {
  readonly nonce: string;
  readonly items: OpenItem[];
}

/**
 * Keeps the open items of one partition, so that the program that takes it over need not read all events.
 * A read model and no more: one that is lost, old, damaged, or half written is made up from the events.
 */
export class OpenIndex {
  readonly #checkpoints: CheckpointStore<undefined>;
  readonly #key: string;
  readonly #identity: string;
  /** The revisions of keys, as they were seen last. */
  readonly #revisions = new Map<string, number>();

  /** The index under `key`, about events of the store with `identity`. */
  constructor(checkpoints: CheckpointStore<undefined>, key: string, identity: string) {
    this.#checkpoints = checkpoints;
    this.#key = key;
    this.#identity = identity;
  }

  /** The items that were saved last; none, behind position 0, if there is nothing to rely on. */
  async load(): Promise<OpenItems> {
    const nothing = { sequence: 0, items: [] };
    const head = await this.#read<Head>("head", isHead);
    if (head?.identity !== this.#identity) return nothing;
    const items: OpenItem[] = [];
    for (let at = 0; at < head.chunks; at++) {
      const chunk = await this.#read<Chunk>(`${at}`, isChunk);
      if (chunk?.nonce !== head.nonce) return nothing;
      items.push(...chunk.items);
    }
    return { sequence: head.sequence, items };
  }

  /** Saves items. If two programs save, either result is right. */
  async save({ sequence, items }: OpenItems): Promise<void> {
    const nonce = crypto.randomUUID();
    const chunks = Math.ceil(items.length / CHUNK);
    for (let at = 0; at < chunks; at++) {
      const part = items.slice(at * CHUNK, (at + 1) * CHUNK);
      await this.#write(`${at}`, { nonce, items: part });
    }
    const head: Head = { identity: this.#identity, sequence, chunks, nonce };
    await this.#write("head", head);
  }

  async #read<T>(name: string, isWhole: IsWhole): Promise<T | undefined> {
    const saved = await this.#load(name);
    return saved && await unlessCorrupt(() => readRecord<T>(name, saved.body, isWhole));
  }

  async #write(name: string, value: unknown): Promise<void> {
    const body = JSON.stringify(value);
    // Most often nobody else has saved it, so that it need not be read.
    for (const isKnown of [this.#revisions.has(name), false]) {
      if (!isKnown) await this.#load(name);
      const revision = this.#revisions.get(name)! + 1;
      this.#revisions.delete(name);
      if (await this.#checkpoints.save(`${this.#key}.${name}`, { revision, body })) {
        this.#revisions.set(name, revision);
        return;
      }
    }
  }

  async #load(name: string): Promise<SavedCheckpoint | undefined> {
    const saved = await unlessCorrupt(() => this.#checkpoints.load(`${this.#key}.${name}`));
    this.#revisions.set(name, saved?.revision ?? 0);
    return saved;
  }
}

/** What `work` gives; `undefined` if the record is damaged: it is made up from the events. */
async function unlessCorrupt<T>(work: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (isAetherError(error, "CorruptCheckpointError")) return undefined;
    throw error;
  }
}

/** Whether nothing is missing in a record. */
type IsWhole = (record: Record<string, unknown>) => boolean;

const isHead: IsWhole = ({ identity, sequence, chunks, nonce }) =>
  [identity, nonce].every(isText) && [sequence, chunks].every(isCount);

const isChunk: IsWhole = ({ nonce, items }) =>
  isText(nonce) && Array.isArray(items) && items.every(isItem);

function isItem(item: unknown): boolean {
  if (!isRecord(item)) return false;
  const { actorId, version, sequence, eventId, name, lane, effect = "", deadline } = item;
  return [actorId, eventId, name, lane, effect].every(isText) &&
    [version, sequence].every(isCount) &&
    (deadline === undefined ||
      (isRecord(deadline) && isText(deadline.name) && typeof deadline.at === "number"));
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
