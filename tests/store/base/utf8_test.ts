import { assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { utf8 } from "../../../store/base/utf8.ts";

Deno.test("texts have their own bytes, however many share a buffer", () => {
  fc.assert(fc.property(fc.array(fc.string({ unit: "binary", maxLength: 12_000 })), (texts) => {
    const encoded = texts.map(utf8);
    const expected = texts.map((text) => new TextEncoder().encode(text));
    assertEquals(encoded.map((bytes) => [...bytes]), expected.map((bytes) => [...bytes]));
  }));
});

Deno.test("long texts and lone surrogates are encoded as TextEncoder does it", () => {
  for (const text of ["", "é".repeat(100_000), "a\ud800b", "\u{1f600}".repeat(2700)]) {
    assertEquals(utf8(text), new TextEncoder().encode(text));
  }
});
