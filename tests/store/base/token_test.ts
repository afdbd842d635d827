import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import fc from "fast-check";
import { decodeToken, describe, encodeToken, tokenProblem } from "../../../store/base/token.ts";

Deno.test("encodeToken() keeps letters, digits, _ and -, and writes other bytes as =HH", () => {
  const known: Record<string, string> = {
    "order-123": "order-123",
    "Order_9": "Order_9",
    "*": "=2A",
    ">": "=3E",
    "a.b": "a=2Eb",
    "..": "=2E=2E",
    " ": "=20",
    "=": "=3D",
    "%": "=25",
    "\r\n": "=0D=0A",
    "\0": "=00",
    "\u00a0": "=C2=A0",
    "\u2028": "=E2=80=A8",
    "é": "=C3=A9",
    "e\u0301": "e=CC=81",
    "漢": "=E6=BC=A2",
    "😀": "=F0=9F=98=80",
    "a/b": "a=2Fb",
    "~": "=7E",
  };
  for (const [text, token] of Object.entries(known)) {
    assertEquals(encodeToken(text), token);
    assertEquals(decodeToken(token), text);
  }
});

Deno.test("any text that is encoded comes back, as one token of legal characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 16 }), (text) => {
      const token = encodeToken(text);
      assertMatch(token, /^[A-Za-z0-9_=-]+$/);
      assertEquals(decodeToken(token), text);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("any two texts have two tokens", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "=", "2", "A", ".", "%"), minLength: 1 });
  fc.assert(
    fc.property(text, text, (one, other) => {
      if (tokenProblem(one) ?? tokenProblem(other)) return;
      assertEquals(encodeToken(one) === encodeToken(other), one === other);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("decodeToken() takes only tokens that encodeToken() makes, or throws RangeError", () => {
  const foreign = ["", "=", "=4", "=41", "=2a", "=ZZ", "=C3", "=FF", "a.b", "é", "*", "=ED=A0=80"];
  for (const token of foreign) assertThrows(() => decodeToken(token), RangeError);
  const text = fc.string({
    unit: fc.constantFrom("=", "2", "A", "C", "3", "9", "z"),
    minLength: 1,
  });
  fc.assert(
    fc.property(text, (token) => {
      let decoded: string;
      try {
        decoded = decodeToken(token);
      } catch (error) {
        return assert(error instanceof RangeError);
      }
      assertEquals(encodeToken(decoded), token);
    }),
    { numRuns: 2000 },
  );
});

Deno.test("encodeToken() refuses the empty, the not well-formed and the too long", () => {
  for (const text of ["", "\ud800", "\udfffa", "x".repeat(201), "ü".repeat(34), ".".repeat(67)]) {
    assertThrows(() => encodeToken(text), RangeError);
  }
  for (const text of ["x".repeat(200), "ü".repeat(33), ".".repeat(66)]) {
    assertEquals(decodeToken(encodeToken(text)), text);
  }
  for (const value of [undefined, null, 1, {}, []]) {
    assertMatch(tokenProblem(value)!, /^is not a string/);
  }
});

Deno.test("describe() is short and safe to print", () => {
  assertEquals(describe("a\r\nb"), '"a\\r\\nb"');
  assertEquals(describe("\ud800"), '"\\ud800"');
  assertEquals([null, undefined, 1n, {}].map(describe), ["null", "undefined", "bigint", "object"]);
  assert(describe("x".repeat(10_000)).length < 100);
});
