import { assertEquals } from "@std/assert";
import { asStreamSequence } from "../../../store/format/position.ts";
import type { StreamApi } from "../../../store/nats/stream_api.ts";
import { ServerCode } from "../../../store/nats/server_code.ts";
import { type SaveOutcome, settle } from "../../../store/save/settle.ts";

/** A save whose tries expected sequence 7, and the server's refusal of the publish behind them. */
interface Case {
  /** What the stream shows of it, before and after that publish. */
  readonly seen: readonly SaveOutcome[];
  readonly refusal?: string;
  readonly code?: number;
  /** Whether the connection has broken since. */
  readonly isBroken?: boolean;
}

/** Settles it; also tells how many publishes that took. */
async function settled({ seen, refusal = "", code, isBroken }: Case) {
  let publishes = 0;
  const request = () => {
    publishes++;
    const error = { code: 400, err_code: code ?? ServerCode.WRONG_LAST_SEQUENCE };
    return Promise.resolve({ json: () => ({ error: { ...error, description: refusal } }) });
  };
  const api = { requests: { epoch: isBroken === true ? 2 : 1, request } } as unknown as StreamApi;
  const barrier = {
    ...{ api, subject: "order", epoch: 1, requestTimeout: 100 },
    expected: asStreamSequence(7),
  };
  const left = [...seen];
  const outcome = await settle(barrier, () => Promise.resolve(left.shift()!));
  return [outcome, publishes];
}

const LAST_IS_7 = "wrong last sequence: 7";

Deno.test("a save is not stored if the server refuses what follows it, and is where it was", async () => {
  const seen = ["unknown", "unknown"] as const;
  assertEquals(await settled({ seen, refusal: LAST_IS_7 }), ["not-saved", 1]);
});

Deno.test("a refusal that names a later sequence settles nothing: the read was an old one", async () => {
  const seen = ["unknown", "unknown"] as const;
  assertEquals(await settled({ seen, refusal: "wrong last sequence: 8" }), ["unknown", 1]);
  assertEquals(await settled({ seen, refusal: "wrong last sequence" }), ["unknown", 1]);
});

Deno.test("over another connection nothing follows the save, so that nothing settles it", async () => {
  const seen = ["unknown"] as const;
  assertEquals(await settled({ seen, refusal: LAST_IS_7, isBroken: true }), ["unknown", 0]);
});

Deno.test("a refusal for another reason settles nothing", async () => {
  const seen = ["unknown"] as const;
  assertEquals(await settled({ seen, refusal: LAST_IS_7, code: 10_077 }), ["unknown", 1]);
});

Deno.test("what the stream shows settles a save, before the publish and after it", async () => {
  const first = asStreamSequence(8);
  assertEquals(await settled({ seen: [{ first }] }), ["saved", 0]);
  assertEquals(await settled({ seen: ["not-saved"] }), ["not-saved", 0]);
  assertEquals(await settled({ seen: ["unknown", { first }], refusal: LAST_IS_7 }), ["saved", 1]);
});
