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
  const post = async (path: string, body: unknown, expected: number): Promise<string> => {
    const response = await fetch(url + path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "Idempotency-Key": `${path} ${JSON.stringify(body).length}`.replaceAll(" ", "/") },
    });
    const text = await response.text();
    if (response.status !== expected) {
      throw new Error(`${path} answers ${response.status}: ${text}`);
    }
    return response.headers.get("Aether-Position") ?? "";
  };
  const list = async (position: string): Promise<string> => {
    const headers = { "Aether-Position": position };
    const rows: { id: string; status: string }[] = await (await fetch(`${url}/orders`, { headers }))
      .json();
    return rows.map(({ id, status }) => `${id} ${status}`).join(", ");
  };
  for (const id of ["1", "1", "2"]) await post(`/orders/${id}`, { total: 5 }, 202); // One comes again.
  await post("/orders/1", { total: 500 }, 409);
  const position = await post("/orders/1/payment", {}, 202);
  const first = await list(position);
  if (!first.startsWith("order-1 paid, order-2 ")) throw new Error(`The orders are: ${first}`);
  while (await list(position) !== "order-1 paid, order-2 cancelled") {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await post("/orders/2/payment", {}, 409);
}
