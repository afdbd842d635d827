import { freshCopy } from "../base/fresh.ts";
import { refusePromise } from "../base/hook.ts";
import { describe, tokenProblem } from "../base/token.ts";
import type { Forgotten } from "../codec.ts";
import type { Event } from "../event.ts";

/**
 * The names of the fields whose type has `Forgotten` in it: those that can be sealed. A union has
 * those of all its members.
 */
export type ForgettableField<Data> = Data extends unknown ? {
    [Name in keyof Data & string]-?: Forgotten extends Data[Name] ? Name : never;
  }[keyof Data & string]
  : never;

/** Whose data a field is: the name of the field of `data` that says it, or a function. */
export type SubjectOf<E extends Event> =
  | {
    [Name in keyof E["data"] & string]-?: E["data"][Name] extends string ? Name : never;
  }[keyof E["data"] & string]
  | ((event: E) => string);

/**
 * For each event type the fields that are sealed, each with its subject. The compiler wants all
 * fields whose type has `Forgotten` in it, and no others: a field that can be forgotten is sealed, and
 * whoever reads a sealed field has to think of `FORGOTTEN`.
 *
 * @typeParam E The union of the events. Where older schemas are written (see
 * `writes()` of {@linkcode SchemaVersions}), events in their shapes are in it too: sealed is what is stored.
 */
export type SealedFields<E extends Event> = {
  readonly [
    Type in E["eventType"] as [
      // An event may have one of several types.
      ForgettableField<E extends Event ? Type extends E["eventType"] ? E["data"] : never : never>,
    ] extends [never] ? never : Type
  ]: {
    readonly [
      Name in ForgettableField<
        E extends Event ? Type extends E["eventType"] ? E["data"] : never : never
      >
    ]: SubjectOf<
      E extends { readonly eventType: infer Own; readonly data: infer Data } ? Type extends Own
          // Its data may be a union, of which not all members have the field.
          ? Data extends unknown
            ? Name extends keyof Data ? E & { readonly eventType: Type; readonly data: Data }
            : never
          : never
        : never
        : never
    >;
  };
};

/** The same without its types. */
export type FieldTable = {
  readonly [eventType: string]: { readonly [field: string]: string | ((event: Event) => string) };
};

/** The fields of an event that are sealed for one subject. */
export interface Part {
  readonly subject: string;
  readonly fields: readonly string[];
  /** The fields as JSON. */
  readonly text: string;
}

/** An event, its sealed fields apart. */
export interface Split {
  /** The fields that stay open. */
  readonly open: Record<string, unknown>;
  readonly parts: readonly Part[];
}

/**
 * Checks a table, and copies it.
 *
 * @throws {TypeError} It is not one.
 */
export function checkTable(table: FieldTable): FieldTable {
  const what = "Cannot make a sealed codec";
  if (typeof table !== "object" || table === null) {
    throw new TypeError(`${what}: fields is ${describe(table)}, not an object`);
  }
  const types = Object.entries(table).map(([eventType, fields]) => {
    if (typeof fields !== "object" || fields === null) {
      throw new TypeError(
        `${what}: fields of "${eventType}" is ${describe(fields)}, not an object`,
      );
    }
    for (const [name, subject] of Object.entries(fields)) {
      const isName = typeof subject === "string" && !Object.hasOwn(fields, subject);
      if (isName || typeof subject === "function") continue;
      throw new TypeError(
        `${what}: the subject of "${name}" of "${eventType}" is ${
          describe(subject)
        }, neither the ` +
          "name of a field that stays open nor a function",
      );
    }
    return [eventType, { ...fields }] as const;
  });
  return Object.fromEntries(types);
}

/**
 * Takes the sealed fields out of an event; `undefined` if it has none.
 *
 * @throws {TypeError} A field has no subject.
 */
export function split(table: FieldTable, event: Event): Split | undefined {
  const { eventType, data } = event;
  if (!Object.hasOwn(table, eventType)) return undefined;
  if (typeof data !== "object" || data === null || Array.isArray(data)) {
    throw new TypeError(`data of "${eventType}" is ${describe(data)}, not an object with fields`);
  }
  const open: Record<string, unknown> = { ...data };
  let view: Event | undefined; // The user's functions may change what they are given.
  const bySubject = new Map<string, [string, unknown][]>();
  for (const [name, subjectOf] of Object.entries(table[eventType]!)) {
    if (!Object.hasOwn(open, name) || open[name] === undefined) continue;
    const subject: unknown = typeof subjectOf === "function"
      ? subjectOf(view ??= { ...event, data: freshCopy(data) })
      : openField(data, subjectOf);
    refusePromise(subject, `the subject of data.${name}`);
    const problem = tokenProblem(subject);
    if (problem !== undefined) {
      throw new TypeError(`the subject of data.${name} of "${eventType}" ${problem}`);
    }
    const fields = bySubject.get(subject as string) ?? [];
    fields.push([name, open[name]]);
    bySubject.set(subject as string, fields);
  }
  const parts = [...bySubject].map(([subject, fields]): Part => {
    for (const [name] of fields) delete open[name];
    const text = JSON.stringify(Object.fromEntries(fields));
    return { subject, fields: fields.map(([name]) => name), text };
  });
  return parts.length === 0 ? undefined : { open, parts };
}

function openField(data: object, name: string): unknown {
  return Object.hasOwn(data, name) ? (data as Record<string, unknown>)[name] : undefined;
}
