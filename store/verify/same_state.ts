import { bytesOf, isSameBytes } from "../base/bytes.ts";
import { textOf } from "../base/text.ts";

/**
 * Whether two states are the same, piece by piece; what JSON leaves out does not count, nor does the
 * order of a map or a set, unless there are objects among its keys or items. What no property shows of
 * an instance is compared by its `toJSON()` or text.
 */
export function isSameState(one: unknown, other: unknown): boolean {
  return isSame(one, other, new Map());
}

/** Pairs of objects that are compared already, for a state may hold itself. */
type Met = Map<object, Set<object>>;

function isSame(one: unknown, other: unknown, met: Met): boolean {
  if (Object.is(one, other)) return true;
  if (typeof one !== "object" || typeof other !== "object" || !one || !other) return false;
  if (met.get(one)?.has(other)) return true;
  met.set(one, (met.get(one) ?? new Set()).add(other));
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  for (const type of [Date, Map, Set]) {
    if (one instanceof type !== other instanceof type) return false;
  }
  if (one instanceof Date) return Object.is(one.getTime(), (other as Date).getTime());
  if (one instanceof Map) return isSameMap(one, other as typeof one, met);
  if (one instanceof Set) return isSameSet(one, other as typeof one, met);
  const [bytes, others] = [bytesOf(one), bytesOf(other)];
  if (bytes !== undefined || others !== undefined) {
    return bytes !== undefined && isSameBytes(bytes, others);
  }
  if (Array.isArray(one) && one.length !== (other as unknown[]).length) return false;
  const [left, right] = [one as Record<string, unknown>, other as Record<string, unknown>];
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  if (names.size === 0) return isSame(insideOf(one), insideOf(other), met);
  return [...names].every((name) => isSame(left[name], right[name], met));
}

function isSameMap(
  one: ReadonlyMap<unknown, unknown>,
  other: ReadonlyMap<unknown, unknown>,
  met: Met,
): boolean {
  if (one.size !== other.size) return false;
  return [...one.keys()].every((key) => other.has(key))
    ? [...one].every(([key, item]) => isSame(item, other.get(key), met))
    : isSame([...one], [...other], met);
}

function isSameSet(one: ReadonlySet<unknown>, other: ReadonlySet<unknown>, met: Met): boolean {
  if (one.size !== other.size) return false;
  return [...one].every((item) => other.has(item)) || isSame([...one], [...other], met);
}

/** What an object without properties shows: that of a `URL` is its address, that of `{}` nothing. */
function insideOf(value: object): unknown {
  if ("toJSON" in value && typeof value.toJSON === "function") return value.toJSON("");
  return Object.getPrototypeOf(value) === null ? String({}) : textOf(value, Infinity);
}
