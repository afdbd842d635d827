import { assertEquals } from "@std/assert";
import { Notifier } from "../../../store/base/notifier.ts";
import { sleep } from "../../../store/base/sleep.ts";

const inAWhile = () => new Promise((resolve) => setTimeout(resolve, 20, "still waiting"));

Deno.test("A sleep without an end lasts until its signal, one that is over takes a turn", async () => {
  const ends = new AbortController();
  const waiting = sleep(Infinity, ends.signal).then(() => "over");
  assertEquals(await Promise.race([waiting, inAWhile()]), "still waiting");
  ends.abort();
  assertEquals(await waiting, "over");
  await sleep(Infinity, ends.signal);
  await sleep(-1);
  await inAWhile();
});

Deno.test("Notifier are waited for without an end", async () => {
  const changed = new Notifier();
  const waiting = changed.wait().then(() => "told");
  assertEquals(await Promise.race([waiting, inAWhile()]), "still waiting");
  changed.notify();
  assertEquals(await waiting, "told");
  await inAWhile();
});
