import { assertEquals } from "@std/assert";
import { reasonOf } from "../../../store/base/reason.ts";

Deno.test("a reason is what the error says, or what the caller says of no error", () => {
  assertEquals(reasonOf(new TypeError("no codec"), "unknown"), "no codec");
  assertEquals(reasonOf("thrown as text"), "thrown as text");
  assertEquals(reasonOf(undefined, "nobody has answered"), "nobody has answered");
});
