import { inspector } from "../../inspector/mod.ts";
import type { Connection } from "../../store/connection.ts";
import { listen, type Listening } from "../http_server.ts";
import { numberIn, type Verb } from "../verb.ts";

/** The port without `--port`. */
const PORT = 4280;

/** `aether inspect`. */
export const inspect: Verb = {
  usage: "",
  summary: "Serves a page that shows the store, on 127.0.0.1, until Ctrl-C",
  details:
    "With --app, the page folds states by your deciders. It changes nothing: actions need your " +
    "projections and processes, so they are for a program that passes these to inspector().",
  lasts: true,
  words: [0, 0],
  options: {
    port: {
      type: "string",
      value: "PORT",
      description: `Port (${PORT}; 0 takes any that is free)`,
    },
  },
  examples: ["aether inspect --namespace shop", "aether inspect --port 8080 --app ./aether.ts"],
  async run({ values, output, app, signal, connect, open }) {
    const port = numberIn(values, "port", PORT, 65_535);
    const store = await open();
    const { deciders = {} } = app;
    const listening = await begun(inspector({ store, deciders, signal }), port);
    const { url } = listening;
    try {
      output.item(url, { url });
      output.error("Ctrl-C ends it");
      await ended(signal, await connect());
    } finally {
      await listening[Symbol.asyncDispose]();
    }
    return 0;
  },
};

async function begun(
  handler: ReturnType<typeof inspector>,
  port: number,
): Promise<Listening> {
  try {
    return await listen(handler, port);
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new Error(`Cannot listen on port ${port}: ${reason}; choose another by --port`, {
      cause,
    });
  }
}

/** Resolves when the user ends it; rejects if the servers do not let it connect again. */
async function ended(signal: AbortSignal, connection: Connection): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  if (signal.aborted) return;
  const cause = await Promise.race([promise, connection.closed()]);
  if (signal.aborted) return;
  const reason = cause === undefined ? "" : `: ${cause.message}`;
  throw new Error(`Cannot show the store any longer: the connection is closed${reason}`, { cause });
}
