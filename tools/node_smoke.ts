/**
 * Shows that the package works on Node as JSR serves it there: packed, its names rewritten to `@jsr/…`,
 * installed by npm into an empty folder, type-checked by `tsc` with its own declarations and every public
 * name, bundled, and run on Node 22 and the newest Node against a real nats-server.
 *
 * The transport is installed in a folder of its own, so that it brings a second copy of nats-core: that is
 * what users have who dial with npm's transport, and `instanceof` fails between the two.
 */
import { join } from "node:path";
import { deno, mustRun, run } from "./command.ts";
import { NatsServer } from "./nats_server.ts";
import { BUNDLERS, checkBundle } from "./node_smoke/bundle.ts";
import { pagePackages, pagePrograms, runPages } from "./node_smoke/pages.ts";
import { surfaceProgram, UNTYPED } from "./node_smoke/surface.ts";
import { ROOT } from "./root.ts";

/** The versions of Node that are tried, in npm's words. */
export const NODES = ["22", "latest"];

/** The oldest TypeScript whose users matter is not the newest: this is the one that Deno 2.9 has built in. */
export const TYPESCRIPT = "typescript@~6.0.0";

/** The package's name on Node. */
export const PACKAGE = "@jsr/flowmade-one__aether";

/** The output of the quick start, word for word. */
const NOWHERE = `There is no store of namespace "nowhere"`;
export const QUICK_START = `Order state after replaying 2 events:
  Status: shipped
  Total: $99.99
  Tracking: FS123456`;

/**
 * A program for `tsc` alone: a checkpoint store knows the type of its client's transactions. It is no file
 * of the project, because the types of `pg` bring Node's, which Deno would take for its own.
 */
const POSTGRES_CLIENTS = `
import { PGlite, type Transaction } from "@electric-sql/pglite";
import { Client, Pool, type PoolClient } from "pg";
import postgres, { type TransactionSql } from "postgres";
import type { CheckpointStore } from "@flowmade-one/aether";
import { PostgresCheckpointStore, VersionedTable } from "@flowmade-one/aether/postgres";

const pool = new PostgresCheckpointStore(new Pool());
export const ofPool: CheckpointStore<PoolClient> = pool;
export const release = (tx: Parameters<Parameters<typeof pool.transaction>[0]>[0]) => tx.release();
export const ofSql: CheckpointStore<TransactionSql> = new PostgresCheckpointStore(postgres());
export const ofPglite: CheckpointStore<Transaction> = new PostgresCheckpointStore(new PGlite());
// @ts-expect-error: a single client cannot be shared
new PostgresCheckpointStore(new Client());

const table = new VersionedTable("orders", (name) => name);
export const prepared = [table.prepare(new Pool()), table.prepare(postgres())];
export const write = async (tx: PoolClient, sql: TransactionSql, lite: Transaction) => [
  await table.of({ tx, version: 1 }),
  await table.of({ tx: sql, version: 1 }),
  await table.of({ tx: lite, version: 1 }),
];
`;

/** Runs the whole smoke test; gives what it ran on. */
export async function nodeSmoke(): Promise<string> {
  const work = await Deno.makeTempDir({ prefix: "aether-node-" });
  try {
    const app = join(work, "app");
    const [nodes] = await Promise.all([
      Promise.all(NODES.map((version) => installNode(version, work))),
      pack(work).then(() => installApp(app)),
      installDial(join(work, "dial")),
    ]);
    await using server = await NatsServer.start();
    const [versions, sizes] = await Promise.all([
      Promise.all(nodes.map((node) => runOn(node, app, server))),
      checkBundle(nodes.at(-1)!, app, PACKAGE),
      checkTypes(app),
    ]);
    return `${versions.join(" and ")}; createEvent bundled: ${sizes}`;
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

let packed: Promise<string> | undefined;

/** Packs the project into `package.tgz` in the folder `work`; all steps of one gate share the work. */
export async function pack(work: string): Promise<void> {
  packed ??= Deno.makeTempDir({ prefix: "aether-packed-" }).then(packInto);
  await Deno.copyFile(join(await packed, "package.tgz"), join(work, "package.tgz"));
}

/**
 * Packs the project into `package.tgz`, with the names that JSR gives to Node.
 *
 * deno pack prints "Could not generate types" for each file that no public declaration leads to: it writes
 * declarations for the others only, as JSR does. The type check fails if one of those is missing.
 */
async function packInto(work: string): Promise<string> {
  globalThis.addEventListener("unload", () => Deno.removeSync(work, { recursive: true }));
  await deno(["pack", "--allow-dirty", "--output", join(work, "packed.tgz")]);
  await mustRun("tar", ["-xzf", "packed.tgz"], { cwd: work });
  const used = new Set<string>();
  for (const file of await filesBelow(join(work, "package"))) {
    if (!/\.(js|d\.ts)$/.test(file)) continue;
    const text = await Deno.readTextFile(file);
    await Deno.writeTextFile(
      file,
      text.replace(
        // `from "@nats-io/…"` and `import("@nats-io/…")`; deno pack leaves names of the import map in.
        /(\b(?:from|import)\s*\(?\s*)(["'])(?:jsr:)?@nats-io\/([\w-]+)(?:@[^/"']+)?/g,
        (all, before, quote, name) => {
          if (!IMPORTS[`@nats-io/${name}`]?.startsWith("jsr:")) return all; // npm's, in an example
          used.add(name);
          return `${before}${quote}@jsr/nats-io__${name}`;
        },
      ),
    );
  }
  const path = join(work, "package", "package.json");
  const manifest = JSON.parse(await Deno.readTextFile(path));
  manifest.name = PACKAGE;
  // deno pack leaves out those that only types are taken from.
  for (const name of used) manifest.dependencies[`@jsr/nats-io__${name}`] ??= constraint(name);
  await Deno.writeTextFile(path, JSON.stringify(manifest, null, 2));
  await mustRun("tar", ["-czf", "package.tgz", "package"], { cwd: work });
  return work;
}

/** The folder of the transport, with a nats-core of its own. */
async function installDial(folder: string): Promise<void> {
  await emptyPackage(folder);
  await npmInstall(folder, [`@nats-io/transport-node@${constraint("transport-node")}`]);
  for (const name of ["index.js", "index.d.ts"]) {
    await Deno.writeTextFile(join(folder, name), `export * from "@nats-io/transport-node";\n`);
  }
}

/** NATS's packages under the names that JSR gives them on npm: npm's releases stand in. */
export function twins(): string[] {
  return ["nats-core", "jetstream", "kv"].map((name) =>
    `@jsr/nats-io__${name}@npm:@nats-io/${name}@${constraint(name)}`
  );
}

/** A program as it is written for the package's name on Node. */
export function forNode(text: string): string {
  return text.replace(/"@flowmade-one\/aether((?:\/\w+)*)"/g, `"${PACKAGE}$1"`);
}

/** The folder of a user's program. */
async function installApp(folder: string): Promise<void> {
  await emptyPackage(folder);
  const pages = await pagePrograms();
  const names = new Set(["@electric-sql/pglite", "pg", "postgres", ...pagePackages(pages)]);
  const clients = [...names].map((name) => `${name}@${constraintOf(name)}`);
  const types = [TYPESCRIPT, "@types/node@^22", "@types/pg@^8"];
  await npmInstall(folder, ["../package.tgz", ...twins(), ...clients, ...types, ...BUNDLERS]);
  const programs = {
    "smoke.ts": await Deno.readTextFile(join(ROOT, "tools", "node_smoke", "smoke.ts")),
    "quick_start.ts": await Deno.readTextFile(join(ROOT, "examples", "quick_start.ts")),
    "surface.ts": await surfaceProgram(),
    "clients.ts": POSTGRES_CLIENTS,
  };
  for (const [name, text] of Object.entries({ ...programs, ...pages })) {
    await Deno.writeTextFile(
      join(folder, name),
      forNode(text).replace(/"@nats-io\/transport-node"/g, `"../dial/index.js"`),
    );
  }
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: "nodenext",
    target: "es2022",
    lib: ["es2024", "esnext.disposable", "esnext.iterator", "esnext.array"],
    types: ["node"],
    noEmit: true,
    allowImportingTsExtensions: true,
    skipLibCheck: false, // a missing declaration shows only in the declarations that import it
  };
  const files = Object.keys(programs);
  await Deno.writeTextFile(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions, files }),
  );
}

/**
 * Type-checks the programs and the package's declarations. As a control it then takes one declaration away,
 * and throws if the public names that came from it pass nevertheless.
 */
async function checkTypes(folder: string): Promise<void> {
  const errors = await typeErrors(folder);
  if (errors.length > 0) throw new Error(`tsc finds errors:\n${errors.join("\n")}`);

  const declaration = join(folder, "node_modules", PACKAGE, "store", "event.d.ts");
  await Deno.rename(declaration, `${declaration}.away`);
  const found = await typeErrors(folder);
  await Deno.rename(`${declaration}.away`, declaration);
  for (const expected of [`Type '"root.Event"' ${UNTYPED}`, "error TS7016"]) {
    if (found.some((error) => error.includes(expected))) continue;
    throw new Error(
      `Cannot trust the type check: without event.d.ts it has no "${expected}":\n${
        found.join("\n")
      }`,
    );
  }
}

/**
 * The faults that `tsc` finds in the programs and in the package's declarations. Faults within the
 * declarations of other packages are left out: nats-core's do not pass
 * `exactOptionalPropertyTypes`, and nothing here can change that.
 */
async function typeErrors(folder: string): Promise<string[]> {
  const args = ["--no-install", "tsc", "--project", ".", "--pretty", "false"];
  const { success, output } = await run("npx", args, { cwd: folder });
  if (success) return [];
  const errors = output.split(/\n(?=\S)/); // the lines that explain an error are indented
  const known = /^node_modules\/\S+\(\d+,\d+\): error TS/;
  return errors.filter((error) =>
    !known.test(error) || error.startsWith(`node_modules/${PACKAGE}/`)
  );
}

/** Installs one version of Node; gives the path of its program. */
export async function installNode(version: string, work: string): Promise<string> {
  const folder = join(work, `node-${version}`);
  await emptyPackage(folder);
  await npmInstall(folder, [`node@${version}`]);
  return join(folder, "node_modules", "node", "bin", "node");
}

/** Runs the programs of a folder on one version of Node; gives that version. */
async function runOn(node: string, cwd: string, server: NatsServer): Promise<string> {
  const env = { NATS_URL: server.url };
  const said = (await mustRun(node, ["--version"])).stdout.trim();
  for (const args of [["quick_start.ts"], ["quick_start.ts", "--nats"]]) {
    const { output } = await mustRun(node, args, { cwd, env });
    if (!output.includes(QUICK_START)) {
      throw new Error(`Node ${said}: \`${args.join(" ")}\` prints something else:\n${output}`);
    }
  }
  await mustRun(node, ["surface.ts"], { cwd, env });
  const { output } = await run(node, [
    ...[`node_modules/${PACKAGE}/cli/main.js`, "actors", "--namespace", "nowhere"],
  ], { cwd, env });
  if (!output.includes(NOWHERE)) {
    throw new Error(`Node ${said}: the command line prints something else:\n${output}`);
  }
  await runPages(node, cwd, await pagePrograms(), server.port);
  await mustRun(node, ["smoke.ts"], { cwd, env, signal: AbortSignal.timeout(180_000) });
  return `Node ${said}`;
}

/** A folder with an empty package of ES modules. */
export async function emptyPackage(folder: string): Promise<void> {
  await Deno.mkdir(folder);
  await Deno.writeTextFile(join(folder, "package.json"), `{ "private": true, "type": "module" }\n`);
}

/** Installs packages into a folder by npm. */
export async function npmInstall(folder: string, packages: readonly string[]): Promise<void> {
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  await mustRun("npm", ["install", ...quiet, ...packages], { cwd: folder });
}

/** The version constraint that `deno.json` puts on a package of `@nats-io`. */
function constraint(name: string): string {
  return constraintOf(`@nats-io/${name}`);
}

/** The version constraint that `deno.json` puts on a package. */
export function constraintOf(name: string): string {
  const specifier: string = IMPORTS[name] ?? "";
  const at = specifier.lastIndexOf("@");
  if (at <= 0) throw new Error(`Cannot find ${name} among the imports of deno.json`);
  return specifier.slice(at + 1);
}

const IMPORTS: Readonly<Record<string, string>> =
  JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json"))).imports;

async function filesBelow(folder: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) files.push(...await filesBelow(path));
    else files.push(path);
  }
  return files;
}
