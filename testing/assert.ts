import { differ, show } from "./difference.ts";

/** Passes if `condition` holds. */
export function ok(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`Expected that ${what}`);
}

/**
 * Compares plain data and dates; distinguishes `-0` from `0`, and a missing key from an undefined
 * one.
 */
export function equal(actual: unknown, expected: unknown, what = "value"): void {
  const difference = differ(actual, expected, what);
  if (difference !== undefined) throw new Error(difference);
}

/**
 * Passes if `action` rejects with an error named `name`, and gives that error. An action that
 * throws at once fails: methods that give promises reject, they never throw.
 */
export async function rejects<E extends Error = Error>(
  action: () => Promise<unknown>,
  name: string,
  what = "the call",
): Promise<E> {
  let promise: Promise<unknown>;
  try {
    promise = action();
  } catch (error) {
    throw new Error(`Expected that ${what} rejects with ${name}, but it threw: ${error}`);
  }
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    if ((error as Error)?.name === name) return error as E;
    const cause = error instanceof Error ? error.stack ?? error.message : String(error);
    throw new Error(`Expected that ${what} rejects with ${name}, but it did with ${cause}`);
  }
  throw new Error(
    `Expected that ${what} rejects with ${name}, but it resolved with ${show(value)}`,
  );
}

/** The result of `promise`, or a rejection that names `what` if it does not come within 30 s. */
export async function within<T>(promise: PromiseLike<T>, what: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited 30 s for ${what}`)), 30_000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
