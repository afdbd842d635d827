/**
 * Shows that the package runs elsewhere, packed as JSR serves it to npm: the quick start on Bun, in
 * memory and on a real nats-server, and one program on workerd and in Chromium, bundled by esbuild and
 * on NATS over a WebSocket.
 */
import { join } from "node:path";
import { findChromium } from "../programs/chromium_binary.ts";
import { mustRun } from "../command.ts";
import { NatsServer } from "../nats_server.ts";
import {
  constraintOf,
  emptyPackage,
  forNode,
  npmInstall,
  pack,
  QUICK_START,
  twins,
} from "../node_smoke.ts";
import { freePort } from "../port.ts";
import { ROOT } from "../root.ts";
import { inChromium } from "./chromium.ts";
import { onWorkerd } from "./workerd.ts";

/** What the program has to find, in memory and on NATS. */
const ONE = {
  state: 5,
  outcomes: ["fulfilled", "fulfilled", "rejected", "rejected"],
  ...{ conflict: 3, handled: [5, -1, -2], events: 3 },
};

/** Runs it all; gives what it ran on. */
export async function runtimes(): Promise<string> {
  const work = await Deno.makeTempDir({ prefix: "aether-runtimes-" });
  try {
    const app = join(work, "app");
    const [chromium] = await Promise.all([findChromium(), pack(work).then(() => install(app))]);
    const port = freePort();
    const config = `websocket { listen: "127.0.0.1:${port}", no_tls: true }`;
    await using server = await NatsServer.start({ config });
    const url = `ws://127.0.0.1:${port}`;
    const ran = await Promise.all([
      onBun(app, server),
      onWorkerd(app, url).then((found) => check("workerd", found)),
      chromium === undefined
        ? "no Chromium here"
        : inChromium(chromium, app, url).then((found) => check("Chromium", found)),
    ]);
    return ran.join(", ");
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** The folder of a user's program, with the package and the runtimes that npm brings. */
async function install(app: string): Promise<void> {
  await emptyPackage(app);
  const transport = `@nats-io/transport-node@${constraintOf("@nats-io/transport-node")}`;
  const tools = ["bun", "workerd", "esbuild@^0.28.0"];
  await npmInstall(app, ["../package.tgz", ...twins(), transport, ...tools]);
  const programs = ["examples/quick_start.ts", "tools/runtimes/program.ts"];
  for (const path of programs) {
    const text = forNode(await Deno.readTextFile(join(ROOT, path)));
    const own = text.replace('"@nats-io/nats-core"', '"@jsr/nats-io__nats-core"');
    await Deno.writeTextFile(join(app, path.split("/").at(-1)!), own);
  }
}

/** Runs the quick start on Bun; gives its version. */
async function onBun(cwd: string, server: NatsServer): Promise<string> {
  const bun = join(cwd, "node_modules", ".bin", "bun");
  const env = { NATS_URL: server.url };
  for (const args of [["quick_start.ts"], ["quick_start.ts", "--nats"]]) {
    const { output } = await mustRun(bun, args, { cwd, env });
    if (output.includes(QUICK_START)) continue;
    throw new Error(`Bun: \`${args.join(" ")}\` prints something else:\n${output}`);
  }
  return `Bun ${(await mustRun(bun, ["--version"])).stdout.trim()}`;
}

/** Compares what the program found; gives the runtime's name. */
function check(runtime: string, found: string): string {
  if (found === JSON.stringify([ONE, ONE])) return runtime;
  throw new Error(`${runtime}: the program finds something else:\n${found}`);
}
