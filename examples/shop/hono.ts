// The shop's routes on Hono.
import { Hono } from "hono";
import type { Route } from "./routes.ts";

export function honoApp(routes: readonly Route[]): Hono {
  const app = new Hono();
  for (const { method, path, handle } of routes) {
    app.on(method, path, (context) => handle(context.req.raw, context.req.param("id") ?? ""));
  }
  return app;
}
