// A server of the shop's routes, by either framework: the same on Deno and on Node.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { fastifyApp } from "./fastify.ts";
import { honoApp } from "./hono.ts";
import type { Route } from "./routes.ts";

export type Framework = "hono" | "fastify";

export interface Server {
  readonly url: string;
  /** Takes no new requests, and resolves when those under way are answered. */
  close(): Promise<void>;
}

export async function serve(
  routes: readonly Route[],
  { framework = "hono", port = 0 }: { framework?: Framework; port?: number } = {},
): Promise<Server> {
  const hostname = "127.0.0.1";
  if (framework === "fastify") {
    const app = fastifyApp(routes);
    return { url: await app.listen({ host: hostname, port }), close: () => app.close() };
  }
  const server = createServer(getRequestListener(honoApp(routes).fetch));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(port, hostname, resolve);
  });
  return {
    url: `http://${hostname}:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise<void>((resolve, reject) => {
        server.close((error) => error ? reject(error) : resolve());
        server.closeIdleConnections();
      }),
  };
}
