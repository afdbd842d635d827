import { AsyncLocalStorage } from "node:async_hooks";

/** A command whose handler runs. */
export interface Call {
  /** The command's actor. */
  readonly actorId: string;
  /** The command's id. */
  readonly id: string;
}

const calls = new AsyncLocalStorage<readonly Call[]>();

/**
 * The commands whose handlers led to the present code, outermost first; none outside of a handler.
 * What a handler has begun keeps them, even when the handler has ended.
 */
export function callChain(): readonly Call[] {
  return calls.getStore() ?? [];
}

/** Does `work` as the handler of the last call of `chain`. */
export function withCalls<T>(chain: readonly Call[], work: () => T): T {
  return calls.run(chain, work);
}

/** The chain in a message; none if it is none. */
export function callChainIn(value: unknown): readonly Call[] {
  if (!Array.isArray(value)) return [];
  return value.filter((call): call is Call =>
    typeof call?.actorId === "string" && typeof call.id === "string"
  );
}
