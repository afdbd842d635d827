/** Why something failed, for a message: what an error says, and `otherwise` if it was no error. */
export function reasonOf(cause: unknown, otherwise?: string): string {
  return cause instanceof Error ? cause.message : otherwise ?? String(cause);
}
