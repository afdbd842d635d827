/** The official nats-server release, downloaded from GitHub and checked against known sums. */
import { createHash } from "node:crypto";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { folderOnce } from "./cache.ts";
import { ARCH, runProgram } from "./program.ts";

/** The release that is downloaded. */
export const RELEASE = "v2.14.5";

/**
 * SHA-256 of the release's archives, as the official Docker images (github.com/nats-io/nats-docker) and
 * Hermit's package list (github.com/cashapp/hermit-packages) pin them.
 */
const SUMS: Readonly<Record<string, string>> = {
  "darwin-amd64.tar.gz": "f95c98d6b6ed2b63c5681b46b092c9585c99767d547cf495730c329234625e96",
  "darwin-arm64.tar.gz": "ddd907854d9a2de834af133fa396915fe6442fe6d8909ae31390d1ea7a0fea50",
  "linux-amd64.tar.gz": "5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355",
  "linux-arm64.tar.gz": "673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c",
  "windows-amd64.zip": "f66f840a211ab665083b88e9b7edbcf6296cda143be47e53e6f6bb8520692bbb",
};

/** How long GitHub may take to answer at all, so that a closed network costs little. */
const ANSWER_WITHIN = 4_000;
/** How long the whole download may take. */
const DONE_WITHIN = 180_000;

/** The address of the releases. A test puts a server of its own here. */
export const RELEASES = "https://github.com/nats-io/nats-server/releases/download";

/** Options for {@linkcode fromRelease}. */
export interface ReleaseOptions {
  /** The address of the releases. @default {RELEASES} */
  readonly releases?: string;
  /** The known sums by the end of the archive's name. */
  readonly sums?: Readonly<Record<string, string>>;
}

/** Downloads a release into `folder`, so that it holds `program`. */
export async function fromRelease(
  release: string,
  folder: string,
  program: string,
  { releases = RELEASES, sums = SUMS }: ReleaseOptions = {},
): Promise<void> {
  const arch = ARCH === "aarch64" ? "arm64" : "amd64";
  const system = process.platform === "win32" ? "windows" : process.platform;
  const kind = `${system}-${arch}.${system === "windows" ? "zip" : "tar.gz"}`;
  const sum = sums[kind];
  if (release !== RELEASE || !sum) {
    throw new Error(
      `Cannot download nats-server ${release} for ${kind}: its checksum is not known`,
    );
  }
  const name = `nats-server-${release}-${kind}`;
  const archive = await download(`${releases}/${release}/${name}`);
  const actual = createHash("sha256").update(archive).digest("hex");
  if (actual !== sum) {
    throw new Error(`Cannot trust ${name}: its SHA-256 is ${actual}, not the pinned ${sum}`);
  }
  await folderOnce(folder, async (draft) => {
    await writeFile(join(draft, name), archive);
    // Every system that Deno or Node runs on has a `tar`; the one of Windows unpacks zip files too.
    const { success, stderr } = await runProgram("tar", ["-xf", name], { cwd: draft });
    if (!success) throw new Error(`Cannot unpack ${name}: ${stderr.trim()}`);
    const inner = join(draft, `nats-server-${release}-${kind}`.replace(/\.(zip|tar\.gz)$/, ""));
    await rename(join(inner, program), join(draft, program));
    await rm(inner, { recursive: true });
    await rm(join(draft, name));
  });
}

async function download(url: string): Promise<Uint8Array> {
  const unanswered = new AbortController();
  const timer = setTimeout(
    () => unanswered.abort(new Error(`no answer within ${ANSWER_WITHIN} ms`)),
    ANSWER_WITHIN,
  );
  try {
    const signal = AbortSignal.any([unanswered.signal, AbortSignal.timeout(DONE_WITHIN)]);
    const answer = await fetch(url, { signal });
    clearTimeout(timer);
    if (!answer.ok) {
      await answer.body?.cancel();
      throw new Error(`the answer is ${answer.status}`);
    }
    console.error(`Downloading ${url}`);
    return new Uint8Array(await answer.arrayBuffer());
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot download ${url}: ${reason}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}
