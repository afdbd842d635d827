/**
 * A twin of the JSR registry on this machine's disk, for networks that reach an npm registry but not JSR.
 *
 * It holds just the `jsr:` packages that `deno.json` names, in JSR's own layout, so that Deno reads it
 * through `JSR_URL=file://…/` and nothing in the code has to know. A `@nats-io/*` package is one line that
 * re-exports the same version from npm; `@std/*` packages are thin adapters that lie in `tools/twin/`.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { cacheFolder, folderOnce } from "../testing/nats/cache.ts";
import { ROOT } from "./root.ts";

/** Raised when the twin's layout changes, so that twins made before are not used. */
const FORMAT = 1;

/** The `@std/*` packages and the files of `tools/twin/` that replace their entry points. */
const ADAPTERS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "@std/assert": { ".": "assert.ts" },
  "@std/testing": { "./mock": "mock.ts", "./time": "time.ts" },
};

/** The entry points of every `@nats-io/*` package. */
const NATS_ENTRY_POINTS = [".", "./internal"];

interface Package {
  readonly name: string;
  readonly constraint: string;
}

interface Twin {
  readonly version: string;
  /** Entry points and the text of the module behind each. */
  readonly modules: ReadonlyMap<string, string>;
}

/** Returns the folder of the twin for the packages in `deno.json`; makes it if it is missing. */
export async function twinRegistry(): Promise<string> {
  const packages = await jsrPackages();
  const adapters = await adapterTexts();
  const key = sha256(JSON.stringify([FORMAT, Deno.version.deno, packages, [...adapters]]));
  return await folderOnce(join(cacheFolder(), "twin", key.slice(0, 16)), async (folder) => {
    console.error("JSR is out of reach: making its twin from npm packages (once)");
    const npm = await npmVersions(packages.filter(({ name }) => name.startsWith("@nats-io/")));
    for (const { name, constraint } of packages) {
      const version = npm.get(name);
      const twin = version ? reexport(name, version) : adapt(name, constraint, adapters);
      await write(folder, name, twin);
    }
  });
}

/** The `jsr:` packages among the imports of `deno.json`. */
async function jsrPackages(): Promise<Package[]> {
  const { imports } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const packages: Package[] = [];
  for (const specifier of Object.values<string>(imports)) {
    if (!specifier.startsWith("jsr:")) continue;
    const [, name, constraint] = /^jsr:\/?(@[^/]+\/[^@/]+)@([^/]+)/.exec(specifier) ?? [];
    if (!name || !constraint || !(name in ADAPTERS || name.startsWith("@nats-io/"))) {
      throw new Error(
        `Cannot make a twin of "${specifier}": only @nats-io/* and ${Object.keys(ADAPTERS)} have ` +
          `one; add an adapter to tools/twin/ and name it in tools/twin.ts`,
      );
    }
    packages.push({ name, constraint });
  }
  return packages;
}

async function adapterTexts(): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  for (const file of Object.values(ADAPTERS).flatMap((entries) => Object.values(entries))) {
    texts.set(file, await Deno.readTextFile(join(ROOT, "tools", "twin", file)));
  }
  return texts;
}

/** Asks Deno which npm versions it would take, since it knows the user's registry and its rules best. */
async function npmVersions(packages: readonly Package[]): Promise<ReadonlyMap<string, string>> {
  const folder = await Deno.makeTempDir({ prefix: "aether-" });
  try {
    const probe = join(folder, "probe.ts");
    const imports = packages.map(({ name, constraint }) => `import "npm:${name}@${constraint}";\n`);
    await Deno.writeTextFile(probe, imports.join(""));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--no-config", "--no-lock", probe],
      stdin: "null",
    }).output();
    const told = success ? JSON.parse(new TextDecoder().decode(stdout)) : { redirects: {} };
    const versions = new Map<string, string>();
    for (const { name, constraint } of packages) {
      const found = told.redirects?.[`npm:${name}@${constraint}`];
      const version = typeof found === "string" ? found.slice(found.lastIndexOf("@") + 1) : "";
      if (!/^\d/.test(version)) {
        throw new Error(
          `Cannot make a twin of "jsr:${name}@${constraint}": neither JSR nor an npm registry gives ` +
            `it; check the network, or set JSR_URL or NPM_CONFIG_REGISTRY. Deno said: ` +
            new TextDecoder().decode(stderr).trim(),
        );
      }
      versions.set(name, version);
    }
    return versions;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function reexport(name: string, version: string): Twin {
  const modules = new Map<string, string>();
  for (const entry of NATS_ENTRY_POINTS) {
    modules.set(entry, `export * from "npm:${name}@${version}${entry.slice(1)}";\n`);
  }
  return { version, modules };
}

function adapt(name: string, constraint: string, texts: ReadonlyMap<string, string>): Twin {
  const modules = new Map<string, string>();
  for (const [entry, file] of Object.entries(ADAPTERS[name] ?? {})) {
    modules.set(entry, texts.get(file) ?? "");
  }
  const numbers = constraint.match(/\d+/g) ?? [];
  const version = [0, 1, 2].map((place) => numbers[place] ?? "0").join(".");
  return { version, modules }; // the least version that the constraint allows
}

async function write(registry: string, name: string, { version, modules }: Twin): Promise<void> {
  const folder = join(registry, ...name.split("/"));
  await Deno.mkdir(join(folder, version), { recursive: true });
  const exports: Record<string, string> = {};
  const manifest: Record<string, { size: number; checksum: string }> = {};
  for (const [entry, text] of modules) {
    const file = entry === "." ? "mod.ts" : `${entry.slice(2)}.ts`;
    await Deno.writeTextFile(join(folder, version, file), text);
    exports[entry] = `./${file}`;
    const size = new TextEncoder().encode(text).length;
    manifest[`/${file}`] = { size, checksum: `sha256-${sha256(text)}` };
  }
  const scope = name.slice(1, name.indexOf("/"));
  const meta = {
    scope,
    name: name.slice(scope.length + 2),
    latest: version,
    versions: { [version]: {} },
  };
  await Deno.writeTextFile(join(folder, "meta.json"), JSON.stringify(meta));
  await Deno.writeTextFile(
    join(folder, `${version}_meta.json`),
    JSON.stringify({ manifest, exports }),
  );
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
