import { assert, assertEquals } from "@std/assert";
import { ServerClock } from "../../../store/timer/clock.ts";
import { DueHeap } from "../../../store/timer/due_heap.ts";
import { seededRandom } from "../../support/proxy.ts";

Deno.test("a heap gives entries in the order they are due", () => {
  const random = seededRandom(7);
  const heap = new DueHeap<{ at: number }>();
  const model: number[] = [];
  for (let step = 0; step < 5_000; step++) {
    if (random() < 0.6) {
      const at = Math.floor(random() * 100);
      heap.add({ at });
      model.push(at);
    } else {
      model.sort((one, other) => one - other);
      assertEquals(heap.first?.at, model[0]);
      assertEquals(heap.take()?.at, model.shift());
    }
    assertEquals(heap.size, model.length);
  }
  heap.clear();
  assertEquals(heap.take(), undefined);
});

Deno.test("a heap keeps the entries that are wanted, in order", () => {
  const random = seededRandom(8);
  const heap = new DueHeap<{ at: number }>();
  const all = Array.from({ length: 1_000 }, () => Math.floor(random() * 10_000));
  for (const at of all) heap.add({ at });
  heap.keep(({ at }) => at % 3 === 0);
  heap.add({ at: 5_000 });
  const wanted = [...all.filter((at) => at % 3 === 0), 5_000].sort((one, other) => one - other);
  assertEquals(Array.from(wanted, () => heap.take()?.at), wanted);
  assertEquals(heap.size, 0);
});

Deno.test("a server's clock is never ahead of the server, and asks once a second at most", async () => {
  let asked = 0;
  const apart = 3_600_000; // The clocks of machine and server.
  const server = () => Date.now() + apart;
  const clock = new ServerClock({
    now: async () => {
      asked++;
      const time = server();
      await new Promise((resolve) => setTimeout(resolve, 20));
      return time;
    },
  });
  const times = await Promise.all(Array.from({ length: 50 }, () => clock.now()));
  for (const time of times) assert(time <= server());
  assert(server() - await clock.now() < 1_000);
  assertEquals(asked, 1);
});
