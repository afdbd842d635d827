import type { StandardSchema } from "./standard.ts";

/**
 * A schema that lets everything pass: for an event type, or an old version of one, that the compiler
 * alone checks.
 *
 * @typeParam Data The type of the data.
 *
 * @example Types, constructors and known names, without a library of schemas
 * ```ts
 * import { defineEvents, unchecked } from "@flowmade-one/aether";
 *
 * const events = defineEvents({
 *   OrderPlaced: unchecked<{ total: number }>(),
 *   OrderClosed: unchecked<null>(),
 * });
 * console.log(events.OrderPlaced({ total: 5 }).data.total); // 5
 * ```
 */
export function unchecked<Data>(): StandardSchema<Data> {
  return {
    "~standard": {
      version: 1,
      vendor: "aether",
      validate: (value) => ({ value: value as Data }),
    },
  };
}
