import { isThenable } from "../base/hook.ts";
import { reasonOf } from "../base/reason.ts";
import { textOf } from "../base/text.ts";
import type { EventIssue } from "../errors.ts";
import { RuleFault } from "../event_rules.ts";

/**
 * A schema of [Standard Schema](https://standardschema.dev), version 1, by its structure: those of
 * zod, valibot, arktype and others are ones.
 *
 * @typeParam Input The values that it takes.
 * @typeParam Output The values that it gives.
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The properties of the standard. */
  readonly "~standard": StandardSchemaProperties<Input, Output>;
}

/** The properties of a {@linkcode StandardSchema}. */
export interface StandardSchemaProperties<Input = unknown, Output = Input> {
  /** The version of the standard. */
  readonly version: 1;
  /** The name of the schema's library. */
  readonly vendor: string;
  /** Checks a value: gives it as the schema lets it pass, or says what is wrong with it. */
  readonly validate: (
    value: unknown,
  ) => StandardSchemaResult<Output> | Promise<StandardSchemaResult<Output>>;
  /** The types of its values; for the compiler alone. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
}

/** The result of a check by a {@linkcode StandardSchema}. */
export type StandardSchemaResult<Output> =
  | {
    /** The value as the schema lets it pass. */
    readonly value: Output;
    /** There are none. */
    readonly issues?: undefined;
  }
  | {
    /** The problems with the value. */
    readonly issues: readonly {
      /** The problem, in the library's words. */
      readonly message: string;
      /** Where. */
      readonly path?:
        | readonly (PropertyKey | { readonly key: PropertyKey })[]
        | undefined;
    }[];
  };

/** The type of the values that a schema takes. */
export type SchemaInput<Schema extends StandardSchema> = NonNullable<
  Schema["~standard"]["types"]
>["input"];

/** The type of the values that a schema gives. */
export type SchemaOutput<Schema extends StandardSchema> = NonNullable<
  Schema["~standard"]["types"]
>["output"];

/** The outcome of a check: the value that passed, or the problems. */
export type Checked = { readonly value: unknown } | { readonly issues: readonly EventIssue[] };

/** Whether `value` is a schema of the standard; those of arktype are functions. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard = (value as Partial<StandardSchema>)["~standard"];
  return typeof standard?.validate === "function";
}

/**
 * Checks data of an event.
 *
 * @throws {RuleFault} The schema is asynchronous.
 */
export function check(schema: StandardSchema, data: unknown, eventType: string): Checked {
  try {
    const result = schema["~standard"].validate(data);
    if (!isThenable(result)) return checkedBy(result as StandardSchemaResult<unknown>);
    Promise.resolve(result).then(undefined, () => {});
  } catch (cause) {
    return { issues: [{ message: `its schema failed: ${reasonOf(cause)}`, path: [] }] };
  }
  throw new RuleFault(
    `Cannot check an event of type ${JSON.stringify(eventType)}: its schema is asynchronous, and ` +
      "nobody waits for it; look things up before the event is made, and keep that out of its schema",
  );
}

function checkedBy(result: StandardSchemaResult<unknown>): Checked {
  if (result.issues === undefined) return { value: result.value };
  const issues = result.issues.map(({ message, path = [] }) => ({
    message: textOf(message),
    path: path.map(keyOf),
  }));
  return { issues: issues.length > 0 ? issues : [{ message: "its schema refuses it", path: [] }] };
}

function keyOf(segment: PropertyKey | { readonly key: PropertyKey }): string | number {
  const key = typeof segment === "object" ? segment.key : segment;
  return typeof key === "number" ? key : textOf(key);
}
