import { assert, assertEquals } from "@std/assert";
import { type InterestToken, InterestTree } from "../../bus/interest.ts";
import { ANY, parseActorPattern, parseNamespace, parsePattern, REST } from "../../bus/pattern.ts";
import { BoundedQueue } from "../../bus/queue.ts";
import { seededRandom } from "../support/proxy.ts";

/** The definition that the tree has to agree with. */
function matches([first, ...more]: InterestToken[], [token, ...others]: string[]): boolean {
  if (first === REST) return token !== undefined;
  if (first === undefined || token === undefined) return first === token;
  const fits = typeof first === "object" ? token.startsWith(first.prefix) : first === token;
  return (first === ANY || fits) && matches(more, others);
}

Deno.test("InterestTree finds items whose pattern matches, and is bare when all are gone", () => {
  const random = seededRandom(7);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
  const words = ["a", "b", "ab", "*", ">"];
  const name = () => Array.from({ length: 1 + Math.floor(random() * 4) }, () => pick(words));
  for (let round = 0; round < 200; round++) {
    const tree = new InterestTree<InterestToken[]>();
    const patterns = Array.from({ length: 20 }, (): InterestToken[] => {
      const tokens = name().map((word) =>
        random() < 0.2 ? ANY : random() < 0.2 ? { prefix: word } : word
      );
      return random() < 0.3 ? [...tokens, REST] : tokens;
    });
    for (const pattern of patterns) tree.add(pattern, pattern);
    for (const removed of patterns.splice(0, 10)) tree.delete(removed, removed);
    for (let look = 0; look < 20; look++) {
      const tokens = name();
      const found = new Set<InterestToken[]>();
      tree.match(tokens, (pattern) => {
        assert(!found.has(pattern));
        found.add(pattern);
      });
      assertEquals(
        patterns.map((each) => found.has(each)),
        patterns.map((each) => matches(each, tokens)),
      );
    }
    for (const pattern of patterns) tree.delete(pattern, pattern);
    assert(tree.bare);
  }
});

Deno.test("a namespace is its own subject, whatever is in it", () => {
  assertEquals(parseNamespace("orders.eu-1").subject, "orders.eu-1");
  assertEquals(parseNamespace("*.>. .=2A.ä").subject, "=2A.=3E.=20.=3D2A.=C3=A4");
  assertEquals(parsePattern("a.*.>", false), ["a", ANY, REST]);
  assertEquals(parsePattern("a.*.>", true), ["a", "*", ">"]);
  assertEquals(parsePattern("a*.>b", false), ["a*", ">b"]);
});

Deno.test("an actor pattern matches like its regular expression", () => {
  const random = seededRandom(11);
  const text = (letters: string, most: number) =>
    Array.from(
      { length: 1 + Math.floor(random() * most) },
      () => letters[Math.floor(random() * letters.length)],
    ).join("");
  for (let round = 0; round < 20_000; round++) {
    const pattern = text("ab.*>", 6);
    const id = text("ab.>", 8);
    const rest = /(^|\.)>$/.test(pattern);
    const source = (rest ? pattern.slice(0, -1) : pattern).replaceAll(".", "\\.")
      .replaceAll("*", ".*") + (rest ? ".+" : "");
    const { actorId, matches } = parseActorPattern(pattern, false);
    const got = actorId === undefined ? matches?.(id) ?? true : actorId === id;
    assertEquals(got, new RegExp(`^${source}$`).test(id), `${pattern} on ${id}`);
  }
});

Deno.test("BoundedQueue keeps order and bound through growth and wrapping", () => {
  const random = seededRandom(13);
  const queue = new BoundedQueue<number>(100);
  const model: number[] = [];
  for (let item = 0; item < 20_000; item++) {
    const filling = Math.floor(item / 500) % 2 === 0;
    if (random() < (filling ? 0.7 : 0.3) && !queue.full) {
      queue.push(item);
      model.push(item);
    } else {
      assertEquals(queue.shift(), model.shift());
    }
    assertEquals(queue.size, model.length);
    assertEquals(queue.full, model.length === 100);
    if (random() < 0.001) {
      queue.clear();
      model.length = 0;
    }
  }
});
