/**
 * Finds PostgreSQL's server programs, or brings Debian's here: its packages are unpacked into a cache
 * folder, so nothing is installed and no service starts.
 */
import { delimiter, dirname, join } from "node:path";
import { cacheFolder, exists, folderOnce } from "../../testing/nats/cache.ts";

/** Where PostgreSQL's programs are, and how to start them. */
export interface PostgresPrograms {
  /** The folder of `initdb` and `postgres`. */
  readonly folder: string;
  /** The folder of the libraries that they need, if it is not the system's. */
  readonly libraries?: string;
}

/** Options for {@linkcode findPostgres}. */
export interface FindPostgresOptions {
  /** Whether it may be brought from the network if it is not here. @default {true} */
  readonly fetch?: boolean;
}

/**
 * Gives the programs of the first PostgreSQL of: `$POSTGRES_BIN` (its folder), the PATH, Debian's
 * places, and the cache; else brings Debian's. `undefined` if none of these has it.
 */
export async function findPostgres(
  { fetch = true }: FindPostgresOptions = {},
): Promise<PostgresPrograms | undefined> {
  const named = Deno.env.get("POSTGRES_BIN");
  if (named) return { folder: named };
  for (const folder of await candidates()) {
    if (await hasPrograms(folder)) return { folder };
  }
  const cached = await programsIn(join(cachePlace(), "postgres"));
  if (cached !== undefined || !fetch || Deno.build.os !== "linux") return cached;
  return await unpackPostgres(join(cachePlace(), "postgres")).catch((error) => {
    console.error(error instanceof Error ? error.message : error);
    return undefined;
  });
}

/** Unpacks Debian's PostgreSQL, with the packages that this machine lacks for it, into `folder`. */
export async function unpackPostgres(folder: string): Promise<PostgresPrograms | undefined> {
  await folderOnce(folder, async (draft) => {
    console.error("Fetching PostgreSQL from Debian");
    // The packages that apt would install now: the server's of this release, and what it needs.
    const plan = await run("apt-get", ["-s", "--no-install-recommends", "install", "postgresql"]);
    const names = [...plan.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name!);
    const server = names.find((name) => /^postgresql-\d+$/.test(name)) ?? await serverPackage();
    await run("apt-get", ["-qq", "download", ...new Set([...names, server])], draft);
    for await (const { name } of Deno.readDir(draft)) {
      if (!name.endsWith(".deb")) continue;
      await run("dpkg", ["-x", name, "."], draft);
      await Deno.remove(join(draft, name));
    }
  });
  return await programsIn(folder);
}

/** The package that has the server of this release of Debian. */
async function serverPackage(): Promise<string> {
  const depends = await run("apt-cache", ["depends", "postgresql"]);
  const [, name] = /Depends: (postgresql-\d+)/.exec(depends) ?? [];
  if (name === undefined) throw new Error("Cannot find PostgreSQL among apt's packages");
  return name;
}

/** The server refuses to run as root, and the user in root's place cannot enter root's home. */
function cachePlace(): string {
  return Deno.uid() === 0 ? "/var/cache/aether" : cacheFolder();
}

async function candidates(): Promise<string[]> {
  const folders: string[] = [];
  for (const folder of (Deno.env.get("PATH") ?? "").split(delimiter)) {
    const real = await Deno.realPath(join(folder, "postgres")).catch(() => undefined);
    if (folder && real) folders.push(dirname(real));
  }
  return [...folders, ...await versionsIn("/usr/lib/postgresql")];
}

/** The folders of programs in a folder as Debian lays it out, the newest version first. */
async function versionsIn(folder: string): Promise<string[]> {
  const versions: number[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) versions.push(Number(name));
  } catch {
    // It is not there.
  }
  return versions.sort((a, b) => b - a).map((version) => join(folder, `${version}`, "bin"));
}

async function hasPrograms(folder: string): Promise<boolean> {
  return await exists(join(folder, "initdb")) && await exists(join(folder, "postgres"));
}

/** The programs in a folder of unpacked packages. */
async function programsIn(root: string): Promise<PostgresPrograms | undefined> {
  for (const folder of await versionsIn(join(root, "usr/lib/postgresql"))) {
    if (!await hasPrograms(folder)) continue;
    const libraries = join(root, "usr/lib", `${Deno.build.arch}-linux-gnu`);
    return { folder, libraries };
  }
  return undefined;
}

async function run(program: string, args: readonly string[], cwd?: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    ...(cwd !== undefined && { cwd }),
    stdin: "null",
    env: { LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
  }).output();
  if (success) return new TextDecoder().decode(stdout);
  const said = new TextDecoder().decode(stderr).trim().split("\n").slice(-3).join(" / ");
  throw new Error(`Cannot fetch PostgreSQL: ${program} failed: ${said}`);
}
