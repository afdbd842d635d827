import { assertEquals, assertRejects } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { TimeLimit } from "../../../store/base/time_limit.ts";

const late = () => new Error("late");

Deno.test("A time limit ends what takes too long, each at its own time", async () => {
  using time = new FakeTime();
  const limit = new TimeLimit(100);
  const ended: string[] = [];
  const never = new Promise<never>(() => {});
  const first = limit.of(never, late).catch(() => ended.push("first"));
  await time.tickAsync(60);
  const second = limit.of(never, late).catch(() => ended.push("second"));
  await time.tickAsync(39);
  assertEquals(ended, []);
  await time.tickAsync(1);
  assertEquals(ended, ["first"]);
  await time.tickAsync(59);
  assertEquals(ended, ["first"]);
  await time.tickAsync(25); // a quarter more at most
  assertEquals(ended, ["first", "second"]);
  await Promise.all([first, second]);
});

Deno.test("Work that is done one by one has the time of a time limit for each", async () => {
  using time = new FakeTime();
  const limit = new TimeLimit(100);
  let turn = Promise.resolve();
  const works = Array.from({ length: 10 }, (_, at) => {
    turn = turn.then(() => new Promise<void>((resolve) => setTimeout(resolve, 60)));
    return limit.of(turn.then(() => at), late);
  });
  const [results] = await Promise.all([Promise.all(works), time.tickAsync(600)]);
  assertEquals(results, [...works.keys()]);
});

Deno.test("A time limit ends what is stuck beside work that came later and goes on", async () => {
  using time = new FakeTime();
  const limit = new TimeLimit(100);
  let ended = 0;
  const stuck = limit.of(new Promise<never>(() => {}), late).catch(() => ended = Date.now());
  const begun = Date.now();
  for (let round = 0; round < 20; round++) {
    const quick = limit.of(new Promise((resolve) => setTimeout(resolve, 10)), late);
    await time.tickAsync(10);
    await quick;
  }
  await stuck;
  assertEquals(ended - begun, 100);
});

Deno.test("A time limit hands on results and errors, and leaves no timer behind", async () => {
  const limit = new TimeLimit(60_000);
  const work = Promise.withResolvers<number>();
  const kept = limit.of(work.promise, late);
  assertEquals(await limit.of(Promise.resolve("quick"), late), "quick");
  const failure = Promise.reject(new Error("failed"));
  await assertRejects(() => limit.of(failure, late), Error, "failed");
  work.resolve(1);
  assertEquals(await kept, 1);
});

Deno.test("A time limit that ends takes with it what is under way, and what begins later", async () => {
  const limit = new TimeLimit(60_000);
  const never = new Promise<never>(() => {});
  const ends: Promise<unknown>[] = [limit.of(never, late), limit.of(never, late)];
  limit.end(new Error("over"));
  const failure = Promise.reject(new Error("failed"));
  ends.push(limit.of(never, late), limit.of(failure, late), limit.of(Promise.resolve(1), late));
  for (const end of ends) await assertRejects(() => end, Error, "over");
});
