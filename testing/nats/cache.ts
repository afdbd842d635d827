/**
 * The user's cache folder and the one safe way to put something into it.
 *
 * Several tasks may run at the same time, so whatever is cached appears whole or not at all: it is made
 * beside its place and then renamed into it.
 */
import { chmod, mkdir, mkdtemp, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { homedir, tmpdir } from "node:os";
import process from "node:process";

/** The folder in which this project keeps data that can be made again. */
export function cacheFolder(): string {
  const env = process.env;
  if (env.XDG_CACHE_HOME) return join(env.XDG_CACHE_HOME, "aether");
  if (process.platform === "win32") return join(env.LOCALAPPDATA ?? tmpdir(), "aether", "cache");
  const home = env.HOME || homedir();
  if (!home) return join(tmpdir(), "aether");
  return join(home, process.platform === "darwin" ? "Library/Caches" : ".cache", "aether");
}

/** Whether a file or folder is there for us: not in a folder that we may not enter. */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Gives the folder `target`, made by `make` if it is not there yet.
 *
 * `make` fills an empty folder that is then renamed to `target`. Of several processes that make it at once
 * the first wins and the others take what it made.
 */
export async function folderOnce(
  target: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  if (await exists(target)) return target;
  await mkdir(dirname(target), { recursive: true });
  const draft = await mkdtemp(join(dirname(target), ".draft-"));
  try {
    await make(draft);
    await chmod(draft, 0o755).catch(() => {}); // Windows has no such thing
    try {
      await rename(draft, target);
    } catch (error) {
      if (!await exists(target)) throw error;
    }
  } finally {
    await rm(draft, { recursive: true, force: true }); // gone when it was renamed
  }
  return target;
}
