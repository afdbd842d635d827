// The shop's routes on Fastify, whose requests are not those of Fetch.
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Route } from "./routes.ts";

export function fastifyApp(routes: readonly Route[]): FastifyInstance {
  const app = fastify({ forceCloseConnections: "idle" });
  // The routes read the body themselves.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "string" }, (_request, body, done) => done(null, body));
  for (const { method, path, handle } of routes) {
    app.route<{ Params: { id?: string } }>({
      method,
      url: path,
      handler: async (request, reply) =>
        await handle(fetchRequest(request, reply), request.params.id ?? ""),
    });
  }
  return app;
}

/** The request as Fetch has it; aborted when the client goes before it has its answer. */
function fetchRequest(request: FastifyRequest, { raw }: FastifyReply): Request {
  const gone = new AbortController();
  raw.once("close", () => gone.abort());
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    for (const one of [value ?? []].flat()) headers.append(name, one);
  }
  const { method, body } = request;
  return new Request(new URL(request.url, `http://${request.host}`), {
    method,
    headers,
    signal: gone.signal,
    ...(typeof body === "string" && method !== "GET" && { body }),
  });
}
