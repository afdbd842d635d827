import { given } from "../../store/base/given.ts";
import { tokenProblem } from "../../store/base/token.ts";
import { RequestError, shown } from "./request_error.ts";

/** A request, or anything that has its headers. */
export interface RequestHeaders {
  /** The headers. */
  readonly headers: Headers;
}

/**
 * The `ETag` of an actor at `version`: the version in quotes.
 *
 * @throws {RangeError} It is no version.
 */
export function etag(version: number): string {
  if (!Number.isSafeInteger(version) || version < 0) {
    throw new RangeError(`Cannot make an ETag of version ${version}: it is not 0 or more`);
  }
  return `"${version}"`;
}

/**
 * The version that the client has seen, for `expectedVersion` of `execute()`: of `If-Match`, an
 * {@linkcode etag} that it was given; 0 of `If-None-Match: *`, which asks for an actor that does
 * not exist yet; `undefined` without either.
 *
 * @throws {RequestError} A header names no single version: a weak tag, several tags, `*`, anything
 * else.
 */
export function expectedVersion(request: RequestHeaders): number | undefined {
  const { headers } = needRequest(request, "read the expected version");
  const match = headers.get("if-match");
  const noneMatch = headers.get("if-none-match");
  if (match !== null && noneMatch !== null) {
    throw new RequestError("If-Match", "If-None-Match is there too; send one of them");
  }
  if (match !== null) return versionIn(match.trim());
  if (noneMatch === null) return undefined;
  if (noneMatch.trim() === "*") return 0;
  throw new RequestError(
    "If-None-Match",
    `it is ${shown(noneMatch)}; a command takes * alone, for what must not exist yet`,
  );
}

function versionIn(tag: string): number {
  const example = 'send the ETag that you were given, such as "7"';
  const refused = (reason: string) => new RequestError("If-Match", `${reason}; ${example}`);
  if (tag === "*") throw refused("it is *, which names no version");
  if (/^W\//i.test(tag)) throw refused(`${shown(tag)} is a weak tag, which names no version`);
  const [, digits] = /^"(0|[1-9]\d{0,15})"$/.exec(tag) ?? [];
  const version = Number(digits);
  if (digits === undefined && tag.includes(",")) throw refused("it has several tags");
  if (!Number.isSafeInteger(version)) throw refused(`${shown(tag)} is no version in quotes`);
  return version;
}

/** Options for {@linkcode commandId}. */
export interface CommandIdOptions {
  /**
   * Whose key it is, such as the id of the user: the same key of another scope is another command.
   *
   * @default {one scope for all}
   */
  readonly scope?: string;
}

/**
 * The `commandId` for `execute()` and `send()`: of `Idempotency-Key`, in quotes or without;
 * `undefined` if there is none.
 *
 * @throws {RequestError} It cannot be an id: empty, too long (200 bytes with the scope), several
 * keys, or characters that a key or the scope cannot have.
 */
export function commandId(
  request: RequestHeaders,
  { scope }: CommandIdOptions = {},
): string | undefined {
  const { headers } = needRequest(request, "read the command's id");
  const name = "Idempotency-Key";
  const header = headers.get(name)?.trim();
  if (header === undefined) return undefined;
  const [, quoted] = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(header) ?? [];
  const key = quoted?.replace(/\\(.)/g, "$1") ?? header;
  if (quoted === undefined && !/^[\w.~:+/=@!-]*$/.test(header)) {
    throw new RequestError(name, `${shown(header)} is not one key, in quotes or of plain letters`);
  }
  if (key === "") throw new RequestError(name, "it is empty");
  if (scope?.isWellFormed() === false) {
    throw new RequestError(name, "its scope has a lone surrogate, which UTF-8 cannot carry");
  }
  const id = scope === undefined ? key : `${encodeURIComponent(scope)}/${key}`;
  const problem = tokenProblem(id);
  if (problem !== undefined) throw new RequestError(name, `it ${problem}`);
  return id;
}

/** The request, if it is one of Fetch: a framework's own, such as a context of Hono's, has it within. */
export function needRequest<Given extends RequestHeaders>(request: Given, what: string): Given {
  const kind = "a Request of Fetch; a framework has it as `req.raw` or the like";
  if (typeof Object(request).headers?.get === "function") return request;
  throw new TypeError(`Cannot ${what}: request is ${given(request)}, not ${kind}`);
}
