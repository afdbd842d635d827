/**
 * Runs the shop of `examples/shop` on Node, in a project of its own: the package as JSR serves it,
 * and the dependencies from npm. Its tests run under `node --test` on Node 22 and the newest one, and
 * under vitest; `tsc` checks its types.
 */
import { join } from "node:path";
import { mustRun, run } from "../command.ts";
import {
  constraintOf,
  emptyPackage,
  installNode,
  NODES,
  npmInstall,
  pack,
  TYPESCRIPT,
} from "../node_smoke.ts";
import { ROOT } from "../root.ts";
import { trySmallShop } from "./small.ts";

/** What the shop needs beside the package. */
const DEPENDENCIES = [
  "@hono/node-server",
  "@nats-io/transport-node",
  "@opentelemetry/api",
  "fastify",
  "hono",
];

/** What its tests and its types need. */
const TOOLS = ["vitest@^5", TYPESCRIPT, "@types/node@^22"];

const TEST = "shop.test.ts";

/** The shop in one file. */
const SMALL = "small_shop.ts";

/** Makes the project in `work`; gives its folder. */
export async function installShop(work: string): Promise<string> {
  const folder = join(work, "shop");
  await emptyPackage(folder);
  await pack(work);
  const twins = ["nats-core", "jetstream", "kv"].map((name) =>
    `@jsr/nats-io__${name}@npm:@nats-io/${name}@${constraintOf(`@nats-io/${name}`)}`
  );
  const packages = DEPENDENCIES.map((name) => `${name}@${constraintOf(name)}`);
  const aether = "@flowmade-one/aether@file:../package.tgz";
  await npmInstall(folder, [aether, ...twins, ...packages, ...TOOLS]);
  for await (const { name } of Deno.readDir(join(ROOT, "examples", "shop"))) {
    if (!name.endsWith(".ts")) continue;
    await Deno.copyFile(join(ROOT, "examples", "shop", name), join(folder, name));
  }
  await Deno.copyFile(join(ROOT, "examples", SMALL), join(folder, SMALL));
  return folder;
}

/** Runs the tests of the shop on Node; gives what they ran on. */
export async function nodeShop(): Promise<string> {
  const work = await Deno.makeTempDir({ prefix: "aether-shop-" });
  try {
    const [cwd, ...nodes] = await Promise.all([
      installShop(work),
      ...NODES.map((version) => installNode(version, work)),
    ]);
    const versions: string[] = [];
    for (const node of nodes) {
      const version = (await mustRun(node, ["--version"])).stdout.trim();
      await mustRun(node, ["--test", TEST], { cwd });
      await trySmallShop(node, [SMALL], cwd);
      versions.push(`Node ${version}`);
    }
    await tryTemplate(nodes[0]!, work, cwd);
    const vitest = join("node_modules", "vitest", "vitest.mjs");
    await mustRun(nodes.at(-1)!, [vitest, "run", "--testTimeout=120000", TEST], { cwd });
    await checkTypes(cwd);
    return [...versions, "vitest"].join(", ");
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

/** Makes a new project by the command line, with the packages of the shop, and runs its tests. */
async function tryTemplate(node: string, work: string, shop: string): Promise<void> {
  const cwd = join(work, "template");
  const packages = join(shop, "node_modules");
  const cli = join(packages, "@flowmade-one", "aether", "cli", "main.js");
  await mustRun(node, [cli, "new", cwd], { cwd: shop });
  await Deno.symlink(packages, join(cwd, "node_modules"));
  await mustRun(node, ["--test"], { cwd });
  const tsc = join("node_modules", "typescript", "bin", "tsc");
  const { success, output } = await run(node, [tsc], { cwd });
  if (!success) throw new Error(`tsc finds errors in a new project:\n${output}`);
}

/** Throws if `tsc` finds a fault in the shop's own files. */
async function checkTypes(cwd: string): Promise<void> {
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: "nodenext",
    target: "es2022",
    lib: ["es2024", "esnext.disposable"],
    types: ["node"],
    noEmit: true,
    allowImportingTsExtensions: true,
    erasableSyntaxOnly: true, // Node takes the types away, and nothing else
    skipLibCheck: true,
  };
  const config = { compilerOptions, include: ["*.ts"] };
  await Deno.writeTextFile(join(cwd, "tsconfig.json"), JSON.stringify(config));
  const { success, output } = await run("npx", ["--no-install", "tsc", "--project", "."], { cwd });
  if (!success) throw new Error(`tsc finds errors in the shop:\n${output}`);
}
