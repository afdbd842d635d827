import { copyBytes } from "./bytes.ts";

/** Levels and values that are copied without looking out for cycles and shared parts. */
const SIMPLE = { levels: 100, values: 100_000 } as const;

/** A value as it may be given away, to code that may change it. */
export interface HandedOut<T> {
  readonly value: T;
  /** Whether no change of it reaches the original. */
  readonly isSafe: boolean;
}

/**
 * A value to give away, so that changes of it do not reach the original: a deep copy of plain
 * objects, arrays, maps, sets, dates and bytes. A frozen value is given away as it is, frozen in
 * depth by this call, unless there are maps, sets, dates or bytes in it, which stay open to changes.
 * Instances of classes within it are shared. An instance of a class, or a value that throws when it is
 * read, is given away as it is, and is not safe.
 *
 * Costs about 0.2 µs for each object in it, and 1 µs for each key of an object with thousands; for a
 * frozen value, only what is not frozen yet counts.
 */
export function handOut<T>(value: T): HandedOut<T> {
  if (typeof value !== "object" || value === null) return { value, isSafe: true };
  try {
    if (Object.isFrozen(value) && freeze(value)) return { value, isSafe: true };
    const copied = copyOf(value);
    return { value: copied, isSafe: copied !== value };
  } catch {
    return { value, isSafe: false };
  }
}

/** The copy that {@linkcode handOut} makes, or `value` itself if there is none. */
export function freshCopy<T>(value: T): T {
  return handOut(value).value;
}

/** What {@linkcode handOut} copies besides plain objects, arrays and bytes. */
const COPIED: readonly object[] = [Date.prototype, Map.prototype, Set.prototype];

/**
 * Whether {@linkcode handOut} would give `value` away as it is, though it may be changed: an instance
 * of a class that is not frozen. Copies nothing.
 */
export function isUncopied(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return false;
  return !Array.isArray(value) && !isPlain(value) && !isOpen(value);
}

/** Objects that are frozen in depth, so that they need not be searched again. */
const frozen = new WeakSet<object>();

/** Freezes `value` in depth; false, and nothing is frozen, if that leaves some content open to changes. */
function freeze(value: object): boolean {
  if (frozen.has(value)) return true;
  const parts = new Set([value]);
  for (const part of parts) {
    if (frozen.has(part)) continue;
    if (isOpen(part)) return false;
    if (!isPlain(part) && !Array.isArray(part)) {
      parts.delete(part);
      continue;
    }
    for (const key of Reflect.ownKeys(part)) {
      const { value: item } = Object.getOwnPropertyDescriptor(part, key)!;
      if (typeof item === "object" && item !== null) parts.add(item);
    }
  }
  for (const part of parts) frozen.add(Object.freeze(part));
  return true;
}

/** Whether it is copied, and has content that `Object.freeze` does not reach. */
function isOpen(value: object): boolean {
  if (ArrayBuffer.isView(value)) return !(value instanceof DataView);
  return COPIED.includes(Object.getPrototypeOf(value));
}

/** The state of one copying. */
interface Copying {
  /** Values that may still be copied; then cycles and shared parts are looked out for. */
  left: number;
  /** The copies that there are, once that is so. */
  readonly copies: Map<object, object> | undefined;
}

const TOO_MANY = Symbol("too many");

function copyOf<T extends object>(value: T): T {
  try {
    return copy(value, { left: SIMPLE.values, copies: undefined }, 0) as T;
  } catch (error) {
    if (error !== TOO_MANY) throw error;
    return copy(value, { left: Infinity, copies: new Map() }, 0) as T;
  }
}

function copy(value: object, copying: Copying, level: number): object {
  const { copies } = copying;
  if (copies === undefined) {
    if (level > SIMPLE.levels || --copying.left < 0) throw TOO_MANY;
  } else {
    const known = copies.get(value);
    if (known !== undefined) return known;
  }
  if (Array.isArray(value)) {
    const copied: unknown[] = value.slice();
    copies?.set(value, copied);
    for (let at = 0; at < copied.length; at++) {
      const item = copied[at];
      if (typeof item === "object" && item !== null) copied[at] = copy(item, copying, level + 1);
    }
    return copied;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && !isRoot(prototype)) {
    return copyBuiltIn(value, prototype, copying, level);
  }
  const copied: Record<string, unknown> = prototype === null
    ? Object.assign(Object.create(null), value)
    : { ...value };
  copies?.set(value, copied);
  for (const key of Object.keys(copied)) {
    const item = copied[key];
    if (typeof item === "object" && item !== null) copied[key] = copy(item, copying, level + 1);
  }
  return copied;
}

function copyBuiltIn(value: object, prototype: object, copying: Copying, level: number): object {
  const inner = <T>(item: T): T =>
    typeof item === "object" && item !== null ? copy(item, copying, level + 1) as T : item;
  if (prototype === Date.prototype) return new Date((value as Date).getTime());
  if (prototype === Map.prototype) {
    const copied = new Map<unknown, unknown>();
    copying.copies?.set(value, copied);
    // Keys that are objects are found by what they are: a copy would be another key.
    for (const [key, item] of value as Map<unknown, unknown>) copied.set(key, inner(item));
    return copied;
  }
  if (prototype === Set.prototype) {
    const copied = new Set<unknown>();
    copying.copies?.set(value, copied);
    for (const item of value as Set<unknown>) copied.add(inner(item));
    return copied;
  }
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    return copyBytes(value as Uint8Array);
  }
  return value;
}

function isPlain(value: object): boolean {
  return isRoot(Object.getPrototypeOf(value));
}

/** Whether a prototype is that of plain objects, or none; holds in any realm. */
function isRoot(prototype: object | null): boolean {
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
