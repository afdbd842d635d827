/** Tries the shop of `examples/small_shop.ts` as a process, on Deno or on Node. */
import { join } from "node:path";
import { NatsServer } from "../nats_server.ts";
import { ROOT } from "../root.ts";

/**
 * Runs it by `program` and `args`, and sends it requests: an order that is paid, and one that is
 * cancelled because it is not. Then asks it to end. Throws if something is not as it has to be.
 */
export async function trySmallShop(
  program: string,
  args: readonly string[],
  cwd: string = ROOT,
): Promise<void> {
  await using nats = await NatsServer.start();
  const folder = await Deno.makeTempDir({ prefix: "aether-small-shop-" });
  const env = {
    PORT: "0",
    NATS_URL: nats.url,
    FILE: join(folder, "orders.db"),
    PAYMENT_TIME: "500",
    NODE_NO_WARNINGS: "1", // node:sqlite is experimental on Node 22
  };
  const options = { args: [...args], env, cwd, stdout: "piped" as const };
  const child = new Deno.Command(program, options).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const until = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const [, found] = pattern.exec(text) ?? [];
      if (found !== undefined) return found;
      const { value, done } = await reader.read();
      if (done) throw new Error(`The shop has ended early, after it wrote: ${text}`);
      text += value;
    }
  };
  try {
    const url = await until(/open at (\S+)\n/);
    await requests(url);
    child.kill("SIGTERM");
    await until(/(shop is closed)\n/);
    const { code } = await child.status;
    if (code !== 0) throw new Error(`The shop ended with ${code}`);
  } finally {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await child.status;
    await reader.cancel();
    await Deno.remove(folder, { recursive: true });
  }
}

async function requests(url: string): Promise<void> {
  const post = (path: string, body: unknown, key: string = path): Promise<Response> =>
    fetch(url + path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "Idempotency-Key": key },
    });
  const must = async (status: number, answer: Promise<Response>): Promise<void> => {
    const response = await answer;
    const text = await response.text();
    if (response.status !== status) throw new Error(`The shop answers ${response.status}: ${text}`);
  };
  const statuses = async (position: string): Promise<Map<string, string>> => {
    const answer = await fetch(`${url}/orders`, { headers: { "Aether-Position": position } });
    const rows: { id: string; status: string }[] = await answer.json();
    return new Map(rows.map(({ id, status }) => [id, status]));
  };

  await must(202, post("/orders/late", { total: 5 }));
  await must(202, post("/orders/late", { total: 5 })); // The same request again.
  await must(409, post("/orders/late", { total: 5 }, "another"));
  for (let attempt = 1;; attempt++) { // On a busy machine the payment may come too late.
    const id = `paid-${attempt}`;
    await must(202, post(`/orders/${id}`, { total: 5 }));
    const { status, headers, body } = await post(`/orders/${id}/payment`, {});
    await body?.cancel();
    if (status === 409) continue;
    const found = (await statuses(headers.get("Aether-Position")!)).get(`order-${id}`);
    if (found === "paid") break; // It reads its own write.
    throw new Error(`The order is paid, and the read model says: ${found}`);
  }
  while ((await statuses("0")).get("order-late") !== "cancelled") {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await must(409, post("/orders/late/payment", {}));
}
