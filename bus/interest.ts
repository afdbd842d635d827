import { ANY, type PatternToken, REST } from "./pattern.ts";

/** A token of a path in the tree: one of a pattern, or any token that begins with `prefix`. */
export type InterestToken = PatternToken | { readonly prefix: string };

interface Node<T> {
  readonly children: Map<string, Node<T>>;
  /** Children by prefix, grouped by its length: few lengths, each looked up once. */
  readonly prefixes: Map<number, Map<string, Node<T>>>;
  any?: Node<T>;
  /** Items whose path ends here, and items that take all from here on. */
  readonly here: Set<T>;
  readonly rest: Set<T>;
}

/**
 * The interests of subscribers: a tree over the tokens of patterns, so that the cost of finding the
 * subscribers of an event does not grow with the number of those that want another one.
 */
export class InterestTree<T> {
  readonly #root: Node<T> = node();

  /** Whether nothing is in it, not even a bare branch. */
  get bare(): boolean {
    return isBare(this.#root);
  }

  /** Adds `item` under `path`. */
  add(path: readonly InterestToken[], item: T): void {
    let at = this.#root;
    for (const token of path) {
      if (token === REST) return void at.rest.add(item);
      at = child(at, token) ?? grow(at, token);
    }
    at.here.add(item);
  }

  /** Removes `item` from under `path`, and the branches that are bare then. */
  delete(path: readonly InterestToken[], item: T): void {
    remove(this.#root, path, 0, item);
  }

  /** Calls `visit` with each item whose path matches `tokens`. */
  match(tokens: readonly string[], visit: (item: T) => void): void {
    matchFrom(this.#root, tokens, 0, visit);
  }
}

function node<T>(): Node<T> {
  return { children: new Map(), prefixes: new Map(), here: new Set(), rest: new Set() };
}

function isBare({ children, prefixes, any, here, rest }: Node<unknown>): boolean {
  return children.size + prefixes.size + here.size + rest.size === 0 && any === undefined;
}

function child<T>(at: Node<T>, token: InterestToken): Node<T> | undefined {
  if (token === ANY) return at.any;
  if (typeof token === "string") return at.children.get(token);
  if (typeof token === "symbol") return undefined;
  return at.prefixes.get(token.prefix.length)?.get(token.prefix);
}

function grow<T>(at: Node<T>, token: InterestToken): Node<T> {
  const next: Node<T> = node();
  if (token === ANY) at.any = next;
  else if (typeof token === "string") at.children.set(token, next);
  else if (typeof token !== "symbol") {
    const { prefix } = token;
    const same = at.prefixes.get(prefix.length);
    if (same === undefined) at.prefixes.set(prefix.length, new Map([[prefix, next]]));
    else same.set(prefix, next);
  }
  return next;
}

function cut<T>(at: Node<T>, token: InterestToken): void {
  if (token === ANY) delete at.any;
  else if (typeof token === "string") at.children.delete(token);
  else if (typeof token !== "symbol") {
    const { length } = token.prefix;
    const same = at.prefixes.get(length);
    same?.delete(token.prefix);
    if (same?.size === 0) at.prefixes.delete(length);
  }
}

function matchFrom<T>(
  at: Node<T>,
  tokens: readonly string[],
  depth: number,
  visit: (item: T) => void,
): void {
  const token = tokens[depth];
  if (token === undefined) return at.here.forEach(visit);
  if (at.rest.size > 0) at.rest.forEach(visit);
  const next = at.children.get(token);
  if (next !== undefined) matchFrom(next, tokens, depth + 1, visit);
  if (at.any !== undefined) matchFrom(at.any, tokens, depth + 1, visit);
  for (const [length, same] of at.prefixes) {
    const begun = same.get(token.slice(0, length));
    if (begun !== undefined) matchFrom(begun, tokens, depth + 1, visit);
  }
}

/** Whether `at` is bare after the removal. */
function remove<T>(
  at: Node<T>,
  path: readonly InterestToken[],
  depth: number,
  item: T,
): boolean {
  const token = path[depth];
  if (token === undefined) at.here.delete(item);
  else if (token === REST) at.rest.delete(item);
  else {
    const next = child(at, token);
    if (next !== undefined && remove(next, path, depth + 1, item)) cut(at, token);
  }
  return isBare(at);
}
