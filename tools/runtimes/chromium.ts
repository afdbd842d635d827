/** Runs the program in a page of Chromium. */
import { join } from "node:path";
import { type Chromium, CHROMIUM_FLAGS } from "../programs/chromium_binary.ts";
import { bundle } from "./bundle.ts";

/** The page tells what it found to where it comes from. */
const PAGE = `
import { program } from "./program.ts";

const found = await program(new URL(location.href).searchParams.get("nats")!)
  .then((found) => JSON.stringify(found), (error) => String(error.stack));
await fetch("/found", { method: "POST", body: found });
`;

/** Longest wait for the page, in ms. */
const PATIENCE = 60_000;

/** Bundles the program of the folder `app` for a page, and opens it; gives what it found. */
export async function inChromium(
  { program, env }: Chromium,
  app: string,
  url: string,
): Promise<string> {
  const script = await Deno.readTextFile(await bundle(app, "page.js", PAGE));
  const answer = Promise.withResolvers<string>();
  await using site = Deno.serve({
    ...{ hostname: "127.0.0.1", port: 0, onListen: () => {} },
    handler: async (request) => {
      const type = (type: string) => ({ headers: { "Content-Type": type } });
      switch (new URL(request.url).pathname) {
        case "/found":
          answer.resolve(await request.text());
          return new Response();
        case "/page.js":
          return new Response(script, type("text/javascript"));
        default:
          return new Response(`<script type="module" src="/page.js"></script>`, type("text/html"));
      }
    },
  });
  const profile = join(app, "chromium");
  const page = `http://127.0.0.1:${site.addr.port}/?nats=${encodeURIComponent(url)}`;
  const chromium = new Deno.Command(program, {
    // A port for tools keeps it running.
    args: [
      ...CHROMIUM_FLAGS,
      ...["--remote-debugging-port=0", `--user-data-dir=${profile}`, page],
    ],
    ...{ env: { ...env }, stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
  const timer = setTimeout(
    () => answer.reject(new Error(`Chromium: the page says nothing within ${PATIENCE} ms`)),
    PATIENCE,
  );
  try {
    return await answer.promise;
  } finally {
    clearTimeout(timer);
    chromium.kill("SIGTERM"); // Its other processes end with it.
    await chromium.status;
  }
}
