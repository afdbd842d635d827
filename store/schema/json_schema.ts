import { refusePromise } from "../base/hook.ts";
import { reasonOf } from "../base/reason.ts";
import { describe } from "../base/token.ts";
import type { StandardSchema } from "./standard.ts";

/** A JSON Schema, as the library of the schema gives it. */
export interface JsonSchema {
  /** Keywords, such as `type` and `properties`. */
  readonly [keyword: string]: unknown;
}

/** Options for {@linkcode EventDefinitions.jsonSchema}. */
export interface JsonSchemaOptions {
  /** The draft that is wanted; libraries support some. @default {"draft-2020-12"} */
  readonly target?: string;
  /**
   * Makes the JSON Schema of a schema, where its library does that by a function of its own, or to
   * pass options to it.
   *
   * @default {the schema's own}
   */
  readonly convert?: (schema: never, eventType: string) => unknown;
}

/** A schema that gives a JSON Schema: by Standard JSON Schema, or by a method of its own. */
interface Convertible {
  readonly "~standard": {
    readonly jsonSchema?: { readonly output?: (options: { target: string }) => unknown };
  };
  readonly toJSONSchema?: () => unknown;
  readonly toJsonSchema?: () => unknown;
}

/**
 * The JSON Schema of one event type's data, as it is stored.
 *
 * @throws {TypeError} Its library gives none.
 */
export function jsonSchemaOf(
  schema: StandardSchema,
  eventType: string,
  { target = "draft-2020-12", convert }: JsonSchemaOptions,
): JsonSchema {
  try {
    const made = convert === undefined
      ? ownOf(schema as Convertible, target)
      : convert(schema as never, eventType);
    refusePromise(made, "its function");
    if (typeof made === "object" && made !== null) return made as JsonSchema;
  } catch (cause) {
    throw new TypeError(
      `Cannot make a JSON Schema of ${describe(eventType)}: ${reasonOf(cause)}`,
      { cause },
    );
  }
  throw new TypeError(
    `Cannot make a JSON Schema of ${describe(eventType)}: its schema, of ` +
      `${describe(schema["~standard"].vendor)}, offers none; give \`convert\` a function that does`,
  );
}

function ownOf(schema: Convertible, target: string): unknown {
  const output = schema["~standard"].jsonSchema?.output;
  if (output !== undefined) return output({ target });
  return schema.toJSONSchema?.() ?? schema.toJsonSchema?.();
}
