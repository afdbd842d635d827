/** Shows that the sanitizers of `deno.json` are on: a test that leaks a timer has to fail. */
import { join } from "node:path";
import { run } from "./command.ts";
import { ROOT } from "./root.ts";

/** Throws unless a leaking test fails for its leak. */
export async function sanitizerControl(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "aether-control-" });
  try {
    const test = join(folder, "leak_test.ts");
    await Deno.writeTextFile(
      test,
      `Deno.test("leaks", () => void setTimeout(() => {}, 60_000));\n`,
    );
    const config = join(ROOT, "deno.json");
    const { success, output } = await run(Deno.execPath(), ["test", "--config", config, test], {
      cwd: folder,
    });
    if (success || !/leak|timer was started/i.test(output.replace("leak_test.ts", ""))) {
      throw new Error(
        `Cannot trust the tests: one that leaks a timer ${
          success ? "passes" : "fails otherwise"
        }; ` +
          `deno.json has to turn the sanitizers on. Its output:\n${output}`,
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
