import { textOf } from "./text.ts";

/**
 * Calls a hook of the user. Whatever it does stays with it: an error that it throws, or rejects
 * with later, is printed, and the library goes on as if it had returned.
 *
 * @param what The hook, for the message: `onError of projection "mail"`.
 * @param how How its error is printed.
 */
export function callHook(
  what: string,
  hook: () => unknown,
  how: "warn" | "error" = "warn",
): void {
  const report = (error: unknown): void => print(how, `${what} has thrown:`, error);
  try {
    const result = hook();
    if (isThenable(result)) Promise.resolve(result).then(undefined, report);
  } catch (error) {
    report(error);
  }
}

/** Prints `text` with an error; with its text alone if the console cannot print it. */
export function print(how: "warn" | "error", text: string, error: unknown): void {
  try {
    console[how](text, error);
  } catch {
    try {
      console[how](text, textOf(error));
    } catch {
      // A console that throws: there is nobody left to report to.
    }
  }
}

/** Whether `value` is a promise, or passes for one; a getter that throws passes the error on. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  const isObject = typeof value === "object" ? value !== null : typeof value === "function";
  return isObject && typeof (value as { then?: unknown }).then === "function";
}

/**
 * Refuses a promise if none is awaited, and handles its rejection, as no other code would.
 *
 * @throws {TypeError} `value` is a promise; the message begins with `what`.
 */
export function refusePromise(value: unknown, what: string): void {
  if (!isThenable(value)) return;
  Promise.resolve(value).then(undefined, () => {});
  throw new TypeError(`${what} gave a promise, and nobody waits for it`);
}
