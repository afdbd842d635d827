/**
 * The shop of `examples/shop`, killed again and again while orders go through it: each one is
 * placed, paid and shipped once.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { connect } from "@nats-io/transport-node";
import { order } from "../../examples/shop/order.ts";
import { stock } from "../../examples/shop/stock.ts";
import { JetStreamEventStore, rehydrate } from "../../store/mod.ts";
import { NatsServer } from "../../tools/nats_server.ts";
import { type Chaos, type Findings, pause, type Scenario } from "./scenario.ts";

/** How many orders are under way at once. */
const CUSTOMERS = 8;

/** How many orders there are, and how often the shop is killed under them. */
export interface ShopOptions {
  readonly orders: number;
  readonly kills: number;
}

/** Sends the orders, and kills the shop after each share of them; throws where one is not right. */
export async function shopUnderFire(
  chaos: Chaos,
  { orders, kills }: ShopOptions,
): Promise<Findings> {
  await using nats = await NatsServer.start();
  const parcels = new Map<string, number>();
  await using carrier = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const id = request.headers.get("Idempotency-Key")!;
    parcels.set(id, (parcels.get(id) ?? 0) + 1);
    return new Response(`parcel-${id}`);
  });
  const folder = await Deno.makeTempDir({ prefix: "aether-shop-" });
  const start = (port: number) =>
    ShopProcess.start({
      PORT: `${port}`,
      NATS_URL: nats.url,
      FILE: `${folder}/shop.db`,
      CARRIER: `http://127.0.0.1:${carrier.addr.port}`,
    });
  let shop = await start(0);
  const { url } = shop;
  let shipped = 0;
  let repeated = 0;
  let isOver = false;
  const work: Promise<void>[] = [];

  /** Sends until there is an answer, as a client has to; the key makes it safe. */
  async function ask(path: string, body?: unknown): Promise<Record<string, unknown>> {
    const init = body === undefined
      ? {}
      : { method: "POST", body: JSON.stringify(body), headers: { "Idempotency-Key": path } };
    while (!isOver) {
      const answer = await fetch(`${url}${path}`, init)
        .then(async (response) => ({ status: response.status, text: await response.text() }))
        .catch(() => undefined);
      if (answer !== undefined && answer.status < 300) return JSON.parse(answer.text);
      // The read model may not have the order yet; all else that the shop refuses is wrong.
      if (answer !== undefined && answer.status < 500 && answer.status !== 404) {
        throw new Error(`${path} answers ${answer.status}: ${answer.text}`);
      }
      repeated++;
      await pause(20);
    }
    throw new Error("The storm is over");
  }

  async function buy(id: string): Promise<void> {
    const becomes = async (status: string): Promise<void> => {
      while ((await ask(`/orders/${id}`)).status !== status) await pause(10);
    };
    const lines = [{ sku: "pen", pieces: 1 }, { sku: "ink", pieces: 2 }];
    await ask(`/orders/${id}`, { customer: "ada", lines });
    await becomes("reserved");
    await ask(`/orders/${id}/payment`, {});
    await becomes("shipped");
    shipped++;
  }

  async function killAll(): Promise<void> {
    for (let kill = 1; kill <= kills; kill++) {
      while (shipped < orders * kill / (kills + 1) && !isOver) await pause(5);
      if (isOver) return;
      await pause(chaos.between(0, 30));
      await shop.kill();
      chaos.log(`killed with ${shipped} of ${orders} orders shipped`);
      shop = await start(Number(new URL(url).port));
    }
  }

  try {
    await ask("/stock/pen", { pieces: orders });
    await ask("/stock/ink", { pieces: 2 * orders });
    const ids = Array.from({ length: orders }, (_, at) => `${at}`);
    const queue = ids.values();
    const customers = Array.from({ length: CUSTOMERS }, async () => {
      for (const id of queue) await buy(id);
    });
    work.push(killAll(), ...customers);
    await Promise.all(work);
    await shop.end();

    const connection = await connect({ servers: nats.url });
    await using store = await JetStreamEventStore.open(connection, { namespace: "shop" });
    const once = ["OrderPlaced", "OrderReserved", "OrderPaid", "OrderShipped"];
    for (const id of ids) {
      const types = (await store.getEvents(`order-${id}`)).map(({ eventType }) => eventType);
      assertEquals(types, once, `order ${id}`);
      assertEquals((await rehydrate(store, `order-${id}`, order)).state.status, "shipped");
    }
    for (const sku of ["pen", "ink"]) {
      assertEquals((await rehydrate(store, `stock-${sku}`, stock)).state, 0, sku);
    }
    await store[Symbol.asyncDispose]();
    await connection.close();
    assertEquals([...parcels.keys()].sort(), ids.sort());
    const calls = [...parcels.values()].reduce((sum, times) => sum + times, 0);
    return { orders, kills, repeated, "carrier asked again": calls - orders };
  } finally {
    isOver = true;
    await Promise.allSettled(work);
    await shop.kill();
    await Deno.remove(folder, { recursive: true });
  }
}

/** The shop's `main.ts` in a process of its own. */
class ShopProcess {
  readonly url: string;
  readonly #process: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;

  private constructor(
    url: string,
    process: Deno.ChildProcess,
    reader: ReadableStreamDefaultReader<string>,
  ) {
    this.url = url;
    this.#process = process;
    this.#reader = reader;
  }

  /** Resolves when it takes requests. */
  static async start(env: Record<string, string>): Promise<ShopProcess> {
    const path = (file: string) => new URL(`../../${file}`, import.meta.url).pathname;
    const config = ["--no-check", "--config", path("deno.json")];
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", ...config, path("examples/shop/main.ts")],
      env,
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = "";;) {
      const { value, done } = await reader.read();
      if (done) throw new Error(`The shop has ended early, after it wrote: ${text}`);
      text += value;
      const [, url] = /open at (\S+)\n/.exec(text) ?? [];
      if (url !== undefined) return new ShopProcess(url, process, reader);
    }
  }

  /** Kills it; may be repeated. */
  async kill(): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await this.#process.status;
    await this.#reader.cancel();
  }

  /** Asks it to end, which it does in order. */
  async end(): Promise<void> {
    this.#process.kill("SIGTERM");
    let text = "";
    for (let read = await this.#reader.read(); !read.done; read = await this.#reader.read()) {
      text += read.value;
    }
    const { code } = await this.#process.status;
    assertEquals([code, text], [0, "The shop is closed\n"]);
  }
}

/** See above. */
export const shopScenario: Scenario = {
  description: "the shop is killed under 240 orders: each placed, reserved, paid and shipped once",
  minutes: 1,
  run: (chaos) => {
    const orders = Math.max(40, Math.round(240 * chaos.duration / 60_000));
    return shopUnderFire(chaos, { orders, kills: Math.round(orders / 40) });
  },
};
