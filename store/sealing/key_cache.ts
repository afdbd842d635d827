import { called, unlessAborted } from "../base/abort.ts";
import { refusePromise } from "../base/hook.ts";
import { reasonOf } from "../base/reason.ts";
import { describe } from "../base/token.ts";
import { checkRange } from "../check/query.ts";
import { FORGOTTEN, type Forgotten } from "../codec.ts";
import { StoreUnavailableError } from "../errors.ts";
import { KEY_BYTES, type KeyStore } from "./key_store.ts";
import { importKey } from "./seal.ts";

/** How keys are kept in the process. */
export interface KeyCacheOptions {
  /**
   * How long a key is used before the key store is asked again, in ms. A process can read and save for
   * that long after another process has forgotten the subject. 0 asks each time.
   *
   * @default {60_000}
   */
  readonly cacheMaxAge?: number;
  /** Keys that are kept; the one that was not used for longest goes first. @default {10_000} */
  readonly cacheSize?: number;
  /** How long the key store may take for one answer, in ms. @default {5_000} */
  readonly timeout?: number;
  /** The time in ms, by a clock that never goes back. @default {performance.now} */
  readonly now?: () => number;
}

type Found = CryptoKey | Forgotten | undefined;

interface Cached {
  /** When the key store was asked. */
  readonly at: number;
  readonly found: Promise<Found>;
}

/** Keys of a key store, each asked for once in a while. */
export class KeyCache {
  /** See {@linkcode KeyCacheOptions.cacheMaxAge}. */
  readonly maxAge: number;
  readonly #keys: KeyStore;
  readonly #size: number;
  readonly #timeout: number;
  readonly #now: () => number;
  /** In the order of their last use. */
  readonly #cached = new Map<string, Cached>();

  /** Holds no key yet. */
  constructor(keys: KeyStore, options: KeyCacheOptions) {
    const { cacheMaxAge = 60_000, cacheSize = 10_000, timeout = 5_000 } = options;
    checkRange("cacheMaxAge", cacheMaxAge, 0, Number.MAX_SAFE_INTEGER, "sealed codec");
    checkRange("cacheSize", cacheSize, 0, Number.MAX_SAFE_INTEGER, "sealed codec");
    checkRange("timeout", timeout, 1, 2 ** 31 - 1, "sealed codec");
    this.maxAge = cacheMaxAge;
    this.#keys = keys;
    this.#size = cacheSize;
    this.#timeout = timeout;
    const { now = () => performance.now() } = options;
    this.#now = () => {
      const time: unknown = now();
      refusePromise(time, "the clock");
      return typeof time === "number" ? time : NaN;
    };
  }

  /**
   * The key of a subject, to open with.
   *
   * @throws {StoreUnavailableError} The key store failed, or gave no answer in time.
   */
  async find(subject: string): Promise<Found> {
    return await (this.#fresh(subject) ?? this.#ask(subject, () => this.#keys.get(subject)));
  }

  /**
   * The key of a subject, to seal with; it is made if there is none.
   *
   * @throws {StoreUnavailableError} The key store failed, or gave no answer in time.
   */
  async make(subject: string): Promise<CryptoKey | Forgotten> {
    const known = await this.#fresh(subject);
    if (known !== undefined) return known;
    const made = await this.#ask(subject, () => this.#keys.getOrCreate(subject));
    if (made !== undefined) return made;
    throw unavailable(subject, "the key store made no key");
  }

  /**
   * Has the key store drop a key.
   *
   * @throws {StoreUnavailableError} The key store failed, or gave no answer in time.
   */
  async forget(subject: string): Promise<boolean> {
    this.#cached.delete(subject);
    const dropped = await this.#answer(subject, () => this.#keys.forget(subject));
    // Also over a key that was asked for in the meantime.
    this.#keep(subject, { at: this.#now(), found: Promise.resolve(FORGOTTEN) });
    return dropped === true;
  }

  #fresh(subject: string): Promise<Found> | undefined {
    const cached = this.#cached.get(subject);
    if (cached === undefined) return undefined;
    this.#cached.delete(subject);
    // A clock that is broken makes it old.
    if (!(this.#now() - cached.at < this.maxAge)) return undefined;
    this.#cached.set(subject, cached);
    return cached.found;
  }

  #ask(
    subject: string,
    ask: () => Promise<Uint8Array | Forgotten | undefined>,
  ): Promise<Found> {
    const at = this.#now();
    const found = this.#answer(subject, async () => {
      const key = await ask();
      if (key === FORGOTTEN || key === undefined) return key;
      if (key instanceof Uint8Array && key.length === KEY_BYTES) return await importKey(key);
      throw new TypeError(`the key store gave ${describe(key)}, not ${KEY_BYTES} bytes`);
    });
    const cached: Cached = { at, found };
    const drop = () => {
      if (this.#cached.get(subject) === cached) this.#cached.delete(subject);
    };
    found.then((key) => key === undefined && drop(), drop);
    this.#keep(subject, cached);
    return found;
  }

  #keep(subject: string, cached: Cached): void {
    this.#cached.delete(subject);
    this.#cached.set(subject, cached);
    for (const oldest of this.#cached.keys()) {
      if (this.#cached.size <= this.#size) return;
      this.#cached.delete(oldest);
    }
  }

  /** The user's key store may throw, or never answer. */
  async #answer<T>(subject: string, ask: () => Promise<T>): Promise<T> {
    const late = new AbortController();
    const timer = setTimeout(() => {
      late.abort(new Error(`the key store did not answer within ${this.#timeout} ms`));
    }, this.#timeout);
    try {
      return await unlessAborted(late.signal, called(ask)) as T;
    } catch (cause) {
      throw unavailable(subject, reasonOf(cause), cause);
    } finally {
      clearTimeout(timer);
    }
  }
}

function unavailable(subject: string, reason: string, cause?: unknown): StoreUnavailableError {
  const what = `Cannot use the key of subject ${describe(subject)}`;
  return new StoreUnavailableError(`${what}: ${reason}`, cause === undefined ? {} : { cause });
}
