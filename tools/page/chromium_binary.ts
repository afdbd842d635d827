/**
 * Finds a Chromium, or brings Debian's here: its packages are unpacked into a cache folder, so nothing is
 * installed.
 */
import { delimiter, join } from "node:path";
import { cacheFolder, exists, folderOnce } from "../../testing/nats/cache.ts";
import { mustRun } from "../command.ts";

/** Debian's Chromium without a window: the same engine, 20 MB less, and no GTK. */
const PACKAGE = "chromium-headless-shell";

/** What other systems call theirs. */
const NAMES = [PACKAGE, "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** A Chromium, and how to start it. */
export interface Chromium {
  /** The path of the program. */
  readonly program: string;
  /** Variables that it needs on top of ours. */
  readonly env: Readonly<Record<string, string>>;
}

/** What keeps a Chromium of ours to itself: no sandbox, which root cannot have, and no calls home. */
export const CHROMIUM_FLAGS: readonly string[] = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The first of `$CHROMIUM`, the PATH and the cache; else Debian's, if apt has it. */
export async function findChromium(): Promise<Chromium | undefined> {
  const named = Deno.env.get("CHROMIUM");
  if (named) return { program: named, env: {} };
  for (const name of NAMES) {
    for (const folder of (Deno.env.get("PATH") ?? "").split(delimiter)) {
      const program = join(folder, name);
      if (folder && await exists(program)) return { program, env: {} };
    }
  }
  if (Deno.build.os !== "linux") return undefined;
  try {
    return await unpacked();
  } catch (error) {
    console.error(`Cannot bring Chromium here: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

/** Debian's Chromium in the cache, with the packages that this machine lacks for it. */
async function unpacked(): Promise<Chromium> {
  const root = await folderOnce(join(cacheFolder(), "chromium"), async (draft) => {
    console.error("Fetching Chromium from Debian");
    const plan = await apt(["-s", "--no-install-recommends", "install", PACKAGE]);
    const names = [...plan.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name!);
    await apt(["-qq", "-o", "APT::Sandbox::User=", "download", PACKAGE, ...names], draft);
    for await (const { name } of Deno.readDir(draft)) {
      if (!name.endsWith(".deb")) continue;
      await mustRun("dpkg", ["-x", name, "."], { cwd: draft });
      await Deno.remove(join(draft, name));
    }
  });
  const libraries = join(root, "usr/lib", `${Deno.build.arch}-linux-gnu`);
  const hasFonts = await exists("/etc/fonts/fonts.conf");
  return {
    program: join(root, "usr/lib/chromium", PACKAGE),
    env: {
      LD_LIBRARY_PATH: `${libraries}${delimiter}${join(libraries, "pulseaudio")}`,
      ...(!hasFonts && { FONTCONFIG_SYSROOT: root }),
    },
  };
}

async function apt(args: readonly string[], cwd?: string): Promise<string> {
  const env = { LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
  return (await mustRun("apt-get", args, { env, ...(cwd !== undefined && { cwd }) })).stdout;
}
