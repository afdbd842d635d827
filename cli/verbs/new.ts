import { mkdir, readdir, writeFile } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import process from "node:process";
import { templateFiles } from "../template/files.ts";
import { UsageError, type Verb } from "../verb.ts";

/** The names that a project may have: those of a package of npm, and of a namespace. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,99}$/;

/** `aether new`. */
export const newVerb: Verb = {
  usage: "FOLDER",
  summary: "Writes a small project: a decider, a projection, tests, a compose file",
  details:
    "FOLDER is made, or is empty. Its name becomes that of the project. Without --deno or --node " +
    "the project is for the runtime that runs this.",
  words: [1, 1],
  options: {
    deno: { type: "boolean", description: "For Deno: deno.json" },
    node: { type: "boolean", description: "For Node 22.18 and newer: package.json" },
  },
  examples: ["aether new shop", "aether new shop --node"],
  async run({ words: [given = ""], values, output }) {
    if (values.deno && values.node) {
      throw new UsageError("aether new takes --deno or --node, not both");
    }
    const isNode = values.node === true || (values.deno !== true && !("deno" in process.versions));
    const folder = resolve(given);
    const name = basename(folder).toLowerCase();
    if (!NAME.test(name)) {
      throw new UsageError(
        `Cannot name a project "${name}": a name has letters, digits, - and _, and begins with no sign`,
      );
    }
    await mkdir(folder, { recursive: true });
    const there = await readdir(folder);
    if (there.length > 0) {
      throw new Error(`Cannot write into ${folder}: it is not empty, it has ${there[0]}`);
    }
    const files = Object.entries(templateFiles(name, isNode ? "node" : "deno"));
    for (const [path, text] of files) await writeFile(join(folder, path), text, { flag: "wx" });
    const steps = isNode ? ["npm install", "npm test"] : ["deno task test"];
    const paths = files.map(([path]) => path);
    output.item(`${folder} has ${paths.length} files: ${paths.join(", ")}`, {
      folder,
      files: paths,
    });
    for (const step of [`cd ${relative(".", folder) || "."}`, ...steps]) output.line(`  ${step}`);
    return 0;
  },
};
