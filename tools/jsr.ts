/** Decides which JSR registry this run uses: the real one if it is in reach, else the twin. */
import { pathToFileURL } from "node:url";
import { twinRegistry } from "./twin.ts";

/** The official registry. */
export const JSR = "https://jsr.io/";

/** Options for {@linkcode jsrUrl}. */
export interface JsrUrlOptions {
  /** The registry that is used if it answers. @default {"https://jsr.io/"} */
  readonly official?: string;
  /** How long the answer may take, in ms. @default {2500} */
  readonly timeout?: number;
  /** The user's own setting, empty for none. @default {Deno.env.get("JSR_URL")} */
  readonly given?: string;
}

/** Whether a JSR registry answers at `url` in time, in JSR's own form. */
export async function inReach(url: string, timeout = 2_500): Promise<boolean> {
  try {
    const answer = await fetch(new URL("@nats-io/nats-core/meta.json", url), {
      signal: AbortSignal.timeout(timeout),
      headers: { accept: "application/json" }, // JSR serves its web pages to clients that want HTML
    });
    const meta = await answer.json(); // a captive portal says "200 OK" as well, but not in JSON
    return answer.ok && typeof meta?.versions === "object";
  } catch {
    return false;
  }
}

/**
 * The value of `JSR_URL` for Deno: `undefined` (leave it) if it is set already or the official
 * registry answers, else the address of the twin registry, which is made if it is not there yet.
 */
export async function jsrUrl(
  { official = JSR, timeout = 2_500, given = Deno.env.get("JSR_URL") }: JsrUrlOptions = {},
): Promise<string | undefined> {
  if (given) return undefined;
  if (await inReach(official, timeout)) return undefined;
  return pathToFileURL(await twinRegistry()).href + "/";
}
