import { FORGOTTEN } from "../codec.ts";

const PLAIN = /^[A-Za-z_$][A-Za-z0-9_$]*$/;

/** A place in data, for people: `data.items[2].price`. */
export function placeOf(name: string, path: readonly (string | number)[]): string {
  return name +
    path.map((key) =>
      typeof key === "number" || /^\d+$/.test(key)
        ? `[${key}]`
        : PLAIN.test(key)
        ? `.${key}`
        : `[${JSON.stringify(key)}]`
    ).join("");
}

/** The value at a place, or what is forgotten on the way there; `undefined` if there is none. */
export function valueAt(data: unknown, path: readonly (string | number)[]): unknown {
  let value = data;
  for (const key of path) {
    if (value === FORGOTTEN) return value;
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string | number, unknown>)[key];
  }
  return value;
}

/** Levels of data that are compared. */
const LEVELS = 100;

/** Whether two values are the same as far as one can see: of dates and maps, only that they are some. */
export function isSameValue(one: unknown, other: unknown, levels = LEVELS): boolean {
  if (Object.is(one, other) || levels === 0) return true;
  if (!isContainer(one) || !isContainer(other)) return false;
  const keys = keysOf(one);
  return Array.isArray(one) === Array.isArray(other) && keys.length === keysOf(other).length &&
    keys.every((key) => isSameValue(one[key], other[key], levels - 1));
}

function isContainer(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** The keys that have a value. */
function keysOf(value: Record<string, unknown>): string[] {
  return Object.keys(value).filter((key) => value[key] !== undefined);
}
