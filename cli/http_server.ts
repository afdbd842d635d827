import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Bytes of a body that are taken: a handler that takes fewer refuses it. */
const MOST_BYTES = 128 * 1024;

/** How long answers under way have to end, in ms. */
const GRACE = 500;

/** A server that listens. */
export interface Listening extends AsyncDisposable {
  /** Where to reach it. */
  readonly url: string;
  /** Ends it, and all connections. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Serves a Fetch handler on 127.0.0.1, on Deno and Node alike; port 0 takes any that is free. */
export async function listen(
  handler: (request: Request) => Promise<Response>,
  port: number,
): Promise<Listening> {
  const server = createServer((message, answer) => {
    answerBy(handler, message, answer).catch(() => answer.destroy());
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, "127.0.0.1", resolve);
  await promise;
  const { port: own } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${own}/`,
    async [Symbol.asyncDispose]() {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.close(() => resolve());
      server.closeIdleConnections();
      // Answers that end by the same signal get a moment to be taken.
      const timer = setTimeout(() => server.closeAllConnections(), GRACE);
      await promise;
      clearTimeout(timer);
    },
  };
}

async function answerBy(
  handler: (request: Request) => Promise<Response>,
  message: IncomingMessage,
  answer: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  answer.once("close", () => gone.abort());
  const response = await handler(await requestOf(message, gone.signal));
  if (!message.complete) response.headers.set("connection", "close"); // The rest is not read.
  answer.writeHead(response.status, Object.fromEntries(response.headers));
  const reader = response.body?.getReader();
  try {
    while (reader !== undefined && !gone.signal.aborted) {
      const { value, done } = await reader.read();
      if (done) break;
      if (!answer.write(value)) await drained(answer, gone.signal);
    }
  } finally {
    await reader?.cancel().catch(() => {}); // It may have ended by the same cause.
  }
  answer.end();
}

async function requestOf(message: IncomingMessage, signal: AbortSignal): Promise<Request> {
  const { method = "GET", url = "/", headers } = message;
  const own = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) own.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  const hasBody = method !== "GET" && method !== "HEAD";
  // A path, and nothing that would lead elsewhere.
  const path = url.startsWith("/") ? url : "/";
  return new Request(`http://127.0.0.1${path}`, {
    ...{ method, headers: own, signal },
    ...(hasBody && { body: await bodyOf(message) }),
  });
}

async function bodyOf(message: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of message.iterator({ destroyOnReturn: false })) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > MOST_BYTES) break;
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

/** Resolves when the client has taken what was written, or is gone. */
async function drained(answer: ServerResponse, gone: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  answer.once("drain", resolve);
  gone.addEventListener("abort", () => resolve(), { once: true });
  if (!gone.aborted) await promise;
  answer.off("drain", resolve);
}
