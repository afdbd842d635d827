// A span for each request: the store's spans are its children, and it joins the caller's trace.
// An SDK takes them: Deno's own with OTEL_DENO=true, or the one that you install on Node.
import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Route } from "./routes.ts";

const tracer = trace.getTracer("shop");

export function traced(route: Route): Route {
  const { method, path } = route;
  return {
    ...route,
    handle: (request, id) => {
      const parent = propagation.extract(context.active(), Object.fromEntries(request.headers));
      const attributes = { "http.request.method": method, "http.route": path };
      const options = { kind: SpanKind.SERVER, attributes };
      return tracer.startActiveSpan(`${method} ${path}`, options, parent, async (span) => {
        try {
          const response = await route.handle(request, id);
          span.setAttribute("http.response.status_code", response.status);
          if (response.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
          return response;
        } finally {
          span.end();
        }
      });
    },
  };
}
