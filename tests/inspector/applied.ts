import type { Change } from "../../inspector/views/states.ts";

/** The value after the changes, as a page makes it; the argument stays as it is. */
export function applied(value: unknown, changes: readonly Change[]): unknown {
  let result = structuredClone(value);
  for (const { path, ...change } of changes) {
    if (path.length === 0) {
      result = structuredClone(change.after);
      continue;
    }
    let place = result as Record<string | number, unknown>;
    for (const key of path.slice(0, -1)) place = place[key] as typeof place;
    const last = path.at(-1)!;
    if ("after" in change) {
      const value = structuredClone(change.after);
      // A key may be `__proto__`.
      Object.defineProperty(place, last, {
        ...{ value, writable: true, enumerable: true, configurable: true },
      });
    } else if (Array.isArray(place)) place.length = Math.min(place.length, last as number);
    else delete place[last];
  }
  return result;
}
