import { join } from "node:path";
import { ROOT } from "../../tools/root.ts";

/** Source files, by their paths from the root. */
export type Sources = ReadonlyMap<string, string>;

/** Folders that are published, in the order in which they may import each other, last first. */
export const AREAS = ["store", "bus", "cluster"] as const;

/** An import of one file by another, or of a package. */
export interface Import {
  /** The file that imports, from the root. */
  readonly file: string;
  /** The imported file, from the root, or the name of a package. */
  readonly target: string;
}

/** The published TypeScript files. */
export async function publishedSources(): Promise<Sources> {
  const sources = new Map([["mod.ts", await Deno.readTextFile(join(ROOT, "mod.ts"))]]);
  for await (const path of everyFile()) {
    if (!/^(store|bus|cluster|adapters|inspector|testing)\/.*\.ts$/.test(path)) continue;
    if (path.startsWith("inspector/page/")) continue; // built into page.gen.ts
    sources.set(path, await Deno.readTextFile(join(ROOT, path)));
  }
  return sources;
}

/** The project's files, from the root, without what other tools keep there. */
export async function* everyFile(folder = ""): AsyncGenerator<string> {
  for await (const { name, isFile, isDirectory } of Deno.readDir(join(ROOT, folder))) {
    if (name.startsWith(".") || name === "node_modules" || name === "coverage") continue;
    const path = folder ? `${folder}/${name}` : name;
    if (isDirectory) yield* everyFile(path);
    if (isFile) yield path;
  }
}

/** Each import in `sources`, `import type` and `export ... from` among them. */
export function importsIn(sources: Sources): Import[] {
  return [...sources].flatMap(([file, source]) =>
    specifiersIn(source).map((specifier) => ({
      file,
      target: specifier.startsWith(".") ? resolved(file, specifier) : specifier,
    }))
  );
}

function resolved(file: string, specifier: string): string {
  return new URL(specifier, `file:///${file}`).pathname.slice(1);
}

/** The modules that a file imports, as the file names them. */
export function specifiersIn(source: string): string[] {
  const code = withoutComments(source);
  const clauses = code.matchAll(/\b(?:import|export)\b[^"'`;()]*?\bfrom\s*["']([^"']+)["']/g);
  const bare = code.matchAll(/\bimport\s*\(?\s*["']([^"']+)["']/g);
  return [...clauses, ...bare].map(([, specifier]) => specifier!);
}

/** A source without its comments. */
export function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}
