/** Finds a nats-server that is new enough, or brings one here. */
import { delimiter, join } from "node:path";
import process from "node:process";
import { cacheFolder, exists } from "./cache.ts";
import { fromDebian } from "./debian.ts";
import { ARCH, runProgram } from "./program.ts";
import { fromRelease, RELEASE } from "./release.ts";

/** The oldest nats-server that the stores accept. */
export const OLDEST = "2.12.0";

/** Debian's suites that carry a server that is new enough, the calmer one first. */
const SUITES = ["forky", "sid"];

const PROGRAM = process.platform === "win32" ? "nats-server.exe" : "nats-server";

const ENVIRONMENT = { get: (name: string) => process.env[name] };

/** Options for {@linkcode findNatsServer}. */
export interface FindOptions {
  /** Whether one may be brought from the network if none is here. @default {true} */
  readonly fetch?: boolean;
  /** The version that is wanted, or its beginning: `"2.14"`. @default {any that is new enough} */
  readonly version?: string | undefined;
  /** Stands in for the environment's `NATS_SERVER` and `PATH`. */
  readonly env?: { readonly get: (name: string) => string | undefined };
}

/** The version a nats-server says it has, `undefined` if it does not run. */
export async function serverVersion(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await runProgram(path, ["--version"]);
    return /v(\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

/**
 * Gives the path of a nats-server of version 2.12 or newer: the first of `$NATS_SERVER`, one on the PATH, the
 * cache's, the official release, and Debian's package. Throws an error that names all these ways.
 */
export async function findNatsServer(
  { fetch = true, version: wanted, env = ENVIRONMENT }: FindOptions = {},
): Promise<string> {
  const tried: string[] = [];
  const isUsable = async (path: string): Promise<boolean> => {
    const version = await serverVersion(path);
    const isWanted = wanted === undefined || `${version}.`.startsWith(`${wanted}.`);
    if (version && isWanted && atLeast(version, OLDEST)) return true;
    tried.push(`${path}: ${version ? `is ${version}` : "does not run"}`);
    return false;
  };

  const named = env.get("NATS_SERVER");
  if (named && await isUsable(named)) return named;
  if (named && wanted === undefined) { // the user's own is used or refused, never passed over
    throw new Error(`Cannot use NATS_SERVER: ${tried[0]}, and ${OLDEST} or newer is needed`);
  }
  for (const folder of (env.get("PATH") ?? "").split(delimiter)) {
    const path = join(folder, PROGRAM);
    if (folder && await exists(path) && await isUsable(path)) return path;
  }
  const sources = [RELEASE, ...SUITES];
  for (const source of sources) {
    const path = cached(source);
    if (await exists(path) && await isUsable(path)) return path;
  }
  if (fetch) {
    for (const source of sources) {
      try {
        const path = await fetchNatsServer(source);
        if (await isUsable(path)) return path;
      } catch (error) {
        tried.push(`${source}: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  throw new Error(
    [
      `Cannot find a nats-server ${wanted ?? `${OLDEST} or newer`}. Any one of these helps:`,
      `  - set NATS_SERVER to the path of one`,
      `  - put one on the PATH (https://docs.nats.io/running-a-nats-service/introduction/installation)`,
      `  - let github.com be reached: release ${RELEASE} is then downloaded`,
      `  - on Debian, let apt reach its mirror: the package of ${
        SUITES.join(" or ")
      } is then unpacked`,
      `Tried${fetch ? "" : ", without the network"}:`,
      ...(tried.length ? tried.map((line) => `  - ${line}`) : ["  - nothing was there"]),
    ].join("\n"),
  );
}

/**
 * Brings a nats-server into the cache, if it is not there yet, and gives its path. The source is a release
 * (`"v2.14.5"`, the one whose checksums are known) or a suite of Debian (`"forky"`; `"trixie"` has a 2.10
 * that is too old for the stores, as some tests want it).
 */
export async function fetchNatsServer(source: string): Promise<string> {
  const path = cached(source);
  if (await exists(path)) return path;
  const folder = cachedFolder(source);
  if (/^v\d/.test(source)) await fromRelease(source, folder, PROGRAM);
  else await fromDebian(source, folder, PROGRAM);
  return path;
}

function cachedFolder(source: string): string {
  const name = /^v\d/.test(source) ? source : `debian-${source}`;
  return join(cacheFolder(), "nats-server", `${name}-${ARCH}`);
}

function cached(source: string): string {
  return join(cachedFolder(source), PROGRAM);
}

function atLeast(version: string, oldest: string): boolean {
  const [a, b] = [version, oldest].map((text) => text.split(/[.-]/).map(Number));
  for (let place = 0; place < 3; place++) {
    const difference = (a?.[place] ?? 0) - (b?.[place] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
