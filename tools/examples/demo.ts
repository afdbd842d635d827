/** Runs the quick start; with `--nats` on a nats-server that is started for it and ended after it. */
import { NatsServer } from "../nats_server.ts";

const server = Deno.args.includes("--nats") ? await NatsServer.start() : undefined;
try {
  if (server !== undefined) Deno.env.set("NATS_URL", server.url);
  await import("../../examples/quick_start.ts");
} finally {
  await server?.[Symbol.asyncDispose]();
}
