import { bytesOf, isSameBytes } from "../store/base/bytes.ts";
import { textOf } from "../store/base/text.ts";

/** Characters of a value on one line, in a sentence. */
const MOST_TEXT = 500;
/** Characters of a value that a line of a comparison holds. */
const LINE = 80;
/** Lines that are compared; longer values are told by their first difference alone. */
const MOST_LINES = 400;
/** Equal lines that are shown around a difference. */
const AROUND = 3;

/** Pairs of objects that are compared already, for a value may hold itself. */
type Met = Map<object, Set<object>>;

/**
 * The first place where values differ, as a sentence with both; `undefined` if they are the same.
 * Distinguishes `-0` from `0`, a missing key from an undefined one, and instances of different classes.
 * Bytes are compared as such; other instances by their properties, and by their `toJSON()` or text.
 * Those that do not show all that they hold are the same only if they are one object. The order of a
 * map or a set does not count, unless there are objects among its keys or items.
 */
export function differ(actual: unknown, expected: unknown, path: string): string | undefined {
  return differIn(new Map(), actual, expected, path);
}

function differIn(
  met: Met,
  actual: unknown,
  expected: unknown,
  path: string,
): string | undefined {
  if (Object.is(actual, expected)) return undefined;
  // Most of what is compared is the same, and may be large: no text is made of it.
  const wrong = () => `Expected ${path} to be ${show(expected)}, got ${show(actual)}`;
  if (!isObject(actual) || !isObject(expected)) return wrong();
  for (const type of [Date, Map, Set, Error, Array]) {
    if (actual instanceof type !== expected instanceof type) return wrong();
  }
  if (actual instanceof Date) {
    return Object.is(actual.getTime(), (expected as Date).getTime()) ? undefined : wrong();
  }
  if (actual instanceof Error) {
    const other = expected as Error;
    return actual.name === other.name && actual.message === other.message ? undefined : wrong();
  }
  if (classOf(actual) !== classOf(expected)) return wrong();
  const bytes = bytesOf(actual);
  if (bytes !== undefined) return isSameBytes(bytes, bytesOf(expected)) ? undefined : wrong();
  if (met.get(actual)?.has(expected)) return undefined;
  met.set(actual, (met.get(actual) ?? new Set()).add(expected));
  if (actual instanceof Set) {
    const other = expected as Set<unknown>;
    const isSameSet = actual.size === other.size && [...actual].every((it) => other.has(it));
    return isSameSet ? undefined : differIn(met, [...actual], [...other], path);
  }
  if (actual instanceof Map) {
    const other = expected as Map<unknown, unknown>;
    const isByEntry = [...actual.keys()].some((key) => isObject(key) && !other.has(key));
    if (isByEntry) return differIn(met, [...actual], [...other], path);
  }
  if (Array.isArray(actual) && actual.length !== (expected as unknown[]).length) return wrong();
  const [left, right] = [partsOf(actual), partsOf(expected)];
  for (const key of new Set([...right.keys(), ...left.keys()])) {
    const place = `${path}.${textOf(key)}`;
    if (!left.has(key)) return `Expected ${place} to be ${show(right.get(key))}, got nothing`;
    if (!right.has(key)) return `Expected no ${place}, got ${show(left.get(key))}`;
    const difference = differIn(met, left.get(key), right.get(key), place);
    if (difference !== undefined) return difference;
  }
  return isOfClass(actual) ? differInside(met, actual, expected, path, wrong) : undefined;
}

/** How two instances of one class differ whose properties are the same. */
function differInside(
  met: Met,
  actual: object,
  expected: object,
  path: string,
  wrong: () => string,
): string | undefined {
  if (hasJson(actual) && hasJson(expected)) {
    return differIn(met, actual.toJSON(""), expected.toJSON(""), path);
  }
  const text = textOf(actual, Infinity);
  if (text !== textOf(expected, Infinity)) return wrong();
  if (!text.startsWith("[object ") || !isClosed(actual)) return undefined;
  return `Cannot compare ${path}: nobody sees all that is in ${
    show(actual)
  }; give its class a toJSON()`;
}

/** The class of an object; `undefined` for plain ones, of any realm, with a prototype or without. */
function classOf(value: object): object | undefined {
  if (Array.isArray(value)) return Array;
  const prototype: object | null = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null ? undefined : prototype;
}

/** Whether an object is an instance of a class that has no meaning here. */
function isOfClass(value: object): boolean {
  return classOf(value) !== undefined && !Array.isArray(value) && !(value instanceof Map) &&
    !(value instanceof Set);
}

/** Whether an object of a class has no properties that tell what it holds. */
function isOpaque(value: object): boolean {
  return isOfClass(value) && Object.keys(value).length === 0;
}

function hasJson(value: object): value is { toJSON(key: string): unknown } {
  return "toJSON" in value && typeof value.toJSON === "function";
}

/** Whether a class may keep something out of sight: it, or one above it, has private fields or is native. */
function isClosed(value: object): boolean {
  for (let type = classOf(value); type !== undefined; type = classOf(type)) {
    if (/#[\w$]|\[native code\]/.test(textOf(type.constructor, Infinity))) return true;
  }
  return false;
}

/** The parts of a map or an object, by key. */
function partsOf(value: object): ReadonlyMap<unknown, unknown> {
  return value instanceof Map ? value : new Map(Object.entries(value));
}

/**
 * Passes if the values are the same; else the message has the first difference in its first line,
 * and below it both values, line by line, where they need more than one.
 *
 * @param when Under which condition they are compared, for the message.
 */
export function same(actual: unknown, expected: unknown, what: string, when?: string): void {
  const found = differ(actual, expected, what);
  if (found === undefined) return;
  const difference = when === undefined ? found : `${found}, ${when}`;
  const [left, right] = [linesOf(actual), linesOf(expected)];
  if (left.length + right.length <= 2 || left.length + right.length > MOST_LINES) {
    throw new Error(difference);
  }
  const compared = compareLines(left, right);
  throw new Error([difference, "", "- expected", "+ got", "", ...compared].join("\n"));
}

/** A value on one line. */
export function show(value: unknown): string {
  const text = inline(value, new Set());
  return text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}…` : text;
}

function inline(value: unknown, within: ReadonlySet<object>): string {
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return `[function ${value.name}]`;
  if (!isObject(value)) return textOf(value);
  const leaf = leafOf(value);
  if (leaf !== undefined) return leaf;
  if (within.has(value)) return "[a cycle]";
  const inner = new Set(within).add(value);
  const { open, items, close } = itemsOf(value);
  return `${open}${items.map(([key, item]) => `${key}${inline(item, inner)}`)}${close}`;
}

/** The text of an object without parts; `undefined` if it has some. */
function leafOf(value: object): string | undefined {
  if (value instanceof Error) return textOf(value);
  if (value instanceof Date) return `Date(${isNaN(+value) ? NaN : value.toISOString()})`;
  const bytes = bytesOf(value);
  if (bytes !== undefined) return `${nameOf(value)}(${textOf(bytes)})`;
  if (!isOpaque(value)) return undefined;
  const text = textOf(value);
  return `${nameOf(value)}(${text.startsWith("[object ") ? "" : text})`;
}

/** The name of the class of an object; empty for plain ones. */
function nameOf(value: object): string {
  return classOf(value) === undefined ? "" : textOf(value.constructor?.name);
}

/** The parts of an object, each with the text in front of it. */
function itemsOf(value: object): {
  readonly open: string;
  readonly items: readonly (readonly [string, unknown])[];
  readonly close: string;
} {
  if (Array.isArray(value)) return { open: "[", items: value.map((it) => ["", it]), close: "]" };
  if (value instanceof Set) {
    return { open: "Set(", items: [...value].map((it) => ["", it]), close: ")" };
  }
  const items = [...partsOf(value)].map(([key, item]) => [`${show(key)}:`, item] as const);
  return { open: `${nameOf(value)}{`, items, close: "}" };
}

/** A value as lines: what fits into one is in one. */
function linesOf(value: unknown, indent = "", before = "", within = new Set<object>()): string[] {
  const line = `${indent}${before}${inline(value, within)}`;
  const isLeaf = !isObject(value) || leafOf(value) !== undefined;
  if (isLeaf || within.has(value) || line.length <= LINE) return [line];
  const { open, items, close } = itemsOf(value);
  const inner = new Set(within).add(value);
  return [
    `${indent}${before}${open}`,
    ...items.flatMap(([key, item]) =>
      linesOf(item, `${indent}  `, key === "" ? "" : `${key} `, inner)
    ),
    `${indent}${close}`,
  ];
}

/** The lines of both: equal ones once, and of those only the ones near a difference. */
function compareLines(actual: readonly string[], expected: readonly string[]): string[] {
  // lengths[i][j]: the most equal lines that the rests from i and j have in common, in order.
  const lengths = Array.from(
    { length: expected.length + 1 },
    () => new Array<number>(actual.length + 1).fill(0),
  );
  for (let i = expected.length - 1; i >= 0; i--) {
    for (let j = actual.length - 1; j >= 0; j--) {
      lengths[i]![j] = expected[i] === actual[j]
        ? lengths[i + 1]![j + 1]! + 1
        : Math.max(lengths[i + 1]![j]!, lengths[i]![j + 1]!);
    }
  }
  const lines: string[] = [];
  for (let i = 0, j = 0; i < expected.length || j < actual.length;) {
    if (i < expected.length && expected[i] === actual[j]) {
      lines.push(`  ${expected[i++]}`);
      j++;
    } else if (
      j === actual.length || (i < expected.length && lengths[i + 1]![j]! >= lengths[i]![j + 1]!)
    ) {
      lines.push(`- ${expected[i++]}`);
    } else lines.push(`+ ${actual[j++]}`);
  }
  const isNear = (at: number) =>
    lines.slice(Math.max(0, at - AROUND), at + AROUND + 1).some((line) => line[0] !== " ");
  return lines.flatMap((line, at) => isNear(at) ? [line] : isNear(at - 1) ? ["  …"] : []);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
