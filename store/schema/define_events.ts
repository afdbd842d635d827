import { needObject, needOptionalFunctions } from "../base/given.ts";
import { describe, tokenProblem } from "../base/token.ts";
import type { EventDraft } from "../append.ts";
import { createEvent, type Event, type EventInit, type EventMetadata } from "../event.ts";
import { withRules } from "../event_rules.ts";
import type { EventDefinitions } from "../store.ts";
import { jsonSchemaOf } from "./json_schema.ts";
import type { JsonSchema, JsonSchemaOptions } from "./json_schema.ts";
import { SchemaRules } from "./rules.ts";
import {
  isStandardSchema,
  type SchemaInput,
  type SchemaOutput,
  type StandardSchema,
} from "./standard.ts";
import { newestOf } from "./versions.ts";

/** Where an event happens: the fields of an event that its data does not say. */
export interface EventPlace {
  /** Its actor. */
  readonly actorId: string;
  /** Its version in the actor's history. */
  readonly version: number;
  /** Its metadata. @default {none} */
  readonly metadata?: EventMetadata;
}

/** The fields of a draft beside its type and data. */
export interface DraftFields {
  /** As in {@linkcode EventDraft}. @default {a fresh one} */
  readonly id?: string;
  /** Its metadata. @default {none} */
  readonly metadata?: EventMetadata;
}

/**
 * Makes events of one type. The data is checked at once, and is what the schema makes of it.
 *
 * @typeParam Type The event type.
 * @typeParam Input The data that the schema takes.
 * @typeParam Data The data that it gives.
 */
export interface EventConstructor<Type extends string, Input, Data> {
  /**
   * An event at a place, with a fresh id and the present time, as `createEvent()` makes it.
   *
   * @throws {InvalidEventError} The schema refuses the data.
   */
  (data: Input, place: EventPlace): Event<Type, Data>;
  /**
   * A draft, for a decider and for `appendEvents()`.
   *
   * @throws {InvalidEventError} The schema refuses the data.
   */
  (data: Input, fields?: DraftFields): EventDraft<Event<Type, Data>>;
}

/** The schemas of event types, by their names. */
export interface EventSchemas {
  /** The schema of one type's data. */
  // deno-lint-ignore no-explicit-any -- a schema takes values of its own type only
  readonly [eventType: string]: StandardSchema<any, any>;
}

/** The definitions that {@linkcode defineEvents} makes: a constructor for each event type, and more. */
export type DefinedEvents<Schemas extends EventSchemas> =
  & {
    readonly [Type in keyof Schemas & string]: EventConstructor<
      Type,
      SchemaInput<Schemas[Type]>,
      SchemaOutput<Schemas[Type]>
    >;
  }
  & SchemaDefinitions<keyof Schemas & string>;

/** The part of {@linkcode DefinedEvents} that is the same whatever is defined. */
export interface SchemaDefinitions<Type extends string> extends EventDefinitions {
  /**
   * The JSON Schemas of all event types, of their data as it is stored, by what the schemas' library
   * offers: Standard JSON Schema, or a method of theirs.
   *
   * @throws {TypeError} The library offers none, or cannot put a schema into one.
   */
  jsonSchema(options?: JsonSchemaOptions): Readonly<Record<Type, JsonSchema>>;
}

/**
 * The union of the events that are defined.
 *
 * @typeParam Definitions The type of what {@linkcode defineEvents} gave: `typeof events`.
 */
export type EventsOf<Definitions extends EventDefinitions> = {
  [Type in keyof Definitions]: Definitions[Type] extends
    EventConstructor<infer Name, infer _Input, infer Data> ? Event<Name, Data> : never;
}[keyof Definitions];

/** Options for {@linkcode defineEvents}. */
export interface DefineEventsOptions {
  /**
   * Whether events are checked when they are read too, in their newest shape. One that does not fit
   * cannot be read: `CorruptEventError`. The check changes nothing, and events of other types pass.
   *
   * @default {false}
   */
  readonly checkReads?: boolean;
}

/** Refuses schemas whose output is no input: events are checked more than once. */
export type RepeatableSchemas<Schemas extends EventSchemas> = {
  readonly [Type in keyof Schemas]: SchemaOutput<Schemas[Type]> extends SchemaInput<Schemas[Type]>
    ? StandardSchema<SchemaInput<Schemas[Type]>, SchemaOutput<Schemas[Type]>>
    : never;
};

/**
 * Defines the events of a store by schemas of any library with Standard Schema, such as zod, valibot
 * or arktype: the types, the constructors, and the checks when events are saved. Give the result to a
 * store or a cluster as `events`.
 *
 * - Saved is the data that the schema gives: with its defaults, without what it drops. A schema has
 *   to give its own output back as it is, and must not be asynchronous.
 * - An event whose type is not defined is refused, except for those that processes keep for themselves.
 * - The rules on data hold too: a `Date` needs a codec that carries it.
 *
 * @param schemas The schema of each event type's data. `schemaVersions()` makes one with versions.
 * @throws {TypeError} A schema is none.
 *
 * @example Events by zod, a decider, and a store that checks them
 * ```ts
 * import { type Decider, defineEvents, type EventsOf, execute, InMemoryEventStore } from "@flowmade-one/aether";
 * import { z } from "zod";
 *
 * const events = defineEvents({
 *   OrderPlaced: z.object({ total: z.number().positive(), currency: z.string().default("EUR") }),
 *   OrderShipped: z.object({ carrier: z.string() }),
 * });
 * type OrderEvent = EventsOf<typeof events>;
 *
 * const order: Decider<"new" | "placed" | "shipped", { ship: string } | { place: number }, OrderEvent> = {
 *   initialState: () => "new",
 *   evolve: (_state, { eventType }) => eventType === "OrderPlaced" ? "placed" : "shipped",
 *   decide: (command) =>
 *     "place" in command
 *       ? events.OrderPlaced({ total: command.place })
 *       : events.OrderShipped({ carrier: command.ship }),
 * };
 *
 * await using store = new InMemoryEventStore({ events }); // Deno, or Node 24 and newer
 * await execute(store, "order-1", order, { place: 5 });
 * const [placed] = await store.getEvents<OrderEvent>("order-1");
 * console.log(placed?.data); // { total: 5, currency: "EUR" }
 * await execute(store, "order-2", order, { place: -5 }).catch((error) => console.log(error.path)); // ["total"]
 * ```
 */
export function defineEvents<const Schemas extends EventSchemas>(
  schemas: Schemas & RepeatableSchemas<Schemas>,
  { checkReads = false }: DefineEventsOptions = {},
): DefinedEvents<Schemas> {
  needObject(schemas, "define events", "schemas", "an object with a schema for each type");
  const entries = Object.entries<StandardSchema>(schemas);
  for (const [eventType, schema] of entries) checkDefinition(eventType, schema);
  const rules = new SchemaRules(new Map(entries), checkReads);
  const definitions = Object.fromEntries(
    entries.map(([eventType]) => [eventType, (data: unknown, rest: Partial<EventPlace> = {}) => {
      const { actorId, version } = rest;
      const checked = rules.asRead({ actorId: "", eventType, data });
      return actorId === undefined && version === undefined
        ? { ...rest, eventType, data: checked }
        : createEvent({ ...rest, eventType, data: checked } as EventInit);
    }]),
  );
  const jsonSchema = (options: JsonSchemaOptions = {}) => {
    needObject(options, "make JSON Schemas", "options");
    needOptionalFunctions(options, ["convert"], "make JSON Schemas");
    return Object.fromEntries(entries.map(([eventType, schema]) => [
      eventType,
      jsonSchemaOf(newestOf(schema), eventType, options),
    ]));
  };
  Object.defineProperty(definitions, "jsonSchema", { value: jsonSchema });
  return withRules(definitions, rules) as unknown as DefinedEvents<Schemas>;
}

function checkDefinition(eventType: string, schema: unknown): void {
  const problem = tokenProblem(eventType) ??
    (eventType === "jsonSchema" ? "is the name of a function of the definitions" : undefined);
  if (problem !== undefined) {
    throw new TypeError(`Cannot define events of type ${describe(eventType)}: it ${problem}`);
  }
  if (isStandardSchema(schema)) return;
  throw new TypeError(
    `Cannot define events of type ${describe(eventType)}: its schema is none of Standard Schema ` +
      "(https://standardschema.dev)",
  );
}
