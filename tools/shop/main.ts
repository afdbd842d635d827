/**
 * `deno task shop [--node]` runs the shop of `examples/shop` until it is interrupted, beside a
 * nats-server of its own: on Deno, or on the newest Node in a project of its own.
 */
import process from "node:process";
import { installShop } from "./node.ts";
import { installNode } from "../node_smoke.ts";
import { NatsServer } from "../nats_server.ts";

await using server = await NatsServer.start();
// The events end with the server, and so does the read model.
const env = { FILE: ":memory:", ...process.env, NATS_URL: server.url };

if (process.argv.includes("--node")) {
  const work = await Deno.makeTempDir({ prefix: "aether-shop-" });
  try {
    const [node, cwd] = await Promise.all([installNode("latest", work), installShop(work)]);
    const child = new Deno.Command(node, { args: ["main.ts"], cwd, env }).spawn();
    for (const name of ["SIGINT", "SIGTERM"] as const) {
      process.once(name, () => child.kill("SIGTERM"));
    }
    process.exitCode = (await child.status).code;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
} else {
  Object.assign(process.env, env);
  await import("../../examples/shop/main.ts");
}
