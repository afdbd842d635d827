import { needFunction, needString } from "../base/given.ts";
import { called } from "../base/abort.ts";
import { freshCopy } from "../base/fresh.ts";
import { jitteredWaits } from "../base/jitter.ts";
import { sleep } from "../base/sleep.ts";
import { checkRange } from "../check/query.ts";
import { failureOf } from "../command/recorded_outcome.ts";
import type { CommandFailure } from "../errors.ts";
import type { ProjectionRetry } from "../projection/options.ts";

/** How long an effect may go on after `signal` is aborted, in ms. */
const GRACE = 2_000;

/** The second argument of an effect's `run`. */
export interface EffectContext {
  /**
   * The same at each attempt, and unique: a service that takes such a key does not do its work twice.
   */
  readonly idempotencyKey: string;
  /**
   * Aborted when the program stops, is paused, or hands the process over to another program: the outcome
   * is unknown then, unless `run` still ends well within 2 s.
   */
  readonly signal: AbortSignal;
}

/** Something that a process does outside of the store: a mail, a payment. See {@linkcode effect}. */
export interface Effect {
  /** The name by which reactions call it. */
  readonly name: string;
  /** Does it; gives plain data, which is stored. */
  readonly run: (input: unknown, context: EffectContext) => Promise<unknown>;
  /** How it is tried again if `run` throws. */
  readonly retry: Required<ProjectionRetry>;
}

/** How an effect ended: `unknown` if it was done, and what it gave cannot be stored. */
export type EffectEnd =
  | { readonly outcome: "done"; readonly result: unknown }
  | { readonly outcome: "failed" | "unknown"; readonly failure: CommandFailure };

/**
 * Something that a process does outside of the store. That it begins is stored before, and its end
 * after. If the program dies in between, nobody knows whether it was done: the process gets the
 * outcome `"unknown"`, and decides. So one is never begun twice by itself.
 *
 * @param name The name by which reactions call it.
 * @param run Does it. What it returns goes to the process: plain data, or nothing.
 * @param retry How it is tried again if `run` throws, by default 5 times; then the outcome is
 * `"failed"`.
 * @throws {RangeError} A number of `retry` is out of its range.
 *
 * @example A call that a service recognises when it is repeated
 * ```ts
 * import { effect } from "@flowmade-one/aether";
 *
 * const charge = effect("charge", async (input: { total: number }, { idempotencyKey, signal }) => {
 *   const response = await fetch("https://payments.example.com/charges", {
 *     method: "POST",
 *     headers: { "Idempotency-Key": idempotencyKey },
 *     body: JSON.stringify(input),
 *     signal,
 *   });
 *   if (!response.ok) throw new Error(`the service answered ${response.status}`);
 *   return await response.json();
 * });
 * console.log(charge.name); // charge
 * ```
 */
export function effect<Input>(
  name: string,
  run: (input: Input, context: EffectContext) => Promise<unknown> | unknown,
  { attempts = 5, delay = 100, maxDelay = 10_000 }: ProjectionRetry = {},
): Effect {
  needString(name, "make the effect", "name, the first argument,");
  needFunction(run, `make effect "${name}"`, "run, the second argument,");
  const what = `effect "${name}"`;
  if (attempts !== Infinity) checkRange("attempts", attempts, 1, Number.MAX_SAFE_INTEGER, what);
  checkRange("delay", delay, 0, 2 ** 31 - 1, what);
  checkRange("maxDelay", maxDelay, 0, 2 ** 31 - 1, what);
  return {
    name,
    run: async (input, context) => await run(input as Input, context),
    retry: { attempts, delay, maxDelay },
  };
}

/**
 * Runs an effect until it is done, or has failed for the last time.
 *
 * @throws The signal's reason: the outcome is unknown.
 */
export async function runEffect(
  effect: Effect,
  input: unknown,
  context: EffectContext,
  onError: (error: unknown) => void,
): Promise<EffectEnd> {
  const { signal } = context;
  const { attempts, delay, maxDelay } = effect.retry;
  const nextWait = jitteredWaits(delay, maxDelay);
  for (let attempt = 1;; attempt++) {
    try {
      const work = called(() => effect.run(freshCopy(input), { ...context }));
      return { outcome: "done", result: await endOf(work, signal) ?? null };
    } catch (error) {
      signal.throwIfAborted();
      onError(error);
      if (attempt >= attempts) return { outcome: "failed", failure: failureOf(error) };
      await sleep(nextWait(), signal);
      signal.throwIfAborted();
    }
  }
}

/** The result of `work`, which has a moment left once `signal` is aborted. */
async function endOf<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: over, reject } = Promise.withResolvers<never>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => timer = setTimeout(() => reject(signal.reason), GRACE);
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work, over]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}
