/** Characters of a text that is made from any value; the rest is cut off. */
const MAX_TEXT = 1_000;

/**
 * Any value as text, for messages and records: an error as its name and message, anything else as
 * `String()` has it. Total: a value may lack a prototype, throw from a getter, a proxy's trap or
 * `toString()`, or be megabytes long.
 */
export function textOf(value: unknown, most: number = MAX_TEXT): string {
  const error = errorIn(value);
  if (error === undefined) return cut(plainText(value), most);
  const { name, message } = error;
  return cut(message === "" ? name : name === "" ? message : `${name}: ${message}`, most);
}

/** The message of an error, or any other value as text; total and bounded as {@linkcode textOf}. */
export function messageOf(value: unknown): string {
  const error = errorIn(value);
  return error === undefined ? textOf(value) : cut(error.message, MAX_TEXT);
}

/** The name of an error, or the type of any other value; total. */
export function nameOf(value: unknown): string {
  return cut(errorIn(value)?.name ?? typeof value, MAX_TEXT);
}

/** Whether `value` is an error, for a value that anything may be. */
export function isError(value: unknown): value is Error {
  return isInstance(value, Error);
}

/** `instanceof`, for a value that anything may be: the reason of a signal, an error of a hook. */
export function isInstance<T>(
  value: unknown,
  type: abstract new (...args: never[]) => T,
): value is T {
  try {
    return value instanceof type;
  } catch {
    return false; // A proxy that throws.
  }
}

/** The message of an error; `undefined` if `value` is none, or cannot be read. */
function errorIn(value: unknown): { readonly name: string; readonly message: string } | undefined {
  if (!isError(value)) return undefined;
  try {
    const { name, message } = value as { name?: unknown; message?: unknown };
    return { name: plainText(name ?? "Error"), message: plainText(message ?? "") };
  } catch {
    return { name: "Error", message: "an error that cannot be read" };
  }
}

function plainText(value: unknown): string {
  try {
    // Not a template: a symbol has no other text.
    const text = String(value);
    if (typeof text === "string") return text;
  } catch {
    // Without a prototype, or with a `toString()` that throws.
  }
  return typeof value === "function" ? "a function" : "an object without text";
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}
