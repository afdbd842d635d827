/** Finds names in the project that mean something on this machine only: its mirrors and its folders. */
import { readSources } from "./apt_sources.ts";
import { run } from "./command.ts";
import { projectFiles } from "./project_files.ts";
import { ROOT } from "./root.ts";

/** Hosts that everybody knows; a project may name them. */
const PUBLIC = /(^|\.)(debian\.org|npmjs\.(org|com)|jsr\.io|github\.com|ubuntu\.com)$|^localhost$/;

/** Throws if a file of the project names a package mirror or a path of this machine. */
export async function privateNames(): Promise<string> {
  const names = new Set<string>();
  for (const { uri } of await readSources()) addHost(names, uri);
  const npm = Deno.env.get("NPM_CONFIG_REGISTRY") ??
    (await run("npm", ["config", "get", "registry"])).stdout;
  addHost(names, npm.trim());
  if (ROOT.split(/[/\\]/).length > 2) names.add(ROOT);

  const found: string[] = [];
  const files = await projectFiles();
  for (const { file, text } of files) {
    for (const name of names) {
      if (text.includes(name)) found.push(`${file} names ${name}, which others cannot reach`);
    }
  }
  if (found.length > 0) throw new Error(found.join("\n"));
  return `${files.length} files`;
}

function addHost(names: Set<string>, uri: string): void {
  if (!URL.canParse(uri)) return;
  const { hostname } = new URL(uri);
  if (hostname.includes(".") && !PUBLIC.test(hostname)) names.add(hostname);
}
