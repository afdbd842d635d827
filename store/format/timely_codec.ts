import { isThenable } from "../base/hook.ts";
import { TimeLimit } from "../base/time_limit.ts";
import type { Codec } from "../codec.ts";
import { StoreUnavailableError } from "../errors.ts";

/** How long a codec may take in memory, in ms: as long as on a server, unless its options differ. */
export const CODEC_TIMEOUT = 10_000;

/**
 * The same codec, whose promises end: one that has not answered after `ms` rejects with
 * {@linkcode StoreUnavailableError}.
 */
export function timelyCodec<Value>(
  codec: Codec<Value> | undefined,
  ms: number,
): Codec<Value> | undefined {
  if (codec === undefined) return undefined;
  const limit = new TimeLimit(ms);
  const late = () => new StoreUnavailableError(`it has not answered in ${ms} ms`);
  const inTime = <Result>(result: Result | Promise<Result>): Result | Promise<Result> =>
    isThenable(result) ? limit.of(Promise.resolve(result), late) : result;
  return {
    get lenient() {
      return codec.lenient === true;
    },
    encode: (value) => inTime(codec.encode(value)),
    decode: (bytes) => inTime(codec.decode(bytes)),
  };
}
