import type { Event } from "./event.ts";
import type { Upcasters } from "./upcast.ts";

/** The facts of an event that its rules go by. */
export type RuledEvent = Pick<Event, "actorId" | "eventType" | "data">;

/** The data of an event as it is stored. */
export interface StoredForm {
  readonly data: unknown;
  /** The schema that `data` has; `undefined` if the upcasters of the store say. */
  readonly schema: number | undefined;
}

/** The questions of a store about the events that are defined for it. */
export interface EventRules {
  /** Steps from older schemas to the newest one, by event type. */
  readonly upcasters: Upcasters;
  /** Whether events are checked when they are read, too. */
  readonly checksReads: boolean;
  /**
   * The form in which an event is stored; `undefined` for an event of the library's own.
   *
   * @throws {InvalidEventError} Its type is not defined, or its schema refuses the data.
   * @throws {RuleFault} The definitions are at fault.
   */
  toStore(event: RuledEvent): StoredForm | undefined;
  /** The data of an event as a reader will have it, once it is stored; throws as `toStore` does. */
  asRead(event: RuledEvent): unknown;
  /** The problem with an event that was read; `undefined` if it has none, or is not defined. */
  problemOf(event: RuledEvent): string | undefined;
}

/** Marks {@linkcode RuleFault} in every copy of the package: definitions may be of another one. */
const FAULT = /* @__PURE__ */ Symbol.for("@flowmade-one/aether/rule-fault");

/** Definitions of events that are wrong in themselves, whatever the event. */
export class RuleFault extends TypeError {
  /** Marks itself. */
  constructor(message: string) {
    super(message);
    Object.defineProperty(this, FAULT, { value: true });
  }
}

/** Whether a value is a {@linkcode RuleFault}, of this copy of the package or another one. */
export function isRuleFault(value: unknown): boolean {
  return typeof value === "object" && value !== null && FAULT in value;
}

/** The key under which definitions keep their rules; the same in every copy of the package. */
const RULES = /* @__PURE__ */ Symbol.for("@flowmade-one/aether/event-rules");

/** Keeps the rules of `definitions`, for {@linkcode rulesOf}. */
export function withRules<T extends object>(definitions: T, rules: EventRules): T {
  return Object.defineProperty(definitions, RULES, { value: rules });
}

/**
 * The rules of a store's definitions.
 *
 * @throws {TypeError} `defineEvents()` has not made them.
 */
export function rulesOf(definitions: object | undefined): EventRules | undefined {
  if (definitions === undefined) return undefined;
  const rules = (definitions as { readonly [RULES]?: EventRules } | null)?.[RULES];
  if (rules !== undefined) return rules;
  throw new TypeError("Cannot open the store: `events` is not what defineEvents() gives");
}

/**
 * The upcasters of a store: those of its options, and those of its definitions.
 *
 * @throws {TypeError} Both have steps for one event type.
 */
export function upcastersOf(upcasters: Upcasters = {}, rules: EventRules | undefined): Upcasters {
  if (rules === undefined) return upcasters;
  for (const eventType of Object.keys(rules.upcasters)) {
    if (!Object.hasOwn(upcasters, eventType)) continue;
    throw new TypeError(
      `Cannot open the store: \`upcasters\` and \`events\` both have steps for ` +
        `${JSON.stringify(eventType)}; keep those of schemaVersions()`,
    );
  }
  return { ...upcasters, ...rules.upcasters };
}

const kept = new WeakMap<object, EventRules>();

/** Keeps the rules of `store`, for {@linkcode eventRulesOf}. */
export function keepEventRules(store: object, rules: EventRules | undefined): void {
  if (rules !== undefined) kept.set(store, rules);
}

/** The rules of the events of `store`; `undefined` if it has none. */
export function eventRulesOf(store: object): EventRules | undefined {
  return kept.get(store);
}

/** `event` with the data that a reader will have, once it is stored by `rules`. */
export function ruled<T extends RuledEvent>(event: T, rules: EventRules | undefined): T {
  return rules === undefined ? event : { ...event, data: rules.asRead(event) };
}
