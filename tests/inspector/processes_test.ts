import { assertEquals } from "@std/assert";
import { ProcessesLook } from "../../inspector/look/processes.ts";
import { appendEvents, InMemoryEventStore } from "../../store/mod.ts";
import type { InspectedProcesses } from "../../inspector/look/workers.ts";

Deno.test("pages of processes go on behind ids of any characters", async () => {
  await using store = new InMemoryEventStore();
  const ids = ["a\nb", "a\nc", "b-c", "b-d"];
  for (const id of ids) {
    await appendEvents(store, `process:order-${id}`, 0, [{ eventType: "Noted", data: null }]);
  }
  const manager = { name: "order" } as InspectedProcesses;
  const look = new ProcessesLook(store, undefined, [manager], false);
  const found: string[] = [];
  let after: string | undefined;
  do {
    const page = await look.view({ name: undefined, isParked: false, after, limit: 1 });
    found.push(...page.processes.map(({ id }) => id));
    after = page.next;
  } while (after !== undefined && found.length <= ids.length);
  assertEquals(found, ids);
});
