/** Levels of nesting that are searched; far deeper data overflows the stack of other readers. */
const MAX_DEPTH = 500;

/** The answer if there are more values than allowed; an object counts in each of its places. */
export const TOO_MANY = "has too many values";

/** A problem and the path to it, which grows while the search unwinds. */
interface Finding {
  path: string;
  readonly what: string;
}

/** The state of the search. */
interface Search {
  /** The objects around the current value. */
  readonly parents: object[];
  /** Values that may still be looked at. */
  left: number;
}

/**
 * Names a place where `value` holds something that JSON would change or drop, such as
 * `data.items[2] is NaN`; `undefined` if JSON carries it faithfully. A property that is
 * `undefined` is fine: JSON leaves it out.
 *
 * @param value The value to write as JSON.
 * @param name Its name in the answer.
 * @param most Values to look at; if there are more, the answer is {@linkcode TOO_MANY}. A few
 * objects that share others can amount to more values than there is time to look at or to write.
 */
export function jsonProblem(value: unknown, name: string, most = Infinity): string | undefined {
  const finding = check(value, { parents: [], left: most });
  if (finding === tooMany) return TOO_MANY;
  return finding && `${name}${finding.path} ${finding.what}`;
}

const tooMany: Finding = { path: "", what: TOO_MANY };

function check(value: unknown, search: Search): Finding | undefined {
  if (--search.left < 0) return tooMany;
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined;
    case "number":
      if (Object.is(value, -0)) return found("is -0, which JSON makes 0: add 0 to it");
      return Number.isFinite(value) ? undefined : found(`is ${value}`);
    case "object":
      return value === null ? undefined : checkObject(value, search);
    case "undefined":
      return found("is undefined");
    default:
      return found(`is a ${typeof value}`);
  }
}

function checkObject(value: object, search: Search): Finding | undefined {
  const { parents } = search;
  if (parents.includes(value)) return found("refers back to what it is part of");
  if (parents.length >= MAX_DEPTH) return found(`is nested deeper than ${MAX_DEPTH} levels`);
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") {
    return found(`is ${nameOf(value)} with toJSON(), whose result would be stored in its place`);
  }
  if (Object.getOwnPropertySymbols(value).length > 0) return found("has a symbol as a key");
  parents.push(value);
  const finding = Array.isArray(value) ? checkArray(value, search) : checkRecord(value, search);
  parents.pop();
  return finding;
}

function checkArray(value: unknown[], search: Search): Finding | undefined {
  const prototype: object | null = Object.getPrototypeOf(value);
  if (prototype === null || !isPlain(prototype)) return found(`is ${nameOf(value)}, not an array`);
  for (let at = 0; at < value.length; at++) {
    const finding = check(value[at], search);
    if (finding !== undefined) return within(`[${at}]`, finding);
  }
  return Object.keys(value).length === value.length ? undefined : found("has named keys");
}

function checkRecord(value: object, search: Search): Finding | undefined {
  if (!isPlain(value)) return found(`is ${nameOf(value)}, not a plain object`);
  for (const key of Object.keys(value)) {
    const property = (value as Record<string, unknown>)[key];
    if (property === undefined) continue;
    const finding = check(property, search);
    if (finding !== undefined) return within(`.${key}`, finding);
  }
  return undefined;
}

function found(what: string): Finding {
  return { path: "", what };
}

function within(step: string, finding: Finding): Finding {
  if (finding !== tooMany) finding.path = step + finding.path;
  return finding;
}

/** Whether `value` has only a root prototype or none; holds in any realm, unlike `===`. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function nameOf(value: object): string {
  const name = value.constructor?.name;
  return typeof name === "string" && name !== "" ? `a ${name}` : "an object";
}
