/**
 * The part of `@std/assert` that this project's tests use, over `node:assert`, for machines that cannot
 * reach JSR.
 *
 * @module
 */
import {
  AssertionError,
  deepStrictEqual,
  match,
  ok,
  rejects,
  strictEqual,
  throws,
} from "node:assert";

/** A class of errors, abstract ones too. */
// deno-lint-ignore no-explicit-any -- what `@std/assert` accepts here as well
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

/** Fails unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  ok(expr, msg || "Expected a truthy value");
}

/** Fails unless both are plain data of the same shape and content. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  deepStrictEqual(actual, expected, msg);
}

/** Fails unless both are the same value in the sense of `Object.is`. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  strictEqual(actual, expected, msg);
}

/** Fails unless `actual` matches `expected`. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  match(actual, expected, msg);
}

/**
 * Fails unless `fn` throws (an error of the class, with the text in its message); returns the
 * error.
 */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error>(
  fn: () => unknown,
  classOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  let thrown: unknown;
  throws(() => fn(), (error) => {
    thrown = error;
    return true;
  }, typeof classOrMsg === "string" ? classOrMsg : msg);
  if (typeof classOrMsg === "function") expectError(thrown, classOrMsg, msgIncludes, msg);
  return thrown;
}

/**
 * Fails unless `fn` rejects (an error of the class, with the text in its message); returns the
 * error.
 */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  let thrown: unknown;
  // A function that throws at once has not rejected; `@std/assert` fails it, and so does this.
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    throw new AssertionError({ message: `Expected a rejection, but the function threw: ${error}` });
  }
  await rejects(Promise.resolve(promise), (error) => {
    thrown = error;
    return true;
  }, typeof classOrMsg === "string" ? classOrMsg : msg);
  if (typeof classOrMsg === "function") expectError(thrown, classOrMsg, msgIncludes, msg);
  return thrown;
}

function expectError<E extends Error>(
  error: unknown,
  ErrorClass: ErrorClass<E>,
  msgIncludes = "",
  msg = "",
): void {
  const suffix = msg ? `: ${msg}` : "";
  if (!(error instanceof ErrorClass)) {
    throw new AssertionError({
      message: `Expected an error of class "${ErrorClass.name}"${suffix}`,
      actual: error,
    });
  }
  if (!error.message.includes(msgIncludes)) {
    throw new AssertionError({
      message: `Expected the error's message to include "${msgIncludes}"${suffix}`,
      actual: error.message,
      expected: msgIncludes,
    });
  }
}
