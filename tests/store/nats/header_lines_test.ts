import { assertEquals, assertThrows } from "@std/assert";
import { headers, type MsgHdrs } from "@nats-io/nats-core";
import { HeaderLines } from "../../../store/nats/header_lines.ts";

/** The same headers, ours and as nats.js has them. */
function both(): [HeaderLines, MsgHdrs] {
  const lines = new HeaderLines();
  const mapped = headers();
  for (const [name, value] of [["Aether-Id", "some"], ["Aether-Version", "12"]] as const) {
    lines.add(name, value);
    mapped.set(name, value);
  }
  return [lines, mapped];
}

function bytesOf(fields: MsgHdrs): Uint8Array {
  return (fields as MsgHdrs & { encode(): Uint8Array }).encode();
}

const CHANGES: Record<string, (fields: MsgHdrs) => void> = {
  "none": () => {},
  "another is set": (fields) => fields.set("Nats-Batch-Id", "one"),
  "one that begins alike is set": (fields) => fields.set("Aether", "one"),
  "one is set anew": (fields) => fields.set("Aether-Id", "other"),
  "one is set twice": (fields) => {
    fields.set("Nats-Batch-Id", "one");
    fields.set("Nats-Batch-Id", "two");
  },
  "one is appended": (fields) => fields.append("Aether-Id", "other"),
  "one is deleted, another set": (fields) => {
    fields.delete("Aether-Id");
    fields.set("traceparent", "00-1-2-01");
  },
};

for (const [change, apply] of Object.entries(CHANGES)) {
  Deno.test(`Written headers are those that nats.js writes: ${change}`, () => {
    const [lines, mapped] = both();
    apply(lines);
    apply(mapped);
    assertEquals(bytesOf(lines), bytesOf(mapped));
    assertEquals([...lines], [...mapped]);
    assertEquals(lines.keys(), mapped.keys());
    for (const name of [...mapped.keys(), "Aether-None"]) {
      assertEquals(lines.get(name), mapped.get(name));
      assertEquals(lines.last(name), mapped.last(name));
      assertEquals(lines.has(name), mapped.has(name));
      assertEquals(lines.values(name), mapped.values(name));
    }
    assertEquals(bytesOf(lines), bytesOf(mapped));
    const { code, description, hasError, status } = lines;
    assertEquals({ code, description, hasError, status }, {
      code: mapped.code,
      description: mapped.description,
      hasError: mapped.hasError,
      status: mapped.status,
    });
  });
}

Deno.test("No value of another's breaks out of its line", () => {
  const [lines] = both();
  assertThrows(() => lines.set("traceparent", "1\r\nAether-Id: other"));
});
