import { assertRejects, assertThrows } from "@std/assert";
import { accepted, problem, type RequestHeaders } from "../../adapters/http/mod.ts";

Deno.test("an answer refuses at once what is no request of Fetch", async () => {
  const context = { req: { raw: new Request("http://localhost/") } }; // as a framework has it
  const request = context as unknown as RequestHeaders;
  const reason = "not a Request of Fetch; a framework has it as `req.raw`";
  assertThrows(() => problem(new Error("Any"), { request }), TypeError, reason);
  await assertRejects(() => accepted({ sequence: 1 }, { request }), TypeError, reason);
});
