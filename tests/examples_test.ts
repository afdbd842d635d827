import { assertEquals } from "@std/assert";

/** What the example at `path` prints, a line each. */
async function printedBy(path: string): Promise<string[]> {
  const lines: string[] = [];
  const { log } = console;
  console.log = (...items: unknown[]) => void lines.push(...items.join(" ").split("\n"));
  try {
    await import(new URL(`../examples/${path}`, import.meta.url).href);
  } finally {
    console.log = log;
  }
  return lines;
}

Deno.test("forget_me.ts forgets one customer, and nothing else", async () => {
  assertEquals(await printedBy("forget_me.ts"), [
    "Stored:",
    '  customer-1 1 Registered: {"name":"Ada","email":"ada@example.com"}',
    '  customer-2 1 Registered: {"name":"Bob","email":"bob@example.com"}',
    '  customer-1 2 Moved: {"city":"London"}',
    "After the key of customer-1 is deleted:",
    "  customer-1 1 Registered: forgotten",
    '  customer-2 1 Registered: {"name":"Bob","email":"bob@example.com"}',
    "  customer-1 2 Moved: forgotten",
    "customer-1 is still at version 2",
    'Cannot take event: the codec failed: "customer-1" is forgotten',
  ]);
});
