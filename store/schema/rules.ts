import { freshCopy } from "../base/fresh.ts";
import { refusePromise } from "../base/hook.ts";
import { reasonOf } from "../base/reason.ts";
import { describe } from "../base/token.ts";
import { FORGOTTEN } from "../codec.ts";
import { type EventIssue, InvalidEventError } from "../errors.ts";
import { type EventRules, type RuledEvent, RuleFault, type StoredForm } from "../event_rules.ts";
import { isLedgerEvent } from "../ledger_type.ts";
import type { Upcasters } from "../upcast.ts";
import { isSameValue, placeOf, valueAt } from "./places.ts";
import { check, type StandardSchema } from "./standard.ts";
import { listOf, newestOf, type Version, type VersionList } from "./versions.ts";

/** Defined types that an error names at most. */
const NAMED = 8;

/** The rules that schemas of event types make. */
export class SchemaRules implements EventRules {
  /** See {@linkcode EventRules.upcasters}. */
  readonly upcasters: Upcasters;
  /** See {@linkcode EventRules.checksReads}. */
  readonly checksReads: boolean;
  readonly #types: ReadonlyMap<string, TypeRules>;

  /** The rules of these schemas, by event type. */
  constructor(schemas: ReadonlyMap<string, StandardSchema>, checksReads: boolean) {
    this.checksReads = checksReads;
    this.#types = new Map(
      [...schemas].map(([type, schema]) => [type, new TypeRules(type, schema)]),
    );
    this.upcasters = Object.fromEntries(
      [...this.#types].filter(([, { steps }]) => steps !== undefined)
        .map(([type, { steps }]) => [type, steps!]),
    );
  }

  /** See {@linkcode EventRules.toStore}. */
  toStore(event: RuledEvent): StoredForm | undefined {
    return this.#rulesOf(event)?.toStore(event.data);
  }

  /** See {@linkcode EventRules.asRead}. */
  asRead(event: RuledEvent): unknown {
    const rules = this.#rulesOf(event);
    return rules === undefined ? event.data : rules.asRead(event.data);
  }

  /** See {@linkcode EventRules.problemOf}. */
  problemOf({ eventType, data }: RuledEvent): string | undefined {
    return data === FORGOTTEN ? undefined : this.#types.get(eventType)?.problemOf(data);
  }

  #rulesOf(event: RuledEvent): TypeRules | undefined {
    const rules = this.#types.get(event.eventType);
    if (rules !== undefined || isLedgerEvent(event)) return rules;
    const names = [...this.#types.keys()];
    const known = names.slice(0, NAMED).map(describe).join(", ") +
      (names.length > NAMED ? ` and ${names.length - NAMED} more` : "");
    throw new InvalidEventError(
      `eventType ${describe(event.eventType)} is not defined; defineEvents() has ${known}`,
    );
  }
}

/** The rules of one event type. */
class TypeRules {
  /** The upcasters of its versions; `undefined` if it has no versions. */
  readonly steps: readonly ((data: unknown) => unknown)[] | undefined;
  readonly #name: string;
  readonly #newest: StandardSchema;
  readonly #list: VersionList | undefined;
  /** Whether the schema was seen to leave its own output as it is. */
  #isProved = false;

  constructor(name: string, schema: StandardSchema) {
    this.#name = name;
    this.#list = listOf(schema);
    this.#newest = newestOf(schema);
    this.steps = this.#list?.versions.slice(1).map(({ up }) => (data) => up!(data));
  }

  toStore(given: unknown): StoredForm {
    let data = this.#passed(this.#newest, given);
    if (this.#list === undefined) return { data, schema: undefined };
    const { versions, writes } = this.#list;
    for (let schema = versions.length; schema > writes; schema--) {
      data = this.#step("down", versions[schema - 1]!, schema, data);
      data = this.#passed(versions[schema - 2]!.schema, data, ` in schema ${schema - 1}`);
    }
    return { data, schema: writes };
  }

  asRead(given: unknown): unknown {
    let { data } = this.toStore(given);
    const { versions, writes } = this.#list ?? { versions: [], writes: 0 };
    for (let schema = writes + 1; schema <= versions.length; schema++) {
      data = this.#step("up", versions[schema - 1]!, schema, data);
    }
    return data;
  }

  problemOf(data: unknown): string | undefined {
    try {
      // A copy, so that a check changes nothing.
      const checked = check(this.#newest, freshCopy(data), this.#name);
      if ("value" in checked) return undefined;
      // A schema need not know of fields that are forgotten.
      const issues = checked.issues.filter(({ path }) => !holdsForgotten(valueAt(data, path)));
      return issues.length === 0 ? undefined : this.#reasonOf(issues);
    } catch (error) {
      return reasonOf(error);
    }
  }

  #passed(schema: StandardSchema, data: unknown, where = ""): unknown {
    const checked = check(schema, data, this.#name);
    if ("issues" in checked) {
      const { issues } = checked;
      throw new InvalidEventError(this.#reasonOf(issues, where), { issues });
    }
    if (!this.#isProved && schema === this.#newest) this.#prove(checked.value);
    return checked.value;
  }

  /** Events are checked when they are decided, saved, saved again and imported: always the same. */
  #prove(data: unknown): void {
    const again = check(this.#newest, data, this.#name);
    this.#isProved = "value" in again && isSameValue(again.value, data);
    if (this.#isProved) return;
    throw new RuleFault(
      `Cannot use the schema of ${describe(this.#name)}: it ` +
        ("value" in again ? "changes" : "refuses") +
        " what it has let pass, and events are checked more than once; let its output be an input " +
        "that it gives back as it is",
    );
  }

  #step(
    name: "up" | "down",
    version: Version,
    schema: number,
    data: unknown,
  ): unknown {
    const way = name === "up" ? `from schema ${schema - 1}` : `back to schema ${schema - 1}`;
    try {
      const brought = version[name]!(freshCopy(data));
      refusePromise(brought, "it");
      if (brought === undefined) throw new TypeError("it gave undefined");
      return brought;
    } catch (cause) {
      const reason = reasonOf(cause);
      throw new InvalidEventError(
        `the step of ${describe(this.#name)} ${way} failed: ${reason}`,
        { cause },
      );
    }
  }

  #reasonOf(issues: readonly EventIssue[], where = ""): string {
    const { message, path } = issues[0]!;
    const more = issues.length > 1 ? `, and ${issues.length - 1} more` : "";
    return `${placeOf("data", path)} of ${describe(this.#name)}${where}: ${message}${more}`;
  }
}

/** Whether a value is, or holds, something that is forgotten. */
function holdsForgotten(value: unknown): boolean {
  if (value === FORGOTTEN) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(holdsForgotten);
}
