/**
 * Values that separate careful stores from careless ones; the suites share them.
 *
 * @module
 */

/** Ids that a subject, a header or a pattern could take for something else. */
export const HOSTILE: readonly string[] = [
  "*",
  ">",
  "a.b",
  "a.*",
  "a.>",
  "a-*",
  "*-a",
  ".",
  "..",
  "a..b",
  ".a",
  "a.",
  "-",
  "--",
  "-a",
  "a-",
  "a--b",
  "=",
  "=2A",
  "%2A",
  "%",
  "a%2Eb",
  "a=2Eb",
  "$JS.API.>",
  "$SYS",
  "_INBOX.x",
  "genesis",
  " ",
  " a",
  "a ",
  "a b",
  "\t",
  "\r\n",
  "a\r\nNats-Rollup: all",
  "a\nb",
  "\0",
  "a\0b",
  "\v",
  "\f",
  "\u00a0",
  "a\u00a0",
  "\u2028",
  "a\u2029",
  "\ufeffa",
  "\u200b",
  "\u202ea",
  "\ufffd",
  "\uffff",
  "é",
  "e\u0301",
  "漢字-1",
  "אבג",
  "ελλ",
  "😀",
  "👩‍👩‍👧",
  "\u{10ffff}",
  "A",
  "a",
  "__proto__",
  "constructor",
  "/etc/passwd",
  "'; --",
  '"',
  "\\",
  "~!@#^&()+[]{}|:;,<?`",
  "x".repeat(200),
  `${"c".repeat(198)}-1`,
  `c-${"x".repeat(198)}`,
  "ü".repeat(33),
];

/** Ids that no store takes, as they cannot be encoded or would not fit. */
export const IMPOSSIBLE: readonly string[] = [
  "",
  "\ud800",
  "\udc00",
  "a\ud800b",
  "\udc00\ud800",
  "x".repeat(201),
  "x".repeat(1024),
  "ü".repeat(34),
  `${"c".repeat(1024)}-1`,
  " ".repeat(67),
];

/** Actors that a mistaken pattern would reach. */
export const NEIGHBOURS: readonly string[] = ["a", "b", "a-b", "a-1", "order-1", "2A", "x"];

/** Invalid ids. */
export const WRONG_IDS: readonly unknown[] = [
  undefined,
  null,
  7,
  {},
  "",
  "\ud800",
  "a\udc00b",
  "x".repeat(1024),
];

/** Invalid versions. */
export const WRONG_VERSIONS: readonly unknown[] = [
  0,
  -1,
  0.5,
  NaN,
  Infinity,
  2 ** 53,
  "1",
  null,
  undefined,
  1n,
];

/** Invalid bounds of a read: versions, sequences or limits. */
export const WRONG_NUMBERS: readonly unknown[] = [-1, 0.5, NaN, Infinity, 2 ** 53, "1", null, 1n];

/** Invalid timestamps. */
export const WRONG_TIMESTAMPS: readonly unknown[] = [
  undefined,
  null,
  "2020-01-01",
  0,
  new Date(NaN),
  {},
];

/** Values that JSON carries, however odd. */
export function faithfulValues(): unknown[] {
  const shared = { twice: true };
  return [
    null,
    true,
    "",
    0,
    5e-324,
    Number.MAX_VALUE,
    -Number.MAX_SAFE_INTEGER,
    [],
    {},
    [[[null]], { a: [{}] }],
    Object.assign(Object.create(null), { bare: 1 }),
    [shared, shared],
    '\u0000\u2028\u2029\u00a0\ufeff\ufffd \r\n\t\\"',
    "lone \ud800 and \udfff surrogates",
    "😀 漢字 العربية é é",
    { "": 1, "a.b": 2, "*": 3, constructor: 4, toString: 5, length: 6, "\ud800": 7, toJSON: 8 },
    JSON.parse('{ "__proto__": { "polluted": true } }'),
    JSON.parse("[".repeat(400) + "]".repeat(400)),
  ];
}

/** Values that JSON would change, by what they are, each alone and inside of others. */
export function unfaithfulValues(): [string, unknown][] {
  const cycle: unknown[] = [];
  cycle.push({ cycle });
  class Money {
    readonly amount: number = 1;
  }
  class List extends Array<unknown> {}
  const unfaithful: Record<string, unknown> = {
    "undefined": undefined,
    "NaN": NaN,
    "Infinity": Infinity,
    "-Infinity": -Infinity,
    "-0": -0,
    "a bigint": 1n,
    "a function": () => 1,
    "a symbol": Symbol("s"),
    "a hole": new Array(1),
    "an array with a name": Object.assign([1], { name: 1 }),
    "a cycle": cycle,
    "a Map": new Map(),
    "a Set": new Set(),
    "a Date": new Date(),
    "a RegExp": /x/,
    "an Error": new Error("e"),
    "a Uint8Array": new Uint8Array(1),
    "an ArrayBuffer": new ArrayBuffer(1),
    "a URL": new URL("http://localhost/"),
    "a promise": Promise.resolve(),
    "a boxed string": Object("s"),
    "a boxed number": Object(1),
    "a class instance": new Money(),
    "an instance of a subclass of Array": List.from([1]),
    "an object with toJSON": { toJSON: () => 1 },
    "an array with toJSON": Object.assign([], { toJSON: () => 1 }),
    "an object with a symbol as key": { [Symbol("s")]: 1 },
  };
  return Object.entries(unfaithful).flatMap(([name, value]): [string, unknown][] => [
    [name, value],
    [`${name} in an array`, [1, value]],
    // Left out if it is undefined, which is fine.
    [`${name} in an object`, { deep: { x: value } }],
  ]).filter(([name]) => name !== "undefined in an object");
}
