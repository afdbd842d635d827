import { needMethods } from "./base/given.ts";
import { refusePromise } from "./base/hook.ts";
import { jsonProblem } from "./base/json_fidelity.ts";
import { isRecord } from "./base/json.ts";
import { type JsonCodec, jsonCodec } from "./codec.ts";

/** A library that writes more values than JSON has, by its structure: `devalue` is one. */
export interface RichJson {
  /**
   * The value as text. It has to carry all of it or throw: of a function, say, or an instance of a
   * class that it does not know.
   */
  stringify(value: unknown): string;
  /** The value in a text. */
  parse(text: string): unknown;
}

/** The type of {@linkcode richJsonCodec}'s result: a codec for events and for snapshots. */
export interface RichJsonCodec extends JsonCodec {
  /** See {@linkcode Codec.lenient}: the library answers for what callers save. */
  readonly lenient: true;
}

/** An event or a snapshot as it is stored. */
interface Stored {
  readonly timestamp: Date;
  /** Its data or state, if JSON would change that. */
  readonly rich?: { readonly field: "data" | "state"; readonly text: string };
}

/**
 * A codec that also carries dates, bigints, maps, sets, bytes and the like, by a library of yours, such
 * as [devalue](https://www.npmjs.com/package/devalue). Events whose data JSON carries are stored as
 * they would be without it; so a store can begin to use it at any time, and stop to while it holds none
 * with rich data: without the codec those are `CorruptEventError`.
 *
 * @param library `stringify` and `parse`.
 *
 * @example Dates and maps by devalue
 * ```ts
 * import { createEvent, InMemoryEventStore, richJsonCodec } from "@flowmade-one/aether";
 * import { parse, stringify } from "devalue";
 *
 * const codec = richJsonCodec({ stringify, parse });
 * await using store = new InMemoryEventStore({ codec }); // Deno, or Node 24 and newer
 * const data = { due: new Date(0), pieces: new Map([["pen", 2n]]) };
 * const order = { eventType: "OrderPlaced", actorId: "order-1", version: 1 };
 * await store.saveEvent(createEvent({ ...order, data }));
 * const [event] = await store.getEvents("order-1");
 * console.log(event?.data); // { due: 1970-01-01T00:00:00.000Z, pieces: Map(1) { "pen" => 2n } }
 * ```
 */
export function richJsonCodec(library: RichJson): RichJsonCodec {
  needMethods(
    library,
    ["stringify", "parse"],
    "make a codec",
    "library",
    "an object with stringify() and parse()",
  );
  const { stringify, parse } = library;
  return {
    lenient: true,
    encode(value) {
      const field = "data" in value ? "data" : "state";
      const content = (value as Record<string, unknown>)[field];
      if (jsonProblem(content, field) === undefined) return jsonCodec.encode(value);
      const text: unknown = stringify(content);
      refusePromise(text, "stringify()");
      if (typeof text !== "string") throw new TypeError("stringify() gave no text");
      const stored: Stored = { ...value, [field]: null, rich: { field, text } };
      return jsonCodec.encode(stored);
    },
    decode<Value extends { readonly timestamp: Date }>(bytes: Uint8Array): Value {
      const stored = jsonCodec.decode<Stored>(bytes);
      if (!isRecord(stored) || stored.rich === undefined) return stored as unknown as Value;
      const { rich: { field, text }, ...value } = stored as Stored & Required<Pick<Stored, "rich">>;
      if (field !== "data" && field !== "state") throw new TypeError("its rich field is damaged");
      const content = parse(text);
      refusePromise(content, "parse()");
      return { ...value, [field]: content } as unknown as Value;
    },
  };
}
