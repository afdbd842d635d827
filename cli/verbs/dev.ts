import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import process from "node:process";
import { findNatsServer } from "../../testing/nats/binary.ts";
import { Server } from "../../testing/nats/server.ts";
import { unlessAborted } from "../../store/base/abort.ts";
import { PageBeside } from "../page_beside.ts";
import { numberIn, type Verb } from "../verb.ts";

/** The folder in the project that the server keeps its data in. */
const FOLDER = ".aether";
/** The file in it that names the server's process. */
const PID = "server.pid";

/** `aether dev`. */
export const dev: Verb = {
  usage: "[FOLDER]",
  summary: "Runs a nats-server for development, with a page that shows the store, until Ctrl-C",
  details:
    "It takes the nats-server of $NATS_SERVER, of the PATH or of your cache folder, or fetches " +
    `one once. It listens on 127.0.0.1, and keeps its data in ${FOLDER}/ of FOLDER (this one): remove ` +
    "it to start over. The page shows the store of --namespace, as soon as a program has made it.",
  words: [0, 1],
  options: {
    port: { type: "string", value: "PORT", description: "The port (4222; 0 is any free one)" },
  },
  examples: ["aether dev --namespace shop", "aether dev --port 4333"],
  async run({ words: [project = "."], values, output, namespace, app, signal }) {
    const port = numberIn(values, "port", 4222, 65_535);
    const folder = resolve(project, FOLDER);
    await prepare(folder);
    const server = new Server(folder, { port, keeps: true });
    let page: PageBeside | undefined;
    try {
      const binary = await unlessAborted(signal, findNatsServer());
      await server.start(binary, `pid_file: ${JSON.stringify(join(folder, PID))}`)
        .catch((error) => {
          if (!/address already in use|only one usage/i.test(String(error))) throw error;
          const advice = "end that, or name another port by --port";
          throw new Error(`Cannot listen on port ${port}: another program does; ${advice}`);
        });
      const url = `nats://127.0.0.1:${server.ports.client}`;
      output.item(`nats-server is ready on ${url}`, { url });
      const tell = (line: string) => output.error(line);
      page = await PageBeside.serve({ server: url, namespace, app, signal, tell });
      output.item(`What is in namespace "${namespace}" is shown on ${page.url}`, {
        page: page.url,
      });
      output.line(output.faint(`The data are in ${folder}. Ctrl-C ends both.`));
      await Promise.race([aborted(signal), server.ended]);
      if (!signal.aborted) throw new Error(`The nats-server has ended by itself:\n${server.log}`);
      return 0;
    } finally {
      await page?.[Symbol.asyncDispose]();
      await server.end();
      await rm(join(folder, PID), { force: true });
    }
  },
};

/** Makes the folder, which git leaves out; refuses one that a server uses. */
async function prepare(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, ".gitignore"), "*\n");
  const pid = Number(await readFile(join(folder, PID), "utf8").catch(() => NaN));
  if (!Number.isInteger(pid) || !isAlive(pid)) return;
  const file = join(folder, PID);
  throw new Error(
    `Cannot start a server in ${folder}: process ${pid} is one there; end it, or remove ${file} ` +
      "if that process is something else",
  );
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as { code?: unknown }).code === "EPERM"; // It is another user's.
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true })
  );
}
