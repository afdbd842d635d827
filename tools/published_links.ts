/**
 * Makes the links of the published pages absolute, in place: JSR publishes no `docs/`, to which they
 * lead. The workflow that publishes runs it with the repository and the commit.
 */
import { join, normalize } from "node:path";
import process from "node:process";
import { ROOT } from "./root.ts";

/** The pages that are published. */
export const PAGES = [
  "README.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "cluster/README.md",
  "store/README.md",
] as const;

/** The page at `path` with absolute links into `repository` (`owner/name`) at `commit`. */
export function withAbsoluteLinks(
  markdown: string,
  path: string,
  repository: string,
  commit: string,
): string {
  const blocks = /(^```.*?^```[ \t]*$)/gms;
  const absolute = (all: string, bang: string, text: string, link: string): string => {
    if (/^([a-z][a-z+.-]*:|#)/i.test(link)) return all;
    const target = normalize(join(path, "..", link)).replaceAll("\\", "/");
    const base = bang === "!"
      ? `https://raw.githubusercontent.com/${repository}/${commit}`
      : `https://github.com/${repository}/blob/${commit}`;
    return `${bang}[${text}](${base}/${target})`;
  };
  return markdown.split(blocks).map((part) =>
    part.startsWith("```") ? part : part.replaceAll(/(!?)\[([^\]]*)\]\(([^)\s]+)\)/g, absolute)
  ).join("");
}

if (import.meta.main) {
  const [repository = "", commit = ""] = Deno.args;
  if (!/^[\w.-]+\/[\w.-]+$/.test(repository) || !/^[\w.-]+$/.test(commit)) {
    console.error("Cannot make the links absolute: give the repository, owner/name, and a commit");
    process.exit(1);
  }
  for (const page of PAGES) {
    const path = join(ROOT, page);
    const text = await Deno.readTextFile(path);
    await Deno.writeTextFile(path, withAbsoluteLinks(text, page, repository, commit));
  }
}
