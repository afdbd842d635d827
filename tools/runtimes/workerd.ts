/** Runs the program on workerd, the runtime of Cloudflare's Workers, as npm brings it. */
import { join } from "node:path";
import { freePort } from "../port.ts";
import { bundle } from "./bundle.ts";

const WORKER = `
import { program } from "./program.ts";

export default {
  async fetch(request: Request): Promise<Response> {
    try {
      return Response.json(await program(new URL(request.url).searchParams.get("nats")!));
    } catch (error) {
      return new Response(String((error as Error).stack), { status: 500 });
    }
  },
};
`;

/** Longest wait for workerd to listen, in ms. */
const PATIENCE = 20_000;

/** Bundles the program of the folder `app` into a worker, and runs it; gives what it found. */
export async function onWorkerd(app: string, url: string): Promise<string> {
  await bundle(app, "worker.js", WORKER, ["--conditions=workerd"]);
  const port = freePort();
  const config = join(app, "worker.capnp");
  await Deno.writeTextFile(
    config,
    `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = (
      modules = [(name = "worker", esModule = embed "worker.js")],
      compatibilityDate = "2026-01-01",
      globalOutbound = "network",
    )),
    (name = "network", network = (allow = ["public", "private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "worker")],
);
`,
  );
  const workerd = new Deno.Command(join(app, "node_modules", ".bin", "workerd"), {
    ...{ args: ["serve", config], stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
  try {
    const address = `http://127.0.0.1:${port}/?nats=${encodeURIComponent(url)}`;
    for (const deadline = Date.now() + PATIENCE;;) {
      try {
        return await (await fetch(address)).text();
      } catch (error) {
        if (Date.now() > deadline) throw new Error("workerd does not listen", { cause: error });
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  } finally {
    workerd.kill("SIGKILL");
    await workerd.status;
  }
}
