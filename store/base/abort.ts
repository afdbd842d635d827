import { needSignal } from "./given.ts";
import { isThenable } from "./hook.ts";

/**
 * The result of `promise`, unless `signal` is aborted first: then it rejects with the signal's
 * reason and ignores the later result of `promise`.
 */
export function unlessAborted<T>(
  signal: AbortSignal | undefined,
  promise: Promise<T>,
): Promise<T>;
/** The same for a value that may be there already: then only an already aborted signal counts. */
export function unlessAborted<T>(
  signal: AbortSignal | undefined,
  promise: T | Promise<T>,
): T | Promise<T>;
export function unlessAborted<T>(
  signal: AbortSignal | undefined,
  promise: T | Promise<T>,
): T | Promise<T> {
  if (signal === undefined) return promise;
  // What a user's code gives may be another realm's promise, or the builder of a query.
  if (isThenable(promise)) return race(signal, Promise.resolve(promise as Promise<T>));
  signal.throwIfAborted();
  return promise;
}

async function race<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/**
 * Aborted with `own`, or with the caller's `signal`, if there is one.
 *
 * @throws {TypeError} `signal` is none; see {@linkcode needSignal}.
 */
export function either(
  own: AbortSignal,
  signal: AbortSignal | undefined,
  what: string,
): AbortSignal {
  needSignal(signal, what);
  return signal === undefined ? own : AbortSignal.any([own, signal]);
}

/** How long a store that does not answer may hold up a stop, in ms. */
const GRACE = 2_000;

/**
 * The result of `work`; once `stop` is aborted it has only some time to come: after that, this
 * rejects with the reason of `stop` and ignores the later result.
 *
 * @param grace How long, in ms.
 */
export async function unlessStuck<T>(
  stop: AbortSignal | undefined,
  work: Promise<T>,
  grace: number = GRACE,
): Promise<T> {
  if (stop === undefined) return await work;
  const late = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const begin = (): void => {
    timer = setTimeout(() => late.abort(stop.reason), grace);
  };
  if (stop.aborted) begin();
  else stop.addEventListener("abort", begin, { once: true });
  try {
    return await unlessAborted(late.signal, work);
  } finally {
    clearTimeout(timer);
    stop.removeEventListener("abort", begin);
  }
}

/** The result of a function of the user as a promise, also if it throws or gives no promise. */
export async function called<T>(work: () => T | PromiseLike<T>): Promise<Awaited<T>> {
  return await work();
}
