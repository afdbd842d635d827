import { assertEquals, assertThrows } from "@std/assert";
import { decodeJson, encodeJson, isRecord, jsonIn } from "../../../store/base/json.ts";

Deno.test("encoded JSON is decoded", () => {
  for (const value of [{ text: "Grüße \ufffd 🦆", list: [1, null] }, null, "", 0, []]) {
    assertEquals(decodeJson(encodeJson(value)), value);
    assertEquals(jsonIn(encodeJson(value)), value);
  }
});

Deno.test("bytes that are not JSON, or not UTF-8, are refused", () => {
  const broken = Uint8Array.of(0x22, 0xff, 0x22); // A string with a byte that UTF-8 has not.
  assertThrows(() => decodeJson(broken), TypeError);
  assertThrows(() => decodeJson(new TextEncoder().encode("{")), SyntaxError);
  assertEquals(jsonIn(broken), undefined);
  assertEquals(jsonIn(new Uint8Array()), undefined);
});

Deno.test("only an object with names is a record", () => {
  assertEquals([{}, { a: 1 }, [], null, "a", undefined].map(isRecord), [
    ...[true, true],
    ...[false, false, false, false],
  ]);
});
