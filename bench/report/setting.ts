import { cpus, loadavg, totalmem } from "node:os";
import { mustRun } from "../../tools/command.ts";
import type { Setting } from "./page.ts";

/** The machine and the versions as they are now, for a run of `command`. */
export async function settingNow(command: string, seconds: number): Promise<Setting> {
  const [cpu] = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  const server = await mustRun(Deno.env.get("NATS_SERVER")!, ["--version"]);
  const client = import.meta.resolve("@nats-io/nats-core");
  return {
    command,
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} cores (${
      cpu?.model.replace(/\((R|TM)\)/g, "").trim()
    }), ${memory} GiB, client and servers on it`,
    versions: {
      Deno: Deno.version.deno,
      "nats-server": /\d+\.\d+\.\d+\S*/.exec(server.output)?.[0] ?? "unknown",
      "nats.js": /nats-core[/@^~]*(\d[^/]*)/.exec(client)?.[1] ?? "3",
    },
    seconds,
    load: loadavg()[0]!,
  };
}
