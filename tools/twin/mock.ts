/**
 * The part of `@std/testing/mock` that this project's tests use, for machines that cannot reach JSR.
 *
 * @module
 */
// deno-lint-ignore-file no-explicit-any -- a spy takes any function, as in `@std/testing`

/** One recorded call. */
export interface SpyCall {
  /** The arguments. */
  args: any[];
  /** The returned value, if it returned. */
  returned?: any;
  /** The thrown error, if it threw. */
  error?: Error;
  /** The value of `this`. */
  self?: any;
}

/** A function that records its calls. */
export interface Spy {
  (...args: any[]): any;
  /** The calls so far, oldest first. */
  calls: SpyCall[];
  /** Whether the original is back in place. */
  restored: boolean;
  /** Puts the original back. */
  restore(): void;
  /** Puts the original back, at the end of a `using` block. */
  [Symbol.dispose](): void;
}

function record(fn: (...args: any[]) => any, restore: () => void): Spy {
  const calls: SpyCall[] = [];
  const spy = function (this: unknown, ...args: any[]): any {
    const call: SpyCall = { args };
    if (this !== undefined) call.self = this;
    calls.push(call);
    try {
      return call.returned = fn.apply(this, args);
    } catch (error) {
      call.error = error as Error;
      throw error;
    }
  } as Spy;
  return Object.assign(spy, {
    calls,
    restored: false,
    restore() {
      if (spy.restored) throw new Error("Cannot restore the spy: it is restored already");
      restore();
      spy.restored = true;
    },
    [Symbol.dispose]() {
      if (!spy.restored) spy.restore();
    },
  });
}

function replace(target: any, property: PropertyKey, fn: (...args: any[]) => any): Spy {
  const own = Object.getOwnPropertyDescriptor(target, property);
  const spy = record(fn, () => {
    if (own) Object.defineProperty(target, property, own);
    else delete target[property];
  });
  Object.defineProperty(target, property, { value: spy, configurable: true, writable: true });
  return spy;
}

/** Records the calls of a function, or of `target[property]`, and lets them through. */
export function spy(fn?: (...args: any[]) => any): Spy;
export function spy<T extends object>(target: T, property: keyof T): Spy;
export function spy(target: any = () => {}, property?: PropertyKey): Spy {
  if (property === undefined) return record(target, () => {});
  return replace(target, property, target[property]);
}

/** Replaces `target[property]` by `fn` (by default one that does nothing) and records the calls. */
export function stub<T extends object>(
  target: T,
  property: keyof T,
  fn: (...args: any[]) => any = () => {},
): Spy {
  return replace(target, property, fn);
}

/** Fails unless the spy was called `expected` times. */
export function assertSpyCalls(spy: Spy, expected: number): void {
  if (spy.calls.length !== expected) {
    throw new Error(`Expected ${expected} calls of the spy: it has ${spy.calls.length}`);
  }
}
