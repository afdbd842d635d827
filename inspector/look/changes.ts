import { plainJson } from "../http/plain_json.ts";
import type { Change } from "../views/states.ts";

/** How deep values are compared; what is deeper is one value. */
const DEEPEST = 64;

/**
 * The differences between two values, as they are in JSON. What both share is not looked into, so
 * that it costs no more than what differs; a decider makes new values and leaves old ones alone.
 */
export function changesBetween(before: unknown, after: unknown): Change[] {
  const found: Change[] = [];
  compare(before, after, [], found);
  return found;
}

function compare(
  before: unknown,
  after: unknown,
  path: readonly (string | number)[],
  found: Change[],
): void {
  if (Object.is(before, after)) return;
  const [one, other] = [shapeOf(before), shapeOf(after)];
  const isLeaf = one === undefined || other === undefined || one.isList !== other.isList ||
    path.length >= DEEPEST;
  if (isLeaf) {
    const [was, is] = [plain(before), plain(after)];
    if (JSON.stringify(was) === JSON.stringify(is)) return;
    found.push({
      path,
      ...(was !== undefined && { before: was }),
      ...(is !== undefined && { after: is }),
    });
    return;
  }
  if (one.isList) {
    const [was, is] = [one.value as readonly unknown[], other.value as readonly unknown[]];
    for (let at = 0; at < Math.max(was.length, is.length); at++) {
      // A list has no holes: what is missing there is null in JSON.
      const [left, right] = [at < was.length, at < is.length];
      if (left && right && Object.is(was[at], is[at])) continue;
      if (left && right) compare(was[at] ?? null, is[at] ?? null, [...path, at], found);
      else {compare(left ? was[at] ?? null : undefined, right ? is[at] ?? null : undefined, [
          ...path,
          at,
        ], found);}
    }
    return;
  }
  const [was, is] = [one.value as Fields, other.value as Fields];
  for (const key of Object.keys(was)) compare(was[key], own(is, key), [...path, key], found);
  for (const key of Object.keys(is)) {
    if (!Object.hasOwn(was, key)) compare(undefined, is[key], [...path, key], found);
  }
}

type Fields = Readonly<Record<string, unknown>>;

function own(fields: Fields, key: string): unknown {
  return Object.hasOwn(fields, key) ? fields[key] : undefined;
}

/** An object or a list as JSON would show it; `undefined` for a value without parts. */
function shapeOf(value: unknown): { isList: boolean; value: unknown } | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) return { isList: true, value };
  if (value instanceof Map) return { isList: true, value: [...value] };
  if (value instanceof Set) return { isList: true, value: [...value] };
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return undefined;
  return { isList: false, value };
}

/**
 * A value as JSON shows it, with the entries of a `Map` and the members of a `Set` as lists, and a
 * `bigint` as text; `undefined` if JSON has nothing for it.
 *
 * @throws {TypeError} It contains itself.
 */
export function plain(value: unknown): unknown {
  const text = plainJson(value);
  return text === undefined ? undefined : JSON.parse(text);
}
