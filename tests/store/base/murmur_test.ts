import { assertEquals } from "@std/assert";
import { murmur3 } from "../../../store/base/murmur.ts";

// Published vectors of MurmurHash3_x86_32: https://stackoverflow.com/a/31929528, and the test
// suites of Guava and of Apache Commons Codec. They include all lengths modulo 4.
Deno.test("murmur3() gives the published values", () => {
  const seed = 0x9747b28c;
  const vectors: [string, number, number][] = [
    ["", 0, 0],
    ["", 1, 0x514e28b7],
    ["", 0xffffffff, 0x81f16f39],
    ["\0\0\0\0", 0, 0x2362f9de],
    ["\0\0\0", 0, 0x85f0b427],
    ["\0\0", 0, 0x30f4c306],
    ["\0", 0, 0x514e28b7],
    ["\x21\x43\x65", 0, 0x7e4a8634],
    ["\x21\x43", 0, 0xa0f7b07a],
    ["\x21", 0, 0x72661cf4],
    ["aaaa", seed, 0x5a97808a],
    ["aaa", seed, 0x283e0130],
    ["aa", seed, 0x5d211726],
    ["a", seed, 0x7fa09ea6],
    ["abcd", seed, 0xf0478627],
    ["abc", seed, 0xc84a62dd],
    ["ab", seed, 0x74875592],
    ["Hello, world!", seed, 0x24884cba],
    ["ππππππππ", seed, 0xd58063c1],
    ["a".repeat(256), seed, 0x37405bdc],
    ["The quick brown fox jumps over the lazy dog", seed, 0x2fa826cd],
    ["abc", 0, 0xb3dd93fa],
    ["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 0, 0xee925b90],
    ["The quick brown fox jumps over the lazy dog", 0, 0x2e4ff723],
  ];
  for (const [text, seed, hash] of vectors) assertEquals(murmur3(text, seed), hash);
});

Deno.test("murmur3() spreads sequential ids evenly over shards", () => {
  const counts = new Array<number>(256).fill(0);
  for (let at = 0; at < 256 * 200; at++) counts[murmur3(`order-${at}`) % 256]!++;
  // 200 each, give or take six standard deviations.
  assertEquals(counts.filter((count) => Math.abs(count - 200) > 6 * Math.sqrt(200)), []);
});
