import { textOf } from "./text.ts";

/** Characters of a text that a message shows. */
const MOST = 60;
/** Keys of an object that a message shows. */
const KEYS = 4;

/** An argument as a caller gave it, for a message: what it is rather than all that it holds. */
export function given(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "string") return JSON.stringify(textOf(value, MOST));
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return textOf(value, MOST);
  if (Array.isArray(value)) return "an array";
  const { name } = Object(Object.getPrototypeOf(value)?.constructor) as { name?: unknown };
  if (typeof name === "string" && name !== "Object") return `of class ${textOf(name, MOST)}`;
  const keys = Object.keys(value).slice(0, KEYS);
  return keys.length === 0 ? "an empty object" : `an object with ${textOf(keys.join(", "), MOST)}`;
}

/**
 * Refuses an argument that is no object.
 *
 * @param what What cannot be done: `Cannot ${what}`.
 * @throws {TypeError} It is something else.
 */
export function needObject(value: unknown, what: string, name: string, kind = "an object"): void {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return;
  throw wrong(value, what, name, kind);
}

/**
 * An argument as it is at the call, as its caller may change it or use it again at once: a copy of an
 * object or an array, which shares what is in it. The copy of an instance of a class has what the class
 * gives it: getters are read, and methods work on the instance. Anything else is given back, to be
 * refused later.
 */
export function asGiven<T>(value: T): T {
  if (Array.isArray(value)) return [...value] as T;
  if (typeof value !== "object" || value === null) return value;
  const own = { ...value } as Record<PropertyKey, unknown>;
  // The last prototype is that of plain objects.
  const above = (it: object): object | null => Object.getPrototypeOf(it);
  for (let type = above(value); type !== null && above(type) !== null; type = above(type)) {
    for (const key of Reflect.ownKeys(type)) {
      if (key in own) continue;
      const item = (value as Record<PropertyKey, unknown>)[key];
      own[key] = typeof item === "function" ? item.bind(value) : item;
    }
  }
  return own as T;
}

/** Refuses an argument that is no function; see {@linkcode needObject}. */
export function needFunction(value: unknown, what: string, name: string): void {
  if (typeof value !== "function") throw wrong(value, what, name, "a function");
}

/** Refuses an option that is neither left out nor a function; see {@linkcode needObject}. */
export function needOptionalFunctions(
  options: object,
  names: readonly string[],
  what: string,
): void {
  for (const name of names) {
    const value = (options as Record<string, unknown>)[name];
    if (value !== undefined) needFunction(value, what, name);
  }
}

/** Refuses an argument that is no text; see {@linkcode needObject}. */
export function needString(value: unknown, what: string, name: string): void {
  if (typeof value !== "string") throw wrong(value, what, name, "a string");
}

/** Refuses an argument that lacks a method of its kind; see {@linkcode needObject}. */
export function needMethods(
  value: unknown,
  methods: readonly PropertyKey[],
  what: string,
  name: string,
  kind: string,
): void {
  const found = Object(value) as Record<PropertyKey, unknown>;
  if (methods.every((method) => typeof found[method] === "function")) return;
  throw wrong(value, what, name, kind);
}

/** Refuses an option that is neither left out nor of its kind; see {@linkcode needMethods}. */
export function needOptionalMethods(
  value: unknown,
  methods: readonly PropertyKey[],
  what: string,
  name: string,
  kind: string,
): void {
  if (value !== undefined) needMethods(value, methods, what, name, kind);
}

/** Refuses a signal that is neither left out nor one; see {@linkcode needObject}. */
export function needSignal(signal: unknown, what: string): void {
  const methods = ["addEventListener", "throwIfAborted"];
  needOptionalMethods(signal, methods, what, "signal", "an AbortSignal");
}

/** Refuses an argument that is none of a decider's kind; see {@linkcode needObject}. */
export function needDecider(
  value: unknown,
  what: string,
  name: string,
  methods: readonly string[] = ["initialState", "evolve", "decide"],
): void {
  needMethods(value, methods, what, name, `an object with ${methods.join(", ")}`);
}

/** Refuses a call of a constructor that is the library's own; see {@linkcode needObject}. */
export function needOpened(isOwn: boolean, name: string, call: string): void {
  if (isOwn) return;
  throw new TypeError(`Cannot construct ${name}: it is opened; call await ${name}.${call}`);
}

function wrong(value: unknown, what: string, name: string, kind: string): TypeError {
  const is = value === undefined ? "missing; it has to be" : `${given(value)}, not`;
  return new TypeError(`Cannot ${what}: ${name} is ${is} ${kind}`);
}
