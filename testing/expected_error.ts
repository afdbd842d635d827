import { refusePromise } from "../store/base/hook.ts";
import { textOf } from "../store/base/text.ts";

/** The class of an error, to be compared with what was thrown. */
// deno-lint-ignore no-explicit-any
export type ErrorClass = abstract new (...args: any[]) => Error;

/**
 * An error that a spec expects: by class and message, by its class alone, or by a function that
 * accepts or rejects it.
 */
export type ExpectedError = Error | ErrorClass | ((error: unknown) => boolean);

/** Whether an expectation is one of an error. */
export function isExpectedError(expected: unknown): expected is ExpectedError {
  return typeof expected === "function" || expected instanceof Error;
}

/**
 * Passes if `error` is the expected one.
 *
 * @param doer The function that threw it.
 */
export function checkError(error: unknown, expected: ExpectedError, doer: string): void {
  const isRight = expected instanceof Error
    ? isLike(error, expected)
    : isErrorClass(expected)
    ? error instanceof expected
    : expected(error);
  refusePromise(isRight, "the test of the error");
  if (isRight) return;
  const [wanted, thrown] = [nameOfError(expected), textOf(error)];
  const of = (it: unknown) => wanted === thrown ? ` of class ${textOf(classOf(it))}` : "";
  throw new Error(`Expected ${wanted}${of(expected)}, but ${doer} threw ${thrown}${of(error)}`, {
    cause: error,
  });
}

/** The expected error, in the words of a message. */
export function nameOfError(expected: ExpectedError): string {
  if (expected instanceof Error) return String(expected);
  return isErrorClass(expected) ? expected.name : "an error that passes the test given";
}

/** The name of a value's class, for two that look the same. */
function classOf(value: unknown): unknown {
  return Object(value).constructor?.name;
}

function isErrorClass(expected: object): expected is ErrorClass {
  return expected === Error || (expected as { prototype?: unknown }).prototype instanceof Error;
}

/** Whether `error` matches `expected`: by name and message. */
function isLike(error: unknown, expected: Error): boolean {
  return error instanceof Error && error.name === expected.name &&
    error.constructor === expected.constructor && error.message === expected.message;
}
