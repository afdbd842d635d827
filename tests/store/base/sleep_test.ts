import { assertEquals } from "@std/assert";
import { News } from "../../../store/base/notifier.ts";
import { pause } from "../../../store/base/sleep.ts";

const inAWhile = () => new Promise((resolve) => setTimeout(resolve, 20, "still waiting"));

Deno.test("A pause without an end lasts until its signal, one that is over takes a turn", async () => {
  const ends = new AbortController();
  const waiting = pause(Infinity, ends.signal).then(() => "over");
  assertEquals(await Promise.race([waiting, inAWhile()]), "still waiting");
  ends.abort();
  assertEquals(await waiting, "over");
  await pause(Infinity, ends.signal);
  await pause(-1);
  await inAWhile();
});

Deno.test("News are waited for without an end", async () => {
  const news = new News();
  const waiting = news.wait(Infinity, 0).then(() => "told");
  assertEquals(await Promise.race([waiting, inAWhile()]), "still waiting");
  news.tell();
  assertEquals(await waiting, "told");
  await inAWhile();
});
