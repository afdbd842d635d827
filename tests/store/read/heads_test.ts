import { asStreamSequence } from "../../../store/format/position.ts";
import { assertEquals } from "@std/assert";
import { HeadCache } from "../../../store/read/heads.ts";

Deno.test("a head is only ever raised", () => {
  const heads = new HeadCache(10);
  assertEquals(heads.get("a"), undefined);
  heads.raise("a", { version: 2, sequence: asStreamSequence(5) }, 100);
  heads.raise("a", { version: 1, sequence: asStreamSequence(3) }, 200);
  assertEquals(heads.get("a"), { version: 2, sequence: asStreamSequence(5) });
  heads.raise("a", { version: 9, sequence: asStreamSequence(8) }, 150);
  assertEquals(heads.get("a"), { version: 9, sequence: asStreamSequence(8) });
});

Deno.test("an older answer does not make a head seem fresh", () => {
  const heads = new HeadCache(10);
  heads.raise("a", { version: 2, sequence: asStreamSequence(5) }, 100);
  heads.raise("a", { version: 1, sequence: asStreamSequence(3) }, 900);
  assertEquals(heads.getSince("a", 100), { version: 2, sequence: asStreamSequence(5) });
  assertEquals(heads.getSince("a", 101), undefined);
  // The same again does, and an answer to an earlier question takes no freshness away.
  heads.raise("a", { version: 2, sequence: asStreamSequence(5) }, 500);
  heads.raise("a", { version: 2, sequence: asStreamSequence(5) }, 300);
  assertEquals(heads.getSince("a", 500), { version: 2, sequence: asStreamSequence(5) });
});

Deno.test("the least recently used head goes first", () => {
  const heads = new HeadCache(2);
  heads.raise("a", { version: 1, sequence: asStreamSequence(1) }, 0);
  heads.raise("b", { version: 1, sequence: asStreamSequence(2) }, 0);
  heads.get("a");
  heads.raise("c", { version: 1, sequence: asStreamSequence(3) }, 0);
  assertEquals(["a", "b", "c"].map((actorId) => heads.get(actorId)?.sequence), [1, undefined, 3]);
});

Deno.test("the highest sequence is remembered though its head is not", () => {
  const heads = new HeadCache(1);
  assertEquals(heads.highest, 0);
  heads.raise("a", { version: 1, sequence: asStreamSequence(9) }, 0);
  heads.raise("b", { version: 1, sequence: asStreamSequence(4) }, 0);
  assertEquals(heads.get("a"), undefined);
  assertEquals(heads.highest, 9);
});
