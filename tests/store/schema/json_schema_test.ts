import { assertEquals, assertThrows } from "@std/assert";
import * as v from "valibot";
import { z } from "zod";
import { defineEvents, schemaVersions, type StandardSchema, unchecked } from "../../../mod.ts";

const total = z.object({ total: z.number(), currency: z.string().default("EUR") });

Deno.test("the JSON Schemas of events are those of their data as it is stored", () => {
  const versioned = schemaVersions(unchecked<number>()).next(total, {
    up: (cents) => ({ total: cents / 100, currency: "EUR" }),
  });
  const events = defineEvents({ Placed: total, Versioned: versioned });
  const schemas = events.jsonSchema();
  assertEquals(schemas.Placed, {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    properties: {
      total: { type: "number" },
      currency: { default: "EUR", type: "string" },
    },
    required: ["total", "currency"],
    additionalProperties: false,
  });
  assertEquals(schemas.Versioned, schemas.Placed);
  const { $schema } = events.jsonSchema({ target: "draft-07" }).Placed;
  assertEquals($schema, "http://json-schema.org/draft-07/schema#");
});

Deno.test("a library without JSON Schemas of its own is named, and a function helps", () => {
  const events = defineEvents({ Placed: total, Shipped: v.object({ carrier: v.string() }) });
  assertThrows(
    () => events.jsonSchema(),
    TypeError,
    'Cannot make a JSON Schema of "Shipped": its schema, of "valibot", offers none',
  );
  const convert = (schema: StandardSchema, eventType: string) => ({
    title: eventType,
    vendor: schema["~standard"].vendor,
  });
  assertEquals(events.jsonSchema({ convert }), {
    Placed: { title: "Placed", vendor: "zod" },
    Shipped: { title: "Shipped", vendor: "valibot" },
  });
  const dates = defineEvents({ Placed: z.date() });
  assertThrows(() => dates.jsonSchema(), TypeError, 'Cannot make a JSON Schema of "Placed": Date');
  assertEquals(
    dates.jsonSchema({ convert: (schema) => z.toJSONSchema(schema, { unrepresentable: "any" }) }),
    { Placed: { $schema: "https://json-schema.org/draft/2020-12/schema" } },
  );
});

Deno.test("a method of the schema's own will do", () => {
  const standard = unchecked<null>();
  for (const name of ["toJSONSchema", "toJsonSchema"]) {
    const schema = { ...standard, [name]: () => ({ type: "null" }) };
    assertEquals(defineEvents({ Closed: schema }).jsonSchema(), { Closed: { type: "null" } });
  }
});
