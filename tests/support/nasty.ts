/** A value that hardly any code expects, made fresh with each call. */
export type NastyValue = readonly [name: string, make: () => unknown];

const trap = (): never => {
  throw new Error("a trap");
};

/** Values that user code may throw, give or be given: each is made afresh. */
export function nastyValues(): readonly NastyValue[] {
  return [
    ["undefined", () => undefined],
    ["null", () => null],
    ["NaN", () => NaN],
    ["a symbol", () => Symbol("nasty")],
    ["a bigint", () => 1n],
    ["an empty text", () => ""],
    ["a lone surrogate", () => "\ud800"],
    ["2 MB of text", () => "x".repeat(2_000_000)],
    ["a function", () => () => {}],
    ["no prototype", () => Object.create(null)],
    ["an error without a prototype", () => Object.setPrototypeOf(new Error("lost"), null)],
    ["a toString() that throws", () => ({ toString: trap })],
    ["a toString() that gives an object", () => ({ toString: () => ({}), valueOf: () => ({}) })],
    [
      "a getter that throws",
      () => Object.defineProperty({}, "data", { get: trap, enumerable: true }),
    ],
    ["a name that throws", () => Object.defineProperty({}, "name", { get: trap })],
    ["an error with getters that throw", errorWithTraps],
    ["an error with 2 MB of text", () => new Error("x".repeat(2_000_000))],
    [
      "an error whose message is no text",
      () => Object.assign(new Error(), { message: Symbol("m") }),
    ],
    ["a proxy that throws", () => new Proxy({}, traps())],
    ["a proxied error that throws", () => new Proxy(new Error("inner"), traps())],
    ["a revoked proxy", revoked],
    ["a cycle", cycle],
    ["a then() that throws", () => Object.defineProperty({}, "then", { get: trap })],
    ["a printing that throws", () => ({ [Symbol.for("Deno.customInspect")]: trap })],
    ["a toJSON() that throws", () => ({ toJSON: trap })],
    ["a frozen array", () => Object.freeze([Object.freeze({})])],
    ["a map", () => new Map([[{}, new Set()]])],
    ["an invalid date", () => new Date(NaN)],
    ["an instance", () =>
      new (class Own {
        #hidden = 1;
        get hidden(): number {
          return this.#hidden;
        }
      })()],
  ];
}

function traps(): ProxyHandler<object> {
  return { get: trap, has: trap, getPrototypeOf: trap, ownKeys: trap, set: trap };
}

function errorWithTraps(): Error {
  const error = new Error("hidden");
  for (const key of ["message", "name", "stack", "cause", "code"]) {
    Object.defineProperty(error, key, { get: trap });
  }
  return error;
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function cycle(): unknown {
  const own: Record<string, unknown> = {};
  own.self = own;
  return own;
}

/** Changes all of `value` that can be changed, in depth. */
export function spoil(value: unknown, seen: Set<unknown> = new Set()): void {
  if (typeof value !== "object" || value === null || seen.has(value)) return;
  seen.add(value);
  if (value instanceof Date) return void value.setTime(0);
  if (value instanceof Map || value instanceof Set) return value.clear();
  for (const key of Object.keys(value)) {
    try {
      const own = value as Record<string, unknown>;
      spoil(own[key], seen);
      own[key] = typeof own[key] === "number" ? -1 : "spoiled";
    } catch {
      // Frozen: that is one of the two ways to be safe.
    }
  }
}
