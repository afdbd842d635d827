/**
 * What user code may do to the library: throw, reject with or give any value, never settle, change
 * what it was given.
 *
 * @module
 */

import { nastyValues, spoil } from "./nasty.ts";

/** What a function of the user does when it is called for the first time. */
export interface Act {
  readonly name: string;
  readonly kind: "throws" | "rejects" | "gives" | "hangs" | "spoils";
  /** Does it; `args` are what the function was given. */
  do(...args: unknown[]): unknown;
  /** What it threw or rejected with. */
  readonly thrown: { readonly value: unknown } | undefined;
  /** Resolves when it is done for the first time. */
  readonly begun: Promise<void>;
}

/** All acts: each nasty value thrown, rejected with and given; never settling; changing what it gets. */
export function acts(): Act[] {
  const of = (name: string, kind: Act["kind"], work: (...args: unknown[]) => unknown): Act => {
    let thrown: Act["thrown"];
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    return {
      name: `${kind} ${name}`,
      kind,
      get thrown() {
        return thrown;
      },
      begun,
      do: (...args) => {
        begin();
        if (kind !== "throws" && kind !== "rejects") return work(...args);
        thrown = { value: work() };
        if (kind === "rejects") return Promise.reject(thrown.value);
        throw thrown.value;
      },
    };
  };
  return [
    ...nastyValues().flatMap(([name, make]) => [
      of(name, "throws", make),
      of(name, "rejects", make),
      of(name, "gives", make),
    ]),
    of("for good", "hangs", () => new Promise(() => {})),
    of("its arguments", "spoils", (...args) => args.forEach((arg) => spoil(arg))),
  ];
}

/** A function that acts at its first call, and does `sound` from then on. */
export function once<Args extends unknown[], Result>(
  act: Act,
  sound: (...args: Args) => Result,
): (...args: Args) => Result {
  let calls = 0;
  return (...args) => calls++ === 0 ? act.do(...args) as Result : sound(...args);
}

/** Runs `work` for each act, with the console silent; names the act that fails. */
export async function eachAct(
  list: readonly Act[],
  work: (act: Act) => Promise<void>,
): Promise<void> {
  const { warn, error } = console;
  console.warn = console.error = () => {};
  try {
    const outcomes = await Promise.allSettled(list.map(work));
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.status === "fulfilled") continue;
      const { reason: cause } = outcome;
      throw new Error(`It does not hold when the function ${list[at]!.name}`, { cause });
    }
  } finally {
    Object.assign(console, { warn, error });
  }
}
