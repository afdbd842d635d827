/** Why something failed, for a message: what an error says, and `otherwise` if it was no error. */
export function reasonOf(cause: unknown, otherwise?: string): string {
  return cause instanceof Error ? cause.message : otherwise ?? String(cause);
}

/** Anything that was thrown as text: it may be an object that has none. */
export function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "an error without text";
  }
}
