// The shop over HTTP, as functions from Request to Response: any server or framework can have them.
import type { DatabaseSync } from "node:sqlite";
import {
  type Decider,
  type Event,
  type EventStore,
  execute,
  rehydrate,
} from "@flowmade-one/aether";
import {
  accepted,
  commandId,
  eventStream,
  expectedVersion,
  problem,
  reached,
  type ReadModel,
} from "@flowmade-one/aether/http";
import { type Line, order, Refused } from "./order.ts";
import { ordersIn } from "./orders_view.ts";
import { PAGE } from "./page.ts";
import { stock } from "./stock.ts";

export interface Route {
  readonly method: "GET" | "POST";
  /** With `:id` where a part is the caller's. */
  readonly path: string;
  readonly handle: (request: Request, id: string) => Promise<Response>;
}

/** What the routes work on. */
export interface RouteParts {
  readonly store: EventStore;
  readonly db: DatabaseSync;
  /** Fills `db`. */
  readonly orders: ReadModel;
  /** Aborted when the shop closes, so that its streams end. */
  readonly closing: AbortSignal;
}

/** The request's body is not what the route takes. */
class BadRequest extends Error {
  override readonly name = "BadRequest";
}

export function routes({ store, db, orders, closing }: RouteParts): Route[] {
  /** Executes a command for a request: once for each key, and only on the version of If-Match. */
  async function run<State, Command, E extends Event>(
    request: Request,
    actorId: string,
    decider: Decider<State, Command, E>,
    command: Command,
  ): Promise<Response> {
    const [key, expected] = [commandId(request), expectedVersion(request)];
    const result = await execute(store, actorId, decider, command, {
      ...(key !== undefined && { commandId: key }),
      ...(expected !== undefined && { expectedVersion: expected }),
    });
    return await accepted(result, { request, readModel: orders });
  }

  const all: Route[] = [
    {
      method: "POST",
      path: "/orders/:id",
      handle: async (request, id) =>
        await run(request, `order-${id}`, order, {
          type: "place",
          ...placingIn(await json(request)),
        }),
    },
    {
      method: "POST",
      path: "/orders/:id/payment",
      handle: (request, id) => run(request, `order-${id}`, order, { type: "pay" }),
    },
    {
      method: "POST",
      path: "/orders/:id/cancellation",
      handle: (request, id) =>
        run(request, `order-${id}`, order, { type: "cancel", reason: "by the customer" }),
    },
    {
      method: "POST",
      path: "/stock/:id",
      handle: async (request, id) => {
        const pieces = piecesIn(await json(request));
        return await run(request, `stock-${id}`, stock, { type: "add", pieces });
      },
    },
    {
      method: "GET",
      path: "/stock/:id",
      handle: async (_request, id) => {
        const { state } = await rehydrate(store, `stock-${id}`, stock);
        return Response.json({ pieces: state });
      },
    },
    {
      method: "GET",
      path: "/orders",
      handle: async (request) => {
        const isNew = await reached(request, orders); // The caller reads its own writes.
        return Response.json(ordersIn(db), { status: isNew ? 200 : 503 });
      },
    },
    {
      method: "GET",
      path: "/orders/:id",
      handle: async (request, id) => {
        await reached(request, orders);
        const [row] = ordersIn(db, id);
        return row === undefined ? new Response(null, { status: 404 }) : Response.json(row);
      },
    },
    {
      method: "GET",
      path: "/events",
      handle: (request) =>
        Promise.resolve(eventStream(request, store, {
          filter: { category: "order" },
          from: "start",
          message: ({ actorId, eventType }) => ({ id: actorId, eventType }),
          signal: closing,
        })),
    },
    {
      method: "GET",
      path: "/",
      handle: () =>
        Promise.resolve(new Response(PAGE, { headers: { "content-type": "text/html" } })),
    },
  ];
  return all.map((route) => ({ ...route, handle: answering(route.handle) }));
}

/** Answers with a problem if `handle` throws. */
function answering(handle: Route["handle"]): Route["handle"] {
  return async (request, id) => {
    try {
      return await handle(request, id);
    } catch (error) {
      const answer = problem(error, { request, status: statusOf });
      if (answer.status === 500) console.error(error);
      return answer;
    }
  };
}

function statusOf(error: unknown): number | undefined {
  if (error instanceof Refused) return 409;
  return error instanceof BadRequest ? 400 : undefined;
}

async function json(request: Request): Promise<Record<string, unknown>> {
  const body: unknown = await request.json().catch(() => undefined);
  if (typeof body !== "object" || body === null) throw new BadRequest("The body is no JSON object");
  return body as Record<string, unknown>;
}

function placingIn({ customer, lines }: Record<string, unknown>) {
  if (typeof customer !== "string" || !Array.isArray(lines) || lines.length === 0) {
    throw new BadRequest("An order has a customer and lines");
  }
  return { customer, lines: lines.map(lineIn) };
}

function lineIn(line: unknown): Line {
  const { sku, ...rest } = Object(line) as Record<string, unknown>;
  if (typeof sku !== "string") throw new BadRequest("A line has a sku");
  return { sku, pieces: piecesIn(rest) };
}

function piecesIn({ pieces }: Record<string, unknown>): number {
  if (!Number.isSafeInteger(pieces) || (pieces as number) < 1) {
    throw new BadRequest("The number of pieces is 1 or more");
  }
  return pieces as number;
}
