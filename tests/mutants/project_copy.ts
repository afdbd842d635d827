/**
 * A copy of the project to break: the checkout itself is never touched.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { ROOT } from "../../tools/root.ts";
import { type Mutant, mutated } from "./mutant.ts";

/** What tests need of the project. */
const PARTS = [
  "adapters",
  "bus",
  "cluster",
  "deno.json",
  "inspector",
  "mod.ts",
  "store",
  "testing",
  "tests",
  "tools",
] as const;

/** A copy in a temporary folder, removed on disposal. Dependencies are those of Deno's cache. */
export class ProjectCopy implements AsyncDisposable {
  /** Its folder. */
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Copies the project as it is on disk. */
  static async make(): Promise<ProjectCopy> {
    const folder = await Deno.makeTempDir({ prefix: "aether-mutants-" });
    try {
      for (const part of PARTS) await copy(join(ROOT, part), join(folder, part));
    } catch (error) {
      await Deno.remove(folder, { recursive: true });
      throw error;
    }
    return new ProjectCopy(folder);
  }

  /**
   * Puts mutants into the copy, takes them out after `use`, and gives what it gives.
   *
   * @throws {RangeError} A mutant does not apply to exactly one place.
   */
  async with<T>(mutants: readonly Mutant[], use: () => Promise<T>): Promise<T> {
    const before = new Map<string, string>();
    try {
      for (const mutant of mutants) {
        const path = join(this.folder, mutant.file);
        const text = await Deno.readTextFile(path);
        const after = mutated(text, mutant);
        if (!before.has(path)) before.set(path, text);
        await Deno.writeTextFile(path, after);
      }
      return await use();
    } finally {
      for (const [path, text] of before) await Deno.writeTextFile(path, text);
    }
  }

  /** Removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function copy(from: string, to: string): Promise<void> {
  if (!(await Deno.stat(from)).isDirectory) {
    await Deno.mkdir(dirname(to), { recursive: true });
    return await Deno.copyFile(from, to);
  }
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) await copy(join(from, name), join(to, name));
}
