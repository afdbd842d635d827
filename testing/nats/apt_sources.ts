/** Reads apt's package sources, in both of its formats: `.list` and `.sources` (deb822). */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** One mirror that apt uses. */
export interface Source {
  /** The mirror's address. */
  readonly uri: string;
  /**
   * The keys that apt trusts it by: key files, fingerprints, or a whole key; apt's own keys if
   * missing.
   */
  readonly signedBy?: string;
  /** apt's own words on whether to trust it unsigned. */
  readonly trusted?: string;
}

/** The mirrors of packages in apt's folder, each once, those that name Debian's main archive first. */
export async function readSources(folder = "/etc/apt"): Promise<Source[]> {
  const sources: Source[] = [...parseList(await textOf(join(folder, "sources.list")))];
  for (const name of await filesOf(join(folder, "sources.list.d"))) {
    const path = join(folder, "sources.list.d", name);
    if (name.endsWith(".list")) sources.push(...parseList(await textOf(path)));
    if (name.endsWith(".sources")) sources.push(...parseSources(await textOf(path)));
  }
  const byUri = new Map<string, Source>();
  for (const source of sources) if (!byUri.has(source.uri)) byUri.set(source.uri, source);
  const isMain = ({ uri }: Source) => /\/debian\/?$/.test(uri);
  return [...byUri.values()]
    .filter(({ uri }) => !/security/.test(uri)) // holds only fixes, for released suites
    .sort((a, b) => Number(isMain(b)) - Number(isMain(a)));
}

/** The text of a `.sources` file that names one suite of a mirror. */
export function sourceStanza({ uri, signedBy, trusted }: Source, suite: string): string {
  const fields = [`Types: deb`, `URIs: ${uri}`, `Suites: ${suite}`, `Components: main`];
  if (signedBy) fields.push(`Signed-By: ${signedBy}`);
  if (trusted) fields.push(`Trusted: ${trusted}`);
  return fields.join("\n") + "\n";
}

/** Reads one-line entries: `deb [signed-by=…] http://host/debian suite component…`. */
export function parseList(text: string): Source[] {
  const sources: Source[] = [];
  for (const line of text.split("\n")) {
    const [, options = "", uri] = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+\S/.exec(line) ?? [];
    if (!uri) continue;
    const named = new Map(
      options.trim().split(/\s+/).map((option) => {
        const at = option.indexOf("=");
        return [option.slice(0, at).toLowerCase(), option.slice(at + 1)] as const;
      }),
    );
    sources.push(source(uri, named.get("signed-by")?.replaceAll(",", " "), named.get("trusted")));
  }
  return sources;
}

/** Reads deb822 stanzas: `Field: value` lines, with continuation lines that begin with a space. */
export function parseSources(text: string): Source[] {
  const sources: Source[] = [];
  const withoutComments = text.split("\n").filter((line) => !line.startsWith("#")).join("\n");
  for (const stanza of withoutComments.split(/\n\s*\n/)) {
    const fields = new Map<string, string>();
    for (const [, name = "", value = ""] of stanza.matchAll(/^([\w-]+):(.*(?:\n[ \t].*)*)/gm)) {
      fields.set(name.toLowerCase(), value.trim());
    }
    if (fields.get("enabled")?.toLowerCase() === "no") continue;
    if (!fields.get("types")?.split(/\s+/).includes("deb")) continue;
    for (const uri of fields.get("uris")?.split(/\s+/) ?? []) {
      sources.push(source(uri, fields.get("signed-by"), fields.get("trusted")));
    }
  }
  return sources;
}

function source(uri: string, signedBy: string | undefined, trusted: string | undefined): Source {
  return { uri, ...(signedBy && { signedBy }), ...(trusted && { trusted }) };
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return ""; // not there, or not for us to read: then it names no mirror
  }
}

async function filesOf(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch {
    return [];
  }
}
