/** Reads the commands out of a Markdown page, and knows which of them the gate does not run itself. */

/** A command of a page. */
export interface Command {
  /** The command, without the `npx -y` that brings Deno. */
  readonly line: string;
  /** Its output, if a `text` block follows its block and it is the only command there. */
  readonly prints?: string;
}

/** Commands that the gate does not run, each for its reason. Any other one has to run. */
const SKIPPED: readonly (readonly [RegExp, string])[] = [
  [/^deno task test( |$)/, "the gate runs the tests itself"],
  [/^deno task ok( |$)/, "this is the gate"],
  [/^deno task bench(:\w+)?( |$)/, "takes minutes; the gate runs the benches once and short"],
  [/^deno task mutants( |$)/, "takes minutes; the gate's tests try two of them"],
  [/^deno task shop( |$)/, "runs until it is interrupted; its tests are in the gate"],
  [/^(bash )?\.ci\/run$/, "runs the gate"],
  [/^git clone /, "the reader has a clone, and so has the gate"],
  [/^cd [\w./-]+$/, "changes into the clone"],
  [/^deno task (dev|start)( #|$)/, "a new project's; a test makes one, and runs a server for it"],
  [/^deno add jsr:@flowmade-one\/aether\b/, "needs the published package"],
  [
    /^(npx|pnpm dlx|bunx|pnpm|yarn) (jsr )?add @flowmade-one\/aether\b/,
    "needs the published package",
  ],
  [/^deno run -A jsr:@flowmade-one\/aether\/cli( |$)/, "needs the published package"],
  [/^nats stream (backup|restore) /, "needs the `nats` command line; a test restores a backup"],
  [/^nats stream edit /, "needs the `nats` command line; a test does the same"],
  [/^npx jsr add @flowmade-one\/aether\b/, "needs the published package"],
  [/^(deno add|npm install|npm i) (npm:)?@nats-io\/[\w-]+$/, "the gate's Node smoke test does it"],
];

/** Whether the gate leaves a command out. */
export function isSkipped({ line }: Command): boolean {
  return SKIPPED.some(([pattern]) => pattern.test(line));
}

/** The commands in the `sh` blocks of a page, in order. */
export function commandsOf(markdown: string): Command[] {
  const commands: Command[] = [];
  const blocks = [...markdown.matchAll(/^```(\w*)[^\n]*\n(.*?)^```[ \t]*\n?/gms)];
  blocks.forEach(([block, language = "", body = ""], at) => {
    if (!["sh", "bash", "shell", "console"].includes(language)) return;
    const lines = body.replaceAll("\\\n", " ").split("\n")
      .map((line) => line.replace(/^\$ /, "").replace(/(^|\s)#.*$/, "").replace(/\s+/g, " ").trim())
      .filter(Boolean)
      .map((line) => line.replace(/^npx (-y|--yes) deno\b/, "deno"));
    const next = blocks[at + 1];
    const between = next && markdown.slice((blocks[at]?.index ?? 0) + block.length, next.index);
    const shows = next?.[1] === "text" && lines.length === 1 && !between?.includes("\n#");
    for (const line of lines) {
      commands.push({ line, ...(shows && { prints: (next[2] ?? "").trimEnd() }) });
    }
  });
  return commands;
}
