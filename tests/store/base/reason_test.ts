import { assertEquals } from "@std/assert";
import { reasonOf } from "../../../store/base/reason.ts";

Deno.test("a reason is the error's message, or the caller's words if there is no error", () => {
  assertEquals(reasonOf(new TypeError("no codec"), "unknown"), "no codec");
  assertEquals(reasonOf("thrown as text"), "thrown as text");
  assertEquals(reasonOf(undefined, "nobody has answered"), "nobody has answered");
});
