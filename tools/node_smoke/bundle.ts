/** Measures what bundlers keep of the package for a program that only makes an event. */
import { join } from "node:path";
import { mustRun } from "../command.ts";

/** The bundlers, as npm installs them. */
export const BUNDLERS = ["esbuild@^0.28.0", "rollup@^4.0.0"];

/** The most bytes that may be left of the package. */
const MOST = 4_000;

/**
 * The package's modules as JSR serves them. Vite's bundler shakes them by itself. esbuild keeps each
 * class with a member such as `[Symbol.asyncDispose]`, because JSR writes its name as a variable that
 * is assigned before the class, and JSR's `package.json` cannot say `sideEffects: false`: a plugin has
 * to. What is outside of the package is left out: NATS's packages on npm are CommonJS, unlike JSR's.
 */
const PROGRAM = `
import { build } from "esbuild";
import { rollup } from "rollup";
import { dirname, resolve } from "node:path";

const [name] = process.argv.slice(2);
const root = resolve("node_modules", name);
const code = \`import { createEvent } from "\${name}"; console.log(createEvent({}));\`;
const pure = {
  name: "pure",
  setup: ({ onResolve }) => onResolve({ filter: /^[.@]/ }, ({ path, importer }) => {
    if (path === name) return { path: resolve(root, "mod.js"), sideEffects: false };
    if (!path.startsWith(".")) return { path, external: true, sideEffects: false };
    return { path: resolve(dirname(importer), path), sideEffects: false };
  }),
};
const esbuilt = await build({
  stdin: { contents: code, resolveDir: "." },
  ...{ bundle: true, write: false, format: "esm", plugins: [pure] },
});
const rolled = await rollup({
  input: "program",
  external: (id) => /^@(jsr[/]nats|nats|opentelemetry)/.test(id),
  plugins: [{
    name: "find",
    resolveId: (id, from) => id === "program" ? id
      : id === name ? resolve(root, "mod.js")
      : id.startsWith(".") ? resolve(dirname(from), id) : null,
    load: (id) => id === "program" ? code : null,
  }],
});
const { output: [{ code: shaken }] } = await rolled.generate({ format: "esm" });
console.log(JSON.stringify({ esbuild: esbuilt.outputFiles[0].text.length, rollup: shaken.length }));
`;

/** Bundles a program in the folder `app`, where the package `name` is installed; gives the sizes. */
export async function checkBundle(node: string, app: string, name: string): Promise<string> {
  await Deno.writeTextFile(join(app, "bundle.mjs"), PROGRAM);
  const { stdout } = await mustRun(node, ["bundle.mjs", name], { cwd: app });
  const sizes = Object.entries<number>(JSON.parse(stdout));
  for (const [bundler, bytes] of sizes) {
    if (bytes <= MOST) continue;
    throw new Error(
      `Cannot keep bundles small: ${bundler} keeps ${bytes} bytes of the package for createEvent ` +
        `alone, over ${MOST}; find the module that does something when it is loaded`,
    );
  }
  return sizes.map(([bundler, bytes]) => `${bytes} bytes by ${bundler}`).join(", ");
}
