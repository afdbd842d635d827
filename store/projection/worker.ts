import { sleep } from "../base/sleep.ts";
import { encodeToken } from "../base/token.ts";
import { decodeUtf8, utf8 } from "../base/utf8.ts";
import type { Bucket } from "../kv/bucket.ts";
import type { BucketEntry } from "../kv/entry.ts";
import type { LeaseStore } from "./leases.ts";
import type { PartitionId } from "./state.ts";
import { leveledQuotas, type ProjectionHoldings } from "./quota.ts";
import { FAREWELL, type Share } from "./runner.ts";

/** Signs of life in one lease. */
const SIGNS = 4;

/** The owner of a partition, as its key shows it. */
interface PartitionClaim {
  readonly worker: string;
  /** The revision that the next write of the key has to expect. */
  readonly revision: number;
}

/** The content of a projection's keys. */
interface Survey {
  /** Workers whose lease has not ended, each with what its key shows: see {@linkcode takes}. */
  readonly workers: ReadonlyMap<string, Uint8Array>;
  /** By key. */
  readonly claims: ReadonlyMap<string, PartitionClaim>;
  /** The partitions that the workers of each version of each projection have, by the beginning of its keys. */
  readonly others: ReadonlyMap<string, ProjectionHoldings>;
}

/**
 * One process's part in a projection that several share. Each worker has a key that expires unless
 * it is written again, and its name in the keys of the partitions that it runs. A name without a
 * live key belongs to a dead worker; workers below their quota take over its partitions. The key
 * shows the versions that the worker leaves to others, so that it has no quota of them.
 */
export class ProjectionWorker implements Share {
  readonly #bucket: Bucket;
  readonly #lease: number;
  readonly #prefix: string;
  readonly #id: string;
  readonly #poke: () => void;
  readonly #onError: (error: unknown) => void;
  readonly #stop = new AbortController();
  readonly #work: Promise<unknown>;
  /** The revision of this worker's own key, 0 before the first. */
  #alive = 0;
  /** The versions that this worker leaves to others, as its key shows them. */
  #left = "";
  #mine = new Map<string, PartitionClaim>();

  /** Takes part in the projection `name` until it leaves; calls `poke` when others come or go. */
  constructor(
    name: string,
    { bucket, lease, process }: LeaseStore,
    poke: () => void,
    onError: (error: unknown) => void,
  ) {
    this.#id = `${process}_${crypto.randomUUID()}`;
    this.#bucket = bucket;
    this.#lease = lease;
    this.#prefix = `lease.${encodeToken(name)}`;
    this.#poke = poke;
    this.#onError = onError;
    this.#work = Promise.all([this.#live(), this.#watch()]);
  }

  /** See {@linkcode Share.of}. */
  async of(
    partitionIds: readonly PartitionId[],
    held: readonly PartitionId[],
    left: readonly number[],
  ): Promise<readonly PartitionId[]> {
    const isNews = this.#left !== left.join(" ");
    this.#left = left.join(" ");
    if (this.#alive === 0 || isNews) await this.#sign();
    const survey = await this.#survey();
    const { claims } = survey;
    const running = new Set(held.map((partitionId) => this.#keyOf(partitionId)));
    const mine: PartitionId[] = [];
    for (const version of new Set(partitionIds.map(({ version }) => version))) {
      const all = partitionIds.filter((partitionId) => partitionId.version === version);
      mine.push(...await this.#shareOf(all, survey, running));
    }
    const least = Math.min(...partitionIds.map(({ version }) => version));
    if (partitionIds.length > 0) await this.#sweep(claims, least);
    return mine;
  }

  /** See {@linkcode Share.release}. */
  async release(partitionId: PartitionId): Promise<void> {
    const key = this.#keyOf(partitionId);
    const claim = this.#mine.get(key);
    this.#mine.delete(key);
    if (claim === undefined) return;
    await atMost(FAREWELL, this.#bucket.put(key, utf8(""), claim).catch(this.#onError));
  }

  /** See {@linkcode Share.leave}. */
  async leave(): Promise<void> {
    this.#stop.abort();
    await atMost(FAREWELL, this.#leave().catch(this.#onError));
  }

  async #leave(): Promise<void> {
    await this.#work;
    if (this.#alive > 0) await this.#bucket.remove(this.#own, this.#alive);
  }

  async #shareOf(
    partitionIds: readonly PartitionId[],
    { workers, claims, others }: Survey,
    running: ReadonlySet<string>,
  ): Promise<PartitionId[]> {
    const { version } = partitionIds[0]!;
    const takers = [...workers].flatMap(([name, shown]) => takes(shown, version) ? [name] : []);
    const holdings = new Map([...takers, this.#id].map((worker) => [worker, 0]));
    const own: PartitionId[] = [];
    const free: PartitionId[] = [];
    for (const partitionId of partitionIds) {
      const key = this.#keyOf(partitionId);
      const { worker = "", revision = 0 } = claims.get(key) ?? {};
      const has = holdings.get(worker);
      if (has === undefined) free.push(partitionId);
      else holdings.set(worker, has + 1);
      if (worker === this.#id) {
        own.push(partitionId);
        this.#mine.set(key, { worker, revision });
      } else this.#mine.delete(key);
    }
    const unit = `${this.#prefix}.${version}`;
    const all = new Map(others).set(unit, { partitions: partitionIds.length, holdings });
    const quota = leveledQuotas(unit, all)!.get(this.#id)!;
    // Running partitions stay; one that is given up is freed when it has stopped.
    own.sort((one, other) =>
      Number(running.has(this.#keyOf(other))) - Number(running.has(this.#keyOf(one)))
    );
    const kept = own.slice(0, quota);
    for (const partitionId of own.slice(quota)) {
      if (!running.has(this.#keyOf(partitionId))) await this.release(partitionId);
    }
    // In a random order, so that workers below their quota do not compete for the same ones.
    const from = free.length * Math.random();
    for (const partitionId of [...free.slice(from), ...free.slice(0, from)]) {
      if (kept.length >= quota) break;
      if (await this.#claim(partitionId, claims.get(this.#keyOf(partitionId))?.revision ?? 0)) {
        kept.push(partitionId);
      }
    }
    return kept;
  }

  async #claim(partitionId: PartitionId, revision: number): Promise<boolean> {
    const key = this.#keyOf(partitionId);
    const outcome = await this.#bucket.put(key, utf8(this.#id), { revision });
    if (outcome.kind !== "stored") return false; // if it is stored all the same, the next look finds it
    this.#mine.set(key, { worker: this.#id, revision: outcome.first });
    return true;
  }

  async #survey(): Promise<Survey> {
    const workers = new Map<string, Uint8Array>();
    const claims = new Map<string, PartitionClaim>();
    const entries = await this.#bucket.list("lease.>");
    for (const { key, value, revision } of entries) {
      if (!key.startsWith(`${this.#prefix}.`)) continue;
      const worker = this.#workerOf(key);
      if (worker !== undefined) workers.set(worker, value!);
      else claims.set(key, { worker: decodeUtf8(value!), revision });
    }
    return { workers, claims, others: holdingsIn(entries) };
  }

  /** Removes the claims of versions that are no longer run. */
  async #sweep(claims: ReadonlyMap<string, PartitionClaim>, least: number): Promise<void> {
    for (const [key, { worker, revision }] of claims) {
      const [version] = key.slice(this.#prefix.length + 1).split(".");
      if (Number(version) < least && worker === "") await this.#bucket.remove(key, revision);
    }
  }

  /** Gives signs of life. */
  async #live(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#sign();
      } catch (error) {
        this.#onError(error);
      }
      await sleep(this.#lease / SIGNS, signal);
    }
  }

  async #sign(): Promise<void> {
    const { signal } = this.#stop;
    if (signal.aborted) return;
    const ttl = this.#lease / 1000;
    const put = (revision: number) =>
      this.#bucket.put(this.#own, utf8(this.#left), { revision, ttl });
    let outcome = await put(this.#alive);
    if (outcome.kind !== "stored") {
      // It has expired, or an earlier sign came late.
      const { revision } = await this.#bucket.get(this.#own, this.#lease);
      if (signal.aborted) return;
      outcome = await put(revision);
    }
    if (outcome.kind === "stored") this.#alive = outcome.first;
    else throw new Error(`Cannot renew the lease of the worker: the write is ${outcome.kind}`);
  }

  /** Calls `poke` when another worker comes, goes, leaves a version to others, or gives a partition up. */
  async #watch(): Promise<void> {
    const { signal } = this.#stop;
    const known = new Map<string, string>();
    for await (const entry of this.#bucket.watch({ filter: `${this.#prefix}.>`, signal })) {
      if (this.#isChange(entry, known)) this.#poke();
    }
  }

  #isChange({ key, value }: BucketEntry, known: Map<string, string>): boolean {
    const isWorker = this.#workerOf(key) !== undefined;
    if (!isWorker) return value?.length === 0;
    if (value === undefined) return known.delete(key);
    const shown = decodeUtf8(value);
    if (known.get(key) === shown) return false;
    known.set(key, shown);
    return true;
  }

  get #own(): string {
    return `${this.#prefix}.worker.${this.#id}`;
  }

  #workerOf(key: string): string | undefined {
    const start = `${this.#prefix}.worker.`;
    return key.startsWith(start) ? key.slice(start.length) : undefined;
  }

  #keyOf({ version, partition }: PartitionId): string {
    return `${this.#prefix}.${version}.${partition}`;
  }
}

/** Resolves when `work` has ended, or after `ms`: then that goes on by itself. */
async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const late = new AbortController();
  try {
    await Promise.race([work, sleep(ms, late.signal)]);
  } finally {
    late.abort();
  }
}

/** Whether a worker takes partitions of a version: of all that its key does not show as left to others. */
function takes(shown: Uint8Array, version: number | string): boolean {
  return !decodeUtf8(shown).split(" ").includes(String(version));
}

/**
 * The partitions that the workers of all projections have, by the keys `lease.<name>.<version>.<partition>`.
 * All workers that see the same keys find the same.
 */
export function holdingsIn(entries: readonly BucketEntry[]): Map<string, ProjectionHoldings> {
  const workers = new Map<string, [worker: string, shown: Uint8Array][]>();
  for (const { key, value } of entries) {
    const [, name = "", kind, worker = ""] = key.split(".");
    if (kind === "worker") workers.set(name, [...workers.get(name) ?? [], [worker, value!]]);
  }
  const units = new Map<string, { partitions: number; holdings: Map<string, number> }>();
  for (const { key, value } of entries) {
    const [, name = "", version = ""] = key.split(".");
    if (version === "worker") continue;
    const here = (workers.get(name) ?? []).filter(([, shown]) => takes(shown, version));
    if (here.length === 0) continue;
    const unit = `lease.${name}.${version}`;
    const held = units.get(unit) ??
      { partitions: 0, holdings: new Map(here.map(([worker]) => [worker, 0])) };
    const worker = decodeUtf8(value!);
    const has = held.holdings.get(worker);
    if (has !== undefined) held.holdings.set(worker, has + 1);
    units.set(unit, { ...held, partitions: held.partitions + 1 });
  }
  return units;
}
