/** Reads the files that belong to the project, as git knows them. */
import { join } from "node:path";
import { mustRun } from "./command.ts";
import { ROOT } from "./root.ts";

/** Every file that is committed, or would be by `git add .`, with its text; one that is deleted has none. */
export async function projectFiles(): Promise<{ readonly file: string; readonly text: string }[]> {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const { stdout } = await mustRun("git", args);
  return await Promise.all(
    stdout.split("\0").filter(Boolean).map(async (file) => ({
      file,
      text: await Deno.readTextFile(join(ROOT, file)).catch(() => ""), // deleted, or no text
    })),
  );
}
