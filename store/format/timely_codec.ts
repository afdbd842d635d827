import { isThenable } from "../base/hook.ts";
import { TimeLimit } from "../base/time_limit.ts";
import type { Codec } from "../codec.ts";
import { StoreUnavailableError } from "../errors.ts";

/** How long a codec may take in memory, in ms: as long as on a server, unless its options differ. */
export const CODEC_TIMEOUT = 10_000;

/**
 * A store's codec, whose promises end: too late, or with the store, by {@linkcode StoreUnavailableError}. One
 * that does one thing at a time has the time for each; see {@linkcode TimeLimit}.
 */
export class TimelyCodec<Value> implements Codec<Value> {
  readonly #codec: Codec<Value>;
  readonly #limit: TimeLimit;
  readonly #late: () => Error;

  private constructor(codec: Codec<Value>, ms: number) {
    this.#codec = codec;
    this.#limit = new TimeLimit(ms);
    this.#late = () => new StoreUnavailableError(`it has not answered in ${ms} ms`);
  }

  /** The same codec, which may take `ms`; `undefined` if there is none. */
  static of<Value>(codec: Codec<Value> | undefined, ms: number): TimelyCodec<Value> | undefined {
    return codec && new TimelyCodec(codec, ms);
  }

  /** See {@linkcode Codec.lenient}. */
  get lenient(): boolean {
    return this.#codec.lenient === true;
  }

  /** See {@linkcode Codec.encode}. */
  encode(value: Value): ReturnType<Codec<Value>["encode"]> {
    return this.#inTime(this.#codec.encode(value));
  }

  /** See {@linkcode Codec.decode}. */
  decode(bytes: Uint8Array): ReturnType<Codec<Value>["decode"]> {
    return this.#inTime(this.#codec.decode(bytes));
  }

  /** Ends what is under way, and at once what begins later: the store is disposed. */
  end(): void {
    this.#limit.end(new StoreUnavailableError("the store was disposed before it answered"));
  }

  #inTime<Result>(result: Result | Promise<Result>): Result | Promise<Result> {
    return isThenable(result) ? this.#limit.of(Promise.resolve(result), this.#late) : result;
  }
}
