import { assertEquals, assertRejects } from "@std/assert";
import { KeyedQueue } from "../../../store/base/keyed_queue.ts";

/** Work that notes when it begins and ends, and ends when the test lets it. */
class Work {
  readonly log: string[] = [];
  readonly #gates = new Map<string, PromiseWithResolvers<void>>();

  start(lanes: KeyedQueue, name: string, keys: string[]): Promise<void> {
    const gate = Promise.withResolvers<void>();
    this.#gates.set(name, gate);
    return lanes.run(keys, async () => {
      this.log.push(`begin ${name}`);
      await gate.promise;
      this.log.push(`end ${name}`);
    });
  }

  end(name: string): void {
    this.#gates.get(name)!.resolve();
  }
}

Deno.test("work under one key runs in turn, the rest side by side", async () => {
  const [lanes, work] = [new KeyedQueue(), new Work()];
  const first = work.start(lanes, "first", ["a"]);
  const second = work.start(lanes, "second", ["a"]);
  const other = work.start(lanes, "other", ["b"]);
  work.end("other");
  await other;
  assertEquals(work.log, ["begin first", "begin other", "end other"]);
  work.end("second");
  work.end("first");
  await Promise.all([first, second]);
  assertEquals(work.log.slice(3), ["end first", "begin second", "end second"]);
});

Deno.test("work with several keys waits for all of them, and others wait for it", async () => {
  const [lanes, work] = [new KeyedQueue(), new Work()];
  const a = work.start(lanes, "a", ["a"]);
  const b = work.start(lanes, "b", ["b"]);
  const both = work.start(lanes, "both", ["b", "a", "b"]);
  const after = work.start(lanes, "after", ["a"]);
  for (const name of ["after", "both", "b"]) work.end(name);
  await b;
  assertEquals(work.log, ["begin a", "begin b", "end b"]);
  work.end("a");
  await Promise.all([a, both, after]);
  assertEquals(work.log.slice(3), [
    "end a",
    "begin both",
    "end both",
    "begin after",
    "end after",
  ]);
});

Deno.test("keys in any order never block each other for good", async () => {
  const lanes = new KeyedQueue();
  const running = new Set<string>();
  const runs = Array.from({ length: 300 }, (_, at) => {
    const keys = [`${at % 3}`, `${(at * 7) % 5}`, `${at % 2}`];
    return lanes.run(keys, async () => {
      for (const key of new Set(keys)) {
        if (running.has(key)) throw new Error(`Two run on ${key}`);
        running.add(key);
      }
      await Promise.resolve();
      for (const key of keys) running.delete(key);
      return at;
    });
  });
  assertEquals(await Promise.all(runs), Array.from({ length: 300 }, (_, at) => at));
});

Deno.test("work that fails frees its keys", async () => {
  const lanes = new KeyedQueue();
  const failed = lanes.run(["a"], () => Promise.reject(new Error("no")));
  const thrown = lanes.run(["a"], () => {
    throw new Error("nor this");
  });
  const next = lanes.run(["a"], () => Promise.resolve(7));
  await assertRejects(() => failed, Error, "no");
  await assertRejects(() => thrown, Error, "nor this");
  assertEquals(await next, 7);
  await lanes.idle();
});

Deno.test("idle() resolves when all work has ended, also work that came meanwhile", async () => {
  const [lanes, work] = [new KeyedQueue(), new Work()];
  await lanes.idle();
  const first = work.start(lanes, "first", ["a"]);
  const idle = lanes.idle().then(() => work.log.push("idle"));
  const second = work.start(lanes, "second", ["b"]);
  work.end("first");
  await first;
  work.end("second");
  await second;
  await idle;
  assertEquals(work.log.at(-1), "idle");
});

Deno.test("idle() resolves for all who wait at once", async () => {
  const [lanes, work] = [new KeyedQueue(), new Work()];
  const first = work.start(lanes, "first", ["a"]);
  const idle = [lanes.idle(), lanes.idle()];
  const second = work.start(lanes, "second", ["b"]);
  for (const name of ["first", "second"]) work.end(name);
  await Promise.all([first, second, ...idle]);
  const third = work.start(lanes, "third", ["a"]);
  const again = lanes.idle().then(() => work.log.push("idle"));
  work.end("third");
  await Promise.all([third, again]);
  assertEquals(work.log.at(-1), "idle");
});
