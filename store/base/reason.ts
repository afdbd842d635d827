import { messageOf } from "./text.ts";

/** Why something failed, for a message; `otherwise` if there is no cause. */
export function reasonOf(cause: unknown, otherwise?: string): string {
  return cause === undefined && otherwise !== undefined ? otherwise : messageOf(cause);
}
