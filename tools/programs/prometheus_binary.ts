/** Finds Prometheus's `promtool`, or brings Debian's here: it is unpacked into a cache folder, not installed. */
import { delimiter, join } from "node:path";
import { cacheFolder, exists, folderOnce } from "../../testing/nats/cache.ts";
import { run } from "../command.ts";

/** The path of `promtool`: the first on the PATH, or the cached one; else Debian's, if apt has it. */
export async function findPromtool(): Promise<string | undefined> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(delimiter)) {
    if (folder && await exists(join(folder, "promtool"))) return join(folder, "promtool");
  }
  if (Deno.build.os !== "linux") return undefined;
  try {
    return join(await unpacked(), "usr/bin/promtool");
  } catch (error) {
    console.error(`Cannot bring promtool here: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

function unpacked(): Promise<string> {
  return folderOnce(join(cacheFolder(), "prometheus"), async (draft) => {
    console.error("Fetching promtool from Debian");
    await orFail("apt-get", ["-qq", "-o", "APT::Sandbox::User=", "download", "prometheus"], draft);
    for await (const { name } of Deno.readDir(draft)) {
      if (!name.endsWith(".deb")) continue;
      await orFail("dpkg", ["-x", name, "."], draft);
      await Deno.remove(join(draft, name));
    }
  });
}

async function orFail(program: string, args: readonly string[], cwd: string): Promise<void> {
  const { success, output } = await run(program, args, { cwd });
  if (!success) throw new Error(`${program} failed: ${output.trim().split("\n").at(-1)}`);
}
