import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { CorruptEventError } from "../../../store/mod.ts";
import { asStreamSequence } from "../../../store/format/position.ts";
import type { StoredMessage } from "../../../store/nats/stored_message.ts";
import { StoredRun } from "../../../store/read/stored_run.ts";

const BODY = new TextEncoder().encode("{}\nüü\n[1]\n");

/** Three events of two saves; `fields` says what is forged, `""` what is left out. */
function message(fields: Record<string, string> = {}, data = BODY): StoredMessage {
  const all: Record<string, string> = {
    "Aether-Op": "op",
    "Aether-Id": "a b=20c c",
    "Aether-Type": "A A B",
    "Aether-Version": "7",
    "Aether-Previous": "2",
    "Aether-Sizes": "3 5 4",
    "Aether-Count": "2 1",
    "Aether-Command": "= pay",
    "Aether-Schema": "1 1 3",
    ...fields,
  };
  return {
    sequence: asStreamSequence(5),
    subject: "subject",
    data,
    text: new TextDecoder().decode(data),
    time: "",
    header: (name) => all[name] ?? "",
    headerNames: () => Object.keys(all),
  };
}

Deno.test("a message of several saves is taken apart by its headers", () => {
  const run = new StoredRun(message());
  run.check();
  const events = [0, 1, 2].map((at) => [
    ...[run.positionAt(at), run.versionAt(at), run.idAt(at), run.typeAt(at), run.schemaAt(at)],
    run.contentAt(at).text,
    run.commitAt(at),
  ]);
  assertEquals(events, [
    [1280, 5, "a", "A", 1, "{}\n", { op: "op.0", index: 0, count: 2 }],
    [1281, 6, "b c", "A", 1, "üü\n", { op: "op.0", index: 1, count: 2 }],
    [1282, 7, "c", "B", 3, "[1]\n", { op: "op.1", index: 0, count: 1 }],
  ]);
  assertEquals(run.saves.map(({ command }) => command), [undefined, "pay"]);
  assertEquals([4, 5, 7, 8].map((version) => run.indexOfVersion(version)), [
    undefined,
    0,
    2,
    undefined,
  ]);
  assertEquals([0, 5, 6, 7, 8].map((version) => run.indexFrom(version)), [0, 0, 1, 2, 3]);
});

Deno.test("versions with gaps, and a part of a save, are known by their headers", () => {
  const run = new StoredRun(message({
    "Aether-Versions": "3 5 7",
    "Aether-Count": "600",
    "Aether-Index": "256",
    "Aether-Command": "",
  }));
  run.check();
  assertEquals([0, 1, 2].map((at) => run.versionAt(at)), [3, 5, 7]);
  assertEquals([3, 4, 5].map((version) => run.indexOfVersion(version)), [0, undefined, 1]);
  assertEquals(run.commitAt(2), { op: "op", index: 258, count: 600 });
});

/** The damage, and the event that the error names, if it names one. */
const WRONG: [what: string, fields: Record<string, string>, reason: RegExp, index?: number][] = [
  ["an id too few", { "Aether-Id": "a b" }, /Aether-Id header has 2 values for 3 events/],
  ["an id too many", { "Aether-Id": "a b c d" }, /Aether-Id header has 4 values for 3 events/],
  ["an id that is no text", { "Aether-Id": "a =zz c" }, /Aether-Id header is no text/, 1],
  ["a type too few", { "Aether-Type": "A B" }, /Aether-Type header has 2 values/],
  ["a size that is none", { "Aether-Sizes": "3 x 4" }, /Aether-Sizes header is no list/],
  ["a negative size", { "Aether-Sizes": "3 -1 10" }, /Aether-Sizes header is no list/],
  ["sizes of less", { "Aether-Sizes": "3 5 3" }, /Aether-Sizes add up to 11, and its body has 12/],
  ["sizes of more", { "Aether-Sizes": "3 5 5" }, /Aether-Sizes add up to 13/],
  ["too many events", { "Aether-Sizes": Array(257).fill("1").join(" ") }, /holds 257 events/],
  ["no version", { "Aether-Version": "" }, /no Aether-Version header/],
  ["no version before", { "Aether-Previous": "" }, /no Aether-Previous header/],
  ["versions from before", { "Aether-Previous": "5" }, /versions do not grow/],
  ["versions that turn", { "Aether-Versions": "5 4 7" }, /versions do not grow/],
  ["a version too few", { "Aether-Versions": "5 7" }, /Aether-Versions header does not add up/],
  ["another last version", { "Aether-Versions": "4 5 6" }, /Aether-Versions header does not add/],
  ["no count", { "Aether-Count": "" }, /Aether-Count header does not add up|Aether-Command/],
  ["a count of less", { "Aether-Count": "1 1" }, /Aether-Count header does not add up/],
  ["a count that is none", { "Aether-Count": "2 x" }, /Aether-Count header does not add up/],
  [
    "a part beyond its save",
    { "Aether-Count": "4", "Aether-Index": "2", "Aether-Command": "" },
    /Aether-Count/,
  ],
  ["a command too few", { "Aether-Command": "pay" }, /Aether-Command header does not add up/],
  ["a command that is no text", { "Aether-Command": "= =zz" }, /Aether-Command header is no text/],
  ["no schema", { "Aether-Schema": "1 0 3" }, /Aether-Schema header is no schema/, 1],
  ["a schema too few", { "Aether-Schema": "1 3" }, /Aether-Schema header has 2 values/],
];

for (const [what, fields, reason, index = 0] of WRONG) {
  Deno.test(`a message with ${what} is corrupt, with its place`, () => {
    const error = assertThrows(() => new StoredRun(message(fields)).check(), CorruptEventError);
    assertEquals(error.sequence, 1280 + index);
    assertMatch(error.message, reason);
  });
}
