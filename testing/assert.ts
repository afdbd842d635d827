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

function differ(actual: unknown, expected: unknown, path: string): string | undefined {
  if (Object.is(actual, expected)) return undefined;
  const wrong = `Expected ${path} to be ${show(expected)}, got ${show(actual)}`;
  if (!isObject(actual) || !isObject(expected)) return wrong;
  if (actual instanceof Date || expected instanceof Date) {
    const same = actual instanceof Date && expected instanceof Date &&
      Object.is(actual.getTime(), expected.getTime());
    return same ? undefined : wrong;
  }
  if (Array.isArray(actual) !== Array.isArray(expected)) return wrong;
  const keys = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  if (Array.isArray(actual) && actual.length !== (expected as unknown[]).length) return wrong;
  for (const key of keys) {
    if (!Object.hasOwn(actual, key) || !Object.hasOwn(expected, key)) return wrong;
    const left = (actual as Record<string, unknown>)[key];
    const right = (expected as Record<string, unknown>)[key];
    const difference = differ(left, right, `${path}.${key}`);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function show(value: unknown): string {
  if (Object.is(value, -0)) return "-0";
  if (!isObject(value) && typeof value !== "string") return String(value);
  try {
    const text = JSON.stringify(value);
    return text.length > 500 ? `${text.slice(0, 500)}…` : text;
  } catch {
    return String(value);
  }
}
