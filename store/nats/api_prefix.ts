import { describe } from "../base/token.ts";

/** Where the JetStream is that holds a stream or a bucket, if the server's own is not meant. */
export interface JetStreamApiOptions {
  /**
   * The JetStream domain, as the servers' configuration names it: its API is at
   * `$JS.<domain>.API`. @default {the domain of the server that the connection is to}
   */
  readonly domain?: string;
  /**
   * The subject in front of the API, if an account imports it under another one; in place of
   * `domain`. @default {"$JS.API"}
   */
  readonly apiPrefix?: string;
}

/** The subject in front of the API of the server that the connection is to. */
export const OWN_API = "$JS.API";

/**
 * The subject in front of the API that `options` name.
 *
 * @throws {RangeError} Both are given, or one is no part of a subject.
 */
export function apiPrefixOf(options: JetStreamApiOptions, what = "the store"): string {
  const { domain, apiPrefix } = options;
  const fail = (reason: string): never => {
    throw new RangeError(`Cannot open ${what}: ${reason}`);
  };
  if (domain !== undefined && apiPrefix !== undefined) {
    fail("domain and apiPrefix are both given, and one of them says where the API is");
  }
  if (domain !== undefined) {
    if (!isSubject(domain) || domain.includes(".")) {
      fail(`domain is ${describe(domain)}, not one token of a subject`);
    }
    return `$JS.${domain}.API`;
  }
  if (apiPrefix === undefined) return OWN_API;
  if (!isSubject(apiPrefix)) fail(`apiPrefix is ${describe(apiPrefix)}, not a subject`);
  return apiPrefix;
}

/** Whether `value` is one exact subject: tokens between dots, without wildcards and blanks. */
function isSubject(value: unknown): boolean {
  return typeof value === "string" && value.length <= 256 &&
    value.split(".").every((token) => /^[!-~]+$/.test(token) && !/[*>]/.test(token));
}
