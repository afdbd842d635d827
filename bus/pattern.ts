import { describe, encodeToken, tokenProblem } from "../store/base/token.ts";

/** Bytes of an encoded namespace, so that no subject is longer than 512 bytes. */
const MAX_NAMESPACE_BYTES = 96;
/** How many namespaces are remembered; most programs have a few. */
const MAX_REMEMBERED = 1000;

/** A namespace that was checked. */
export interface Namespace {
  /** As it was given. */
  readonly name: string;
  /** Its tokens, not encoded. */
  readonly tokens: readonly string[];
  /** Its tokens, encoded and joined by dots. */
  readonly subject: string;
}

/** Matches any one token. */
export const ANY: unique symbol = Symbol("*");
/** As a pattern's last token, matches one token or more. */
export const REST: unique symbol = Symbol(">");

/** A pattern's tokens, not encoded: a string matches itself and nothing else. */
export type PatternToken = string | typeof ANY | typeof REST;

const remembered = new Map<string, Namespace>();

/**
 * Checks a namespace. `*` and `>` are letters in it.
 *
 * @throws {TypeError} It is not a string.
 * @throws {RangeError} A token is empty or not well-formed, or it is too long.
 */
export function parseNamespace(name: string): Namespace {
  const known = remembered.get(name);
  if (known !== undefined) return known;
  const tokens = split("namespace", name);
  const namespace = { name, tokens, subject: tokens.map(encodeToken).join(".") };
  if (remembered.size >= MAX_REMEMBERED) remembered.clear();
  remembered.set(name, namespace);
  return namespace;
}

/**
 * Checks a pattern and finds its wildcards; `exact` finds none.
 *
 * @throws {TypeError} It is not a string.
 * @throws {RangeError} As for a namespace; or `>` is not the last token.
 */
export function parsePattern(pattern: string, exact: boolean): PatternToken[] {
  const tokens = split("pattern", pattern);
  if (exact) return tokens;
  return tokens.map((token, at) => {
    if (token === "*") return ANY;
    if (token !== ">") return token;
    if (at < tokens.length - 1) {
      throw new RangeError(`Cannot use pattern ${describe(pattern)}: ">" is not its last token`);
    }
    return REST;
  });
}

function split(what: string, text: string): string[] {
  if (typeof text !== "string") {
    throw new TypeError(`Cannot use ${describe(text)} as a ${what}: a string is needed`);
  }
  const tokens = text.split(".");
  let length = tokens.length - 1;
  for (const token of tokens) {
    const problem = tokenProblem(token);
    if (problem !== undefined) {
      throw new RangeError(`Cannot use ${what} ${describe(text)}: a token ${problem}`);
    }
    length += encodeToken(token).length;
  }
  if (length > MAX_NAMESPACE_BYTES) {
    throw new RangeError(
      `Cannot use ${what} ${describe(text)}: it takes ${length} bytes when encoded, ` +
        `and ${MAX_NAMESPACE_BYTES} fit`,
    );
  }
  return tokens;
}

/** The actors that a subscription wants. */
export interface ActorFilter {
  /** The one actor, if there are no wildcards. */
  readonly actorId?: string;
  /** The beginning of the ids of all wanted actors, if there are wildcards. */
  readonly prefix?: string;
  /** Whether an actor is wanted, if there are wildcards that leave some out. */
  readonly matches?: (actorId: string) => boolean;
}

/**
 * Reads an `actorPattern`: `*` is any run of characters, a last token `>` one character or more.
 *
 * @throws {TypeError} It is not a string.
 * @throws {RangeError} It is empty or not well-formed, or too long for an actor's id.
 */
export function parseActorPattern(pattern: string | undefined, exact: boolean): ActorFilter {
  if (pattern === undefined) return {};
  const problem = tokenProblem(pattern);
  if (problem !== undefined) {
    const Slip = typeof pattern === "string" ? RangeError : TypeError;
    throw new Slip(`Cannot use actorPattern ${describe(pattern)}: it ${problem}`);
  }
  const rest = !exact && /(^|\.)>$/.test(pattern);
  if (exact || !(rest || pattern.includes("*"))) return { actorId: pattern };
  if (pattern === "*" || pattern === ">") return {};
  const [first, ...others] = (rest ? `${pattern.slice(0, -1)}*` : pattern).split("*") as [string];
  const last = others.pop() ?? "";
  return {
    prefix: first,
    matches: (actorId) => {
      if (!actorId.startsWith(first)) return false;
      let at = first.length;
      for (const part of others as string[]) {
        const found = actorId.indexOf(part, at);
        if (found === -1) return false;
        at = found + part.length;
      }
      // The part that `*` left over at the end, or that a last `>` has to have.
      return actorId.length - last.length >= at + (rest ? 1 : 0) && actorId.endsWith(last);
    },
  };
}
