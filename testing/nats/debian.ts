/**
 * Debian's nats-server from any of its suites, unpacked into a folder: nothing is installed, no root is
 * needed, and the machine's own package lists stay as they are.
 */
import { chmod, copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readSources, type Source, sourceStanza } from "./apt_sources.ts";
import { folderOnce } from "./cache.ts";
import { isNotFound, type ProgramResult, runProgram } from "./program.ts";

/** Downloads the package of `suite` from the machine's own mirrors into `folder`, as `program`. */
export async function fromDebian(suite: string, folder: string, program: string): Promise<void> {
  const sources = await readSources();
  if (sources.length === 0) {
    throw new Error("Cannot use Debian's package: this machine has no apt sources");
  }
  await folderOnce(folder, async (draft) => {
    const reasons: string[] = [];
    for (const source of sources) {
      const work = await mkdtemp(join(tmpdir(), "aether-apt-"));
      try {
        await unpack(source, suite, work, join(draft, program));
        return;
      } catch (error) {
        reasons.push(error instanceof Error ? error.message : String(error));
      } finally {
        await rm(work, { recursive: true });
      }
    }
    throw new Error(`Cannot get Debian's package of ${suite}: ${[...new Set(reasons)].join("; ")}`);
  });
}

async function unpack(source: Source, suite: string, work: string, target: string): Promise<void> {
  for (const folder of ["parts", "lists/partial", "cache/archives/partial", "state", "root"]) {
    await mkdir(join(work, folder), { recursive: true });
  }
  await writeFile(join(work, "parts", "debian.sources"), sourceStanza(source, suite));
  await writeFile(join(work, "state", "status"), ""); // as if nothing were installed
  const options = [
    ["Dir::Etc::SourceList", "/dev/null"],
    ["Dir::Etc::SourceParts", join(work, "parts")],
    ["Dir::State", join(work, "state")],
    ["Dir::State::status", join(work, "state", "status")],
    ["Dir::State::Lists", join(work, "lists")],
    ["Dir::Cache", join(work, "cache")],
    ["APT::Sandbox::User", ""], // root would hand over to `_apt`, which cannot enter our folder
    ["Acquire::Languages", "none"],
    ["Acquire::Retries", "1"],
    ["Acquire::http::Timeout", "10"],
    ["Acquire::https::Timeout", "10"],
  ].flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  console.error(`Fetching nats-server from Debian ${suite}`);
  await run("apt-get", ["-qq", ...options, "-o", "APT::Update::Error-Mode=any", "update"], work);
  await run("apt-get", ["-qq", ...options, "download", "nats-server"], work);
  let unpacked = false;
  for (const name of await readdir(work)) {
    if (!name.endsWith(".deb")) continue;
    await run("dpkg", ["-x", name, join(work, "root")], work);
    unpacked = true;
  }
  if (!unpacked) throw new Error("apt-get downloaded nothing");
  for (const place of ["usr/sbin", "usr/bin"]) {
    try {
      await copyFile(join(work, "root", place, "nats-server"), target);
      await chmod(target, 0o755);
      return;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  throw new Error("the package holds no nats-server program");
}

async function run(program: string, args: readonly string[], cwd: string): Promise<void> {
  let output: ProgramResult;
  try {
    const env = { LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
    output = await runProgram(program, args, { cwd, env });
  } catch (error) {
    if (isNotFound(error)) throw new Error(`there is no ${program} here`);
    throw error;
  }
  if (!output.success) {
    const said = output.stderr.trim().split("\n").slice(-3).join(" / ");
    throw new Error(`${program} failed: ${said}`);
  }
}
