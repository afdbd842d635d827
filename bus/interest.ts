import { ANY, type PatternToken, REST } from "./pattern.ts";

interface Node<T> {
  readonly children: Map<string, Node<T>>;
  any?: Node<T>;
  /** Those whose pattern ends here, and those that take all from here on. */
  readonly here: Set<T>;
  readonly rest: Set<T>;
}

/**
 * Who wants what: a tree over the tokens of patterns, so that the cost of finding the subscribers
 * of an event does not grow with the number of those who want another one.
 */
export class InterestTree<T> {
  readonly #root: Node<T> = node();

  /** Whether nothing is in it, not even a bare branch. */
  get bare(): boolean {
    return isBare(this.#root);
  }

  /** Adds `item` under `pattern`. */
  add(pattern: readonly PatternToken[], item: T): void {
    let at = this.#root;
    for (const token of pattern) {
      if (token === REST) return void at.rest.add(item);
      let next: Node<T> | undefined = token === ANY ? at.any : at.children.get(token);
      if (next === undefined) {
        next = node();
        if (token === ANY) at.any = next;
        else at.children.set(token, next);
      }
      at = next;
    }
    at.here.add(item);
  }

  /** Removes `item` from under `pattern`, and the branches that are bare then. */
  delete(pattern: readonly PatternToken[], item: T): void {
    remove(this.#root, pattern, 0, item);
  }

  /** Calls `visit` with each item whose pattern matches `tokens`. */
  match(tokens: readonly string[], visit: (item: T) => void): void {
    matchFrom(this.#root, tokens, 0, visit);
  }
}

function node<T>(): Node<T> {
  return { children: new Map(), here: new Set(), rest: new Set() };
}

function matchFrom<T>(
  at: Node<T>,
  tokens: readonly string[],
  depth: number,
  visit: (item: T) => void,
): void {
  if (depth === tokens.length) return at.here.forEach(visit);
  if (at.rest.size > 0) at.rest.forEach(visit);
  const child = at.children.get(tokens[depth]!);
  if (child !== undefined) matchFrom(child, tokens, depth + 1, visit);
  if (at.any !== undefined) matchFrom(at.any, tokens, depth + 1, visit);
}

/** Whether `at` is bare after the removal. */
function remove<T>(
  at: Node<T>,
  pattern: readonly PatternToken[],
  depth: number,
  item: T,
): boolean {
  const token = pattern[depth];
  if (token === undefined) {
    at.here.delete(item);
  } else if (token === REST) {
    at.rest.delete(item);
  } else {
    const next = token === ANY ? at.any : at.children.get(token);
    if (next !== undefined && remove(next, pattern, depth + 1, item)) {
      if (token === ANY) delete at.any;
      else at.children.delete(token);
    }
  }
  return isBare(at);
}

function isBare({ children, any, here, rest }: Node<unknown>): boolean {
  return children.size === 0 && any === undefined && here.size === 0 && rest.size === 0;
}
