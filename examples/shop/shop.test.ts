// Runs under `deno test`, `node --test` and vitest, on a real nats-server.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { connect } from "@nats-io/transport-node";
import { startNats } from "@flowmade-one/aether/testing/nats";
import type { OrderRow } from "./orders_view.ts";
import { type Framework, serve } from "./server.ts";
import { openShop } from "./shop.ts";

const runner = process.env.VITEST ? "vitest" : "node:test";
const { test }: { test(name: string, run: () => Promise<void>): unknown } = await import(runner);

type Call = (path: string, body?: unknown, headers?: Record<string, string>) => Promise<Response>;

interface Opened {
  /** GETs without a body, POSTs with one. */
  readonly call: Call;
  /** The parcels that the carrier was given, each with how often. */
  readonly parcels: Map<string, number>;
  /** Resolves with the order when it has that status. */
  readonly becomes: (id: string, status: string) => Promise<OrderRow>;
}

/** Opens a shop on a server of its own, and closes all. */
async function withShop(
  { framework = "hono", paymentTime = 60_000 }: { framework?: Framework; paymentTime?: number },
  run: (shop: Opened) => Promise<void>,
): Promise<void> {
  const nats = await startNats();
  const folder = await mkdtemp(join(tmpdir(), "shop-"));
  const connection = await connect({ servers: nats.urls });
  const parcels = new Map<string, number>();
  const shop = await openShop({
    connection,
    file: join(folder, "shop.db"),
    paymentTime,
    carrier: (id) => {
      parcels.set(id, (parcels.get(id) ?? 0) + 1);
      return Promise.resolve(`parcel-${id}`);
    },
  });
  const server = await serve(shop.routes, { framework });
  const call: Call = (path, body, headers = {}) =>
    fetch(new URL(path, server.url), {
      headers: { ...headers, connection: "close" },
      ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
    });
  const becomes: Opened["becomes"] = async (id, status) => {
    for (;;) {
      const answer = await call(`/orders/${id}`);
      // The read model may not have the order yet.
      const order = answer.status === 404 ? undefined : await answer.json() as OrderRow;
      if (order?.status === status) return order;
      if (order === undefined) await answer.body?.cancel();
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  try {
    await run({ call, parcels, becomes });
  } finally {
    shop.endStreams();
    await server.close();
    await shop.close();
    await connection.close();
    await rm(folder, { recursive: true });
    await nats[Symbol.asyncDispose]();
  }
}

/** Sends a request whose answer has to have `status`; gives its body. */
async function must(status: number, answer: Promise<Response>): Promise<Record<string, unknown>> {
  const response = await answer;
  const text = await response.text();
  assert.equal(response.status, status, text);
  return JSON.parse(text);
}

const twoPens = { customer: "ada", lines: [{ sku: "pen", pieces: 2 }] };

for (const framework of ["hono", "fastify"] as const) {
  test(`${framework}: an order is placed, reserved, paid and shipped`, () =>
    withShop({ framework }, async ({ call, parcels, becomes }) => {
      await must(202, call("/stock/pen", { pieces: 3 }));
      const key = { "Idempotency-Key": "k1" };
      await must(202, call("/orders/1", twoPens, key));
      assert.equal((await must(202, call("/orders/1", twoPens, key))).duplicate, true);
      await must(409, call("/orders/1", twoPens)); // Another request for the same order.
      await becomes("1", "reserved");
      await must(202, call("/orders/1/payment", {}));
      assert.equal((await becomes("1", "shipped")).note, "parcel-1");
      assert.deepEqual([...parcels], [["1", 1]]);
      assert.deepEqual(await must(200, call("/stock/pen")), { pieces: 1 });
      await must(409, call("/orders/1/cancellation", {}));
      await must(412, call("/orders/1/payment", {}, { "If-Match": '"1"' }));
      await must(400, call("/orders/2", { customer: "ada", lines: [{ sku: "pen", pieces: 0 }] }));
      assert.equal((await call("/orders/2")).status, 404);
    }));

  test(`${framework}: a page follows the orders`, () =>
    withShop({ framework }, async ({ call }) => {
      const answer = await call("/events");
      const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
      await must(202, call("/orders/1", twoPens));
      let text = "";
      while (!text.includes('"eventType":"OrderCancelled"')) {
        const { value } = await reader.read();
        text += value;
      }
      assert.match(text, /"id":"order-1","eventType":"OrderPlaced"/);
      await reader.cancel();
      assert.match(await (await call("/")).text(), /new EventSource/);
    }));
}

test("an order of several articles takes all of its stock, or none", () =>
  withShop({}, async ({ call, becomes }) => {
    await must(202, call("/stock/pen", { pieces: 1 }));
    const lines = [{ sku: "pen", pieces: 1 }, { sku: "ink", pieces: 1 }];
    await must(202, call("/orders/1", { customer: "ada", lines }));
    assert.equal((await becomes("1", "cancelled")).note, "out of stock");
    assert.deepEqual(await must(200, call("/stock/pen")), { pieces: 1 });
  }));

test("an order that is not paid in time is cancelled, and gives its stock back", () =>
  withShop({ paymentTime: 200 }, async ({ call, becomes, parcels }) => {
    await must(202, call("/stock/pen", { pieces: 2 }));
    await must(202, call("/orders/1", twoPens));
    assert.equal((await becomes("1", "cancelled")).note, "not paid in time");
    while ((await must(200, call("/stock/pen"))).pieces !== 2) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await must(409, call("/orders/1/payment", {}));
    assert.equal(parcels.size, 0);
  }));
