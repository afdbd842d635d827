/** Rules for the Markdown pages of the project: each gives what breaks it, so that a test can show both. */

/** The pages that readers come by, of those that exist; `docs/` with all that is in it. */
export async function pages(root: URL): Promise<string[]> {
  const found: string[] = [];
  for (const page of ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]) found.push(page);
  for (const page of ["store/README.md", "cluster/README.md"]) {
    if (await isThere(new URL(page, root))) found.push(page);
  }
  const folders = ["docs/"];
  for (const folder of folders) {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      if (isDirectory) folders.push(`${folder}${name}/`);
      else if (name.endsWith(".md")) found.push(folder + name);
    }
  }
  return found.sort();
}

/** The cells of tables that have more than `limit` characters. */
export function longCells(markdown: string, limit: number): string[] {
  return prose(markdown).split("\n")
    .filter((line) => /^\s*\|.*\|\s*$/.test(line))
    .flatMap((line) => line.trim().slice(1, -1).split(/(?<!\\)\|/).map((cell) => cell.trim()))
    .filter((cell) => cell.length > limit);
}

/** The links of a page within the project that lead to no file, or to no heading of one. */
export async function brokenLinks(page: string, root: URL): Promise<string[]> {
  const here = new URL(page, root);
  const text = prose(await Deno.readTextFile(here));
  const broken: string[] = [];
  for (const [, link = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z][a-z+.-]*:/i.test(link)) continue;
    const target = new URL(link, here);
    const anchor = decodeURIComponent(target.hash.slice(1));
    target.hash = "";
    if (!await isThere(target)) broken.push(link);
    else if (anchor && !anchors(await Deno.readTextFile(target)).has(anchor)) broken.push(link);
  }
  return broken;
}

/** The anchors that GitHub and JSR give to the headings of a page. */
export function anchors(markdown: string): Set<string> {
  const found = new Set<string>();
  for (const [, heading = ""] of prose(markdown).matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const slug = heading.replace(/\]\([^)]*\)/g, "").toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-");
    let anchor = slug;
    for (let again = 1; found.has(anchor); again++) anchor = `${slug}-${again}`;
    found.add(anchor);
  }
  return found;
}

/** A page without its blocks of code. */
function prose(markdown: string): string {
  return markdown.replace(/^```.*?^```[ \t]*$/gms, "");
}

async function isThere(url: URL): Promise<boolean> {
  return await Deno.stat(url).then(() => true, () => false);
}
