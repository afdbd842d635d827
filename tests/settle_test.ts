import { assertEquals } from "@std/assert";
import { type Fate, settle } from "../store/settle.ts";
import type { StreamApi } from "../store/stream.ts";

/** What settling comes to where the barrier is refused at `last`, and reads show `fates` in turn. */
async function settled(last: number, ...fates: Fate[]): Promise<string> {
  const error = { code: 400, err_code: 10071, description: `wrong last sequence: ${last}` };
  const request = () => Promise.resolve({ json: () => ({ error }) });
  const api = { wire: { epoch: 1, request } } as unknown as StreamApi;
  const barrier = { api, subject: "s", expected: 7, epoch: 1, pause: 1 };
  return await settle(barrier, () => Promise.resolve(fates.shift()!));
}

Deno.test("settle() says never where the barrier finds the subject where it was expected", async () => {
  assertEquals(await settled(7, "open", "open"), "never");
});

Deno.test("settle() takes no read's word for it where the barrier has seen something new", async () => {
  assertEquals(await settled(9, "open", "open"), "open");
  assertEquals(await settled(9, "open", { first: 9 }), "saved");
  assertEquals(await settled(9, "open", "never"), "never");
});
