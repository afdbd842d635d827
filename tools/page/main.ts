/**
 * Builds the inspector's page into one module, `inspector/page.gen.ts`: `deno task page` writes it,
 * `--check` fails if it is not what the sources make.
 */
import process from "node:process";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";
import { ROOT } from "../root.ts";

/** The folder of the sources, and what they are built into. */
const [SOURCES, TARGET] = [join(ROOT, "inspector", "page"), join(ROOT, "inspector", "page.gen.ts")];

/** The packages in the page; their licences are kept in it. */
const PACKAGES = ["preact", "uplot"];

/** Lines of the bundle are about this long, so that git can tell what has changed. */
const LINE = 400;

/** Finds packages where Deno keeps them. */
const packages: esbuild.Plugin = {
  name: "packages",
  setup({ onResolve }) {
    onResolve({ filter: /^[a-z]/ }, ({ path, kind }) => {
      if (kind === "entry-point") return undefined;
      const [name = path, ...inside] = path.split("/");
      const file = path.endsWith(".css")
        ? join(folderOf(name), ...inside)
        : fileURLToPath(import.meta.resolve(path));
      return { path: file };
    });
  },
};

/** The folder of a package. */
function folderOf(name: string): string {
  let folder = dirname(fileURLToPath(import.meta.resolve(name)));
  while (!folder.replaceAll("\\", "/").split("/").at(-2)?.includes(name)) folder = dirname(folder);
  return folder;
}

async function bundled(entry: string): Promise<string> {
  const { outputFiles } = await esbuild.build({
    entryPoints: [join(SOURCES, entry)],
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    target: "es2022",
    charset: "utf8",
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "inline",
    lineLimit: LINE,
    plugins: [packages],
    logLevel: "error",
  });
  return outputFiles[0]!.text.trim();
}

/** The licence notices of what is in the page, in a comment. */
async function licences(): Promise<string> {
  const notices = await Promise.all(PACKAGES.map(async (name) => {
    const folder = folderOf(name);
    const { version, license } = JSON.parse(await Deno.readTextFile(join(folder, "package.json")));
    const text = await Deno.readTextFile(join(folder, "LICENSE"));
    return `${name} ${version} (${license})\n\n${text.trim()}`;
  }));
  return `/*! This page holds:\n\n${notices.join("\n\n")}\n*/\n`;
}

/** A source as a policy names it. */
function hashOf(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}

/** The text of the module. */
export async function pageModule(): Promise<string> {
  // By a variable: the types of Preact would bring those of the DOM into the check of everything else.
  for (const name of PACKAGES) await import(name);
  const [script, styles, notices, frame] = await Promise.all([
    bundled("main.tsx"),
    bundled("styles/page.css"),
    licences(),
    Deno.readTextFile(join(SOURCES, "page.html")),
  ]);
  await esbuild.stop();
  const code = notices + script;
  if (code.includes("</script") || styles.includes("</style")) {
    throw new Error("Cannot put the bundle into a page: it would end its own element");
  }
  const html = frame
    .replace(/<style>[^]*<\/style>/, () => `<style>${styles}</style>`)
    .replace(
      /<script type="module">[^]*<\/script>/,
      () => `<script type="module">${code}</script>`,
    );
  const csp = [
    "default-src 'none'",
    `script-src ${hashOf(code)}`,
    `style-src ${hashOf(styles)}`,
    "connect-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");
  const lines = html.split("\n").map((line) => `  ${JSON.stringify(line)},`);
  return `/**
 * The page, made by \`deno task page\` from inspector/page/: change it there.
 *
 * @module
 */

/** The page, and the policy that it is served with. */
export const page: { readonly html: string; readonly csp: string } = {
  html: [
${lines.map((line) => `  ${line}`).join("\n")}
  ].join("\\n"),
  csp: ${JSON.stringify(csp)},
};
`;
}

async function main(args: readonly string[]): Promise<void> {
  const fresh = await pageModule();
  if (args.includes("--check")) {
    if (await Deno.readTextFile(TARGET) === fresh) return;
    throw new Error("inspector/page.gen.ts is not what inspector/page/ makes: deno task page");
  }
  await Deno.writeTextFile(TARGET, fresh);
  const bytes = new TextEncoder().encode(fresh);
  const kilo = (length: number) => `${(length / 1_000).toFixed(1)} kB`;
  console.log(`inspector/page.gen.ts: ${kilo(bytes.length)}, ${kilo(gzipSync(bytes).length)} gzip`);
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
