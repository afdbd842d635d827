import { textOf } from "../base/text.ts";
import { type CommandFailure, isAetherError } from "../errors.ts";

/** The outcome of a command without events, as its receipt keeps it. A format that stays. */
export type Outcome =
  /** `decide` threw. */
  | { readonly kind: "refused"; readonly failure: CommandFailure }
  /** It changed nothing. */
  | { readonly kind: "unchanged" };

/**
 * Whether an error that `decide` threw refuses its command. An event that its constructor refuses is a
 * fault of the rules, as it is where the store refuses it: their next version may mend that.
 */
export function isRefusal(error: unknown): boolean {
  return !isAetherError(error, "InvalidEventError");
}

/** How a receipt keeps an error that `decide` threw: its name, message and code, as text. */
export function failureOf(error: unknown): CommandFailure {
  const { name, message, code } = factsOf(error);
  return {
    name: typeof name === "string" ? textOf(name) : "Error",
    message: textOf(typeof message === "string" ? message : error),
    ...(typeof code === "string" && { code: textOf(code) }),
  };
}

/** The outcome in a receipt; anything unknown counts as unchanged. */
export function readOutcome(value: unknown): Outcome {
  const { kind, failure } = (value ?? {}) as { kind?: unknown; failure?: unknown };
  return kind === "refused" ? { kind, failure: failureOf(failure) } : { kind: "unchanged" };
}

function factsOf(error: unknown): { name?: unknown; message?: unknown; code?: unknown } {
  try {
    const { name, message, code } = error as Record<string, unknown>;
    return { name, message, code };
  } catch {
    return {};
  }
}
