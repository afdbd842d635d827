import { isStandardSchema, type StandardSchema } from "./standard.ts";

/** The steps between a schema of an event type and the one before it. */
export interface SchemaStep<Before, After> {
  /** Brings data of the schema before to this one: events that were saved with it are read so. */
  readonly up: (data: Before) => After;
  /**
   * Brings data of this schema back to the one before: events are saved so for as long as the older
   * one is written. See {@linkcode SchemaVersions.writes}.
   */
  readonly down?: (data: After) => Before;
}

/** The schemas of one event type, from the oldest to the newest; itself a schema, the newest one. */
export interface SchemaVersions<Input, Output> extends StandardSchema<Input, Output> {
  /** Adds a newer schema, and the way to it: events are read with it, and saved with it. */
  next<NextInput, NextOutput>(
    schema: StandardSchema<NextInput, NextOutput>,
    step: SchemaStep<Output, NoInfer<NextOutput>>,
  ): SchemaVersions<NextInput, NextOutput>;
  /**
   * Goes on to save events with an older schema, which counts from 1, so that programs that do not
   * know the newer ones can still read them. All reads give the newest one. Once the newer program
   * has replaced all others, take this out.
   *
   * @throws {RangeError} There is no such schema.
   * @throws {TypeError} A step back to it is missing.
   */
  writes(version: number): StandardSchema<Input, Output>;
}

/** One schema, with the steps from and to the one before it. */
export interface Version {
  readonly schema: StandardSchema;
  readonly up: ((data: unknown) => unknown) | undefined;
  readonly down: ((data: unknown) => unknown) | undefined;
}

/** The schemas of one event type. */
export interface VersionList {
  /** From schema 1 on. */
  readonly versions: readonly Version[];
  /** The schema that events are saved with. */
  readonly writes: number;
}

/** The key of the list; the same in every copy of the package. */
const LIST = /* @__PURE__ */ Symbol.for("@flowmade-one/aether/schema-versions");

/**
 * Begins the versions of an event type's schema with the first one. Stored events never change: each
 * names the schema that it was saved with, and is brought up to the newest one when it is read.
 *
 * @param schema The first schema; `unchecked<Data>()` if only its type is known any more.
 *
 * @example Read a new shape before anyone writes it
 * ```ts
 * import { defineEvents, schemaVersions, unchecked } from "@flowmade-one/aether";
 *
 * const placed = schemaVersions(unchecked<{ cents: number }>())
 *   .next(unchecked<{ total: number; currency: string }>(), {
 *     up: ({ cents }) => ({ total: cents / 100, currency: "EUR" }),
 *     down: ({ total }) => ({ cents: Math.round(total * 100) }),
 *   });
 *
 * // The first deployment reads both shapes, and goes on to write the old one.
 * const first = defineEvents({ OrderPlaced: placed.writes(1) });
 * // The second one, once no older program runs any more, writes the new one.
 * const second = defineEvents({ OrderPlaced: placed });
 * console.log(first.OrderPlaced({ total: 5, currency: "EUR" }).data.total); // 5
 * console.log(second.OrderPlaced({ total: 5, currency: "EUR" }).data.total); // 5
 * ```
 */
export function schemaVersions<Input, Output>(
  schema: StandardSchema<Input, Output>,
): SchemaVersions<Input, Output> {
  return versionsOf([{ schema: checked(schema, 1), up: undefined, down: undefined }]);
}

/** The schemas of an event type that is defined by `schema`; alone, it is the only one. */
export function listOf(schema: StandardSchema): VersionList | undefined {
  return (schema as { readonly [LIST]?: VersionList })[LIST];
}

/** The newest of the schemas that `schema` lists; itself, if it lists none. */
export function newestOf(schema: StandardSchema): StandardSchema {
  return listOf(schema)?.versions.at(-1)?.schema ?? schema;
}

function versionsOf<Input, Output>(versions: readonly Version[]): SchemaVersions<Input, Output> {
  return listed({ versions, writes: versions.length }, {
    next: <NextInput, NextOutput>(
      schema: StandardSchema<NextInput, NextOutput>,
      { up, down }: SchemaStep<Output, NextOutput>,
    ): SchemaVersions<NextInput, NextOutput> => {
      const number = versions.length + 1;
      if (typeof up !== "function") {
        throw new TypeError(`Cannot add schema ${number}: \`up\` is missing`);
      }
      return versionsOf([...versions, { schema: checked(schema, number), up, down } as Version]);
    },
    writes: (version: number): StandardSchema<Input, Output> => {
      checkWrites(versions, version);
      return listed({ versions, writes: version }, {});
    },
  });
}

function checkWrites(versions: readonly Version[], version: number): void {
  if (!Number.isSafeInteger(version) || version < 1 || version > versions.length) {
    throw new RangeError(
      `Cannot write schema ${version}: there are schemas 1 to ${versions.length}`,
    );
  }
  const missing = versions.findIndex(({ down }, at) => at >= version && down === undefined);
  if (missing < 0) return;
  throw new TypeError(
    `Cannot write schema ${version}: the way from schema ${
      missing + 1
    } back to schema ${missing} ` +
      "is missing; give `down` to its next()",
  );
}

/** The newest schema, with the list of all beside it. */
function listed<Input, Output, More extends object>(
  list: VersionList,
  more: More,
): StandardSchema<Input, Output> & More {
  const newest = list.versions.at(-1)!.schema as StandardSchema<Input, Output>;
  const schema = { ...more, "~standard": newest["~standard"] };
  return Object.defineProperty(schema, LIST, { value: list });
}

function checked<Schema extends StandardSchema>(schema: Schema, number: number): Schema {
  if (isStandardSchema(schema)) return schema;
  throw new TypeError(
    `Cannot add schema ${number}: it is no schema of Standard Schema (https://standardschema.dev)`,
  );
}
