/** A command whose handler runs. */
export interface Call {
  /** The command's actor. */
  readonly actorId: string;
  /** The command's id. */
  readonly id: string;
}

/** The calls that wait for a handler, with the handler's own; none once it has ended. */
interface Frame {
  calls: readonly Call[];
}

/** The part of `AsyncLocalStorage` that is used here. */
interface Context {
  getStore(): Frame | undefined;
  run<T>(frame: Frame, work: () => T): T;
}

/**
 * How many calls a command carries: the innermost ones. Handlers that send without waiting make
 * chains that never end, and a chain is part of each message.
 */
const MAX_CALLS = 64;

const context = /* @__PURE__ */ openContext();

/**
 * The commands whose handlers led to the present code and may wait for it, outermost first; none
 * outside of a handler, or if the handler has ended: then nobody waits for what it has begun.
 */
export function callChain(): readonly Call[] {
  return context?.getStore()?.calls ?? [];
}

/** Does `work` as the handler of the last call of `chain`. */
export async function withCalls<T>(chain: readonly Call[], work: () => Promise<T>): Promise<T> {
  if (context === undefined) return await work();
  const frame: Frame = { calls: chain.slice(-MAX_CALLS) };
  try {
    return await context.run(frame, work);
  } finally {
    frame.calls = [];
  }
}

/** The chain in a message; none if it is none. */
export function callChainIn(value: unknown): readonly Call[] {
  if (!Array.isArray(value)) return [];
  return value.filter((call): call is Call =>
    typeof call?.actorId === "string" && typeof call.id === "string"
  );
}

/**
 * Asks the runtime rather than importing `node:async_hooks`, which browsers and their bundlers
 * refuse. Where there is none, chains are unknown, and a cycle ends by its timeout.
 */
function openContext(): Context | undefined {
  const { process } = globalThis as {
    readonly process?: { readonly getBuiltinModule?: (name: string) => unknown };
  };
  const hooks = process?.getBuiltinModule?.("node:async_hooks") as
    | { readonly AsyncLocalStorage?: new () => Context }
    | undefined;
  return hooks?.AsyncLocalStorage && new hooks.AsyncLocalStorage();
}
