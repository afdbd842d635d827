/**
 * Hostile input by seed: what a fault, a foreign program or an attacker makes of good bytes.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { isAetherError } from "../../store/mod.ts";
import { seededRandom } from "../support/proxy.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The seed of a run: `AETHER_SEED`, or always the same. */
export const SEED = Number(Deno.env.get("AETHER_SEED") ?? 20261129);

/** Values of JSON that programs forget to think of, each made anew. */
const VALUES: readonly (() => unknown)[] = [
  () => null,
  () => true,
  () => "",
  () => 0,
  () => -1,
  () => 1.5,
  () => 2 ** 53,
  () => -(2 ** 63),
  () => 1e308,
  () => "2 ",
  () => "__proto__",
  () => "constructor",
  () => "\u0000\ud800\uffff",
  () => "x".repeat(70_000),
  () => [],
  () => [[]],
  () => ({}),
  () => JSON.parse('{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}'),
  () => JSON.parse('{"toString":1,"valueOf":null,"length":-1,"then":"x"}'),
  () => JSON.parse("[".repeat(2_000) + "]".repeat(2_000)),
];

/** Texts that headers, tokens and numbers in texts do not expect. */
export const TEXTS: readonly string[] = [
  ..."0,-1,1e9,9007199254740993,1.5,NaN,Infinity,+1,0x10,00,__proto__,constructor,=,=41,==,%00"
    .split(
      ",",
    ),
  ...["", " ", "  1", "1 1 1 1", "1,2", "\u00e9", "x".repeat(5_000), "1 ".repeat(300)],
];

/** A source of hostile input. */
export class Hostile {
  /** Numbers in [0, 1) by the seed. */
  readonly random: () => number;

  /** The same input for the same seed. */
  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /** A whole number below `end`. */
  below(end: number): number {
    return Math.floor(this.random() * end);
  }

  /** One of `things`. */
  pick<T>(things: readonly T[]): T {
    return things[this.below(things.length)]!;
  }

  /** A text that is no good, or a good one with a fault. */
  text(good: string): string {
    const at = this.below(good.length + 1);
    switch (this.below(5)) {
      case 0:
        return good.slice(0, at);
      case 1:
        return good.slice(0, at) + this.pick(["0", " ", "-", "x", "="]) + good.slice(at);
      case 2:
        return good.slice(0, at) + good.slice(at + 1);
      case 3:
        return `${good} ${good}`;
      default:
        return this.pick(TEXTS);
    }
  }

  /** Bytes that were good. */
  bytes(given: Uint8Array): Uint8Array {
    const good = new Uint8Array(given); // A Buffer gives views of itself.

    switch (this.below(6)) {
      case 0:
        return good.slice(0, this.below(good.length));
      case 1: {
        const bytes = new Uint8Array(good);
        for (let flips = 1 + this.below(4); flips > 0 && bytes.length > 0; flips--) {
          bytes[this.below(bytes.length)]! ^= 1 << this.below(8);
        }
        return bytes;
      }
      case 2:
        return Uint8Array.from({ length: this.below(300) }, () => this.below(256));
      case 3:
        return encoder.encode(this.text(decoder.decode(good)));
      default:
        return this.#json(good);
    }
  }

  /** JSON with one value replaced, taken out or added, at any depth. */
  #json(good: Uint8Array): Uint8Array {
    let value: unknown;
    try {
      value = JSON.parse(decoder.decode(good));
    } catch {
      return encoder.encode(JSON.stringify(this.pick(VALUES)()));
    }
    return encoder.encode(JSON.stringify(this.#changed(value)));
  }

  #changed(value: unknown): unknown {
    if (typeof value !== "object" || value === null || this.random() < 0.1) {
      return this.pick(VALUES)();
    }
    const keys = Object.keys(value);
    const record = value as Record<string, unknown>;
    const key = keys.length > 0 ? this.pick(keys) : "added";
    const chance = this.random();
    if (chance < 0.1) delete record[key];
    else if (chance < 0.2) record[this.pick(["added", "then", "toJSON", "length"])] = 1;
    else record[key] = this.#changed(record[key]);
    return value;
  }
}

/** Messages of errors that the engine throws where the code forgot to look. */
const FORGOTTEN =
  /Cannot read prop|is not a function|is not iterable|Cannot convert|call stack|Invalid array length|is not defined|Cannot mix BigInt|out of memory|Invalid count value|Invalid time value/;

/** Passes if `error` tells the caller in our own words what is wrong. */
export function assertClear(error: unknown, input: string): void {
  assert(error instanceof Error, `${input} throws ${Deno.inspect(error)}`);
  const isOurs = isAetherError(error) || error instanceof TypeError ||
    error instanceof RangeError || error instanceof SyntaxError;
  assert(isOurs && !FORGOTTEN.test(error.message), `${input} throws ${Deno.inspect(error)}`);
}

/** Passes if nothing has got into what all objects inherit. */
export function assertUnpolluted(): void {
  assertEquals(({} as { polluted?: unknown }).polluted, undefined, "an object is polluted");
  assertEquals(Object.keys(Object.prototype), []);
  assertEquals(Object.keys(Array.prototype), []);
}
