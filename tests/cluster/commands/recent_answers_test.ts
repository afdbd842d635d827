import { assertEquals } from "@std/assert";
import { RecentAnswers } from "../../../cluster/commands/recent_answers.ts";

const replied = (reply: unknown) => ({ answer: { kind: "reply", reply }, isProved: true }) as const;

Deno.test("the oldest answers go when all take too much room together", () => {
  const answers = new RecentAnswers(100_000);
  for (let at = 0; at < 1_000; at++) answers.add("actor", `${at}`, replied("x".repeat(1_000)));
  const kept = Array.from({ length: 1_000 }, (_, at) => answers.get("actor", `${at}`))
    .map((result) => result !== undefined);
  const first = kept.indexOf(true);
  assertEquals(kept.slice(first), Array(1_000 - first).fill(true));
  const count = 1_000 - first;
  assertEquals(
    [count >= 0.8 * 100_000 / 1_250, count <= 100_000 / 1_200],
    [true, true],
    `${count}`,
  );
});

Deno.test("the last answer is kept, however large it is, and leaves room for others after it", () => {
  const answers = new RecentAnswers(10_000);
  answers.add("actor", "large", replied("x".repeat(50_000)));
  assertEquals(answers.get("actor", "large")?.answer.kind, "reply");
  for (const id of ["1", "2", "3"]) answers.add("actor", id, replied(id));
  assertEquals(answers.get("actor", "large"), undefined);
  assertEquals(["1", "2", "3"].map((id) => answers.get("actor", id)), ["1", "2", "3"].map(replied));
});

Deno.test("an answer is known in the turns of its actor alone, and given again takes its room once", () => {
  const answers = new RecentAnswers(2_000);
  answers.add("one", "id", replied(0));
  for (let at = 1; at <= 1_000; at++) answers.add("two", "id", replied(at));
  assertEquals(answers.get("one", "id"), replied(0));
  assertEquals(answers.get("two", "id"), replied(1_000));
  assertEquals(answers.get("three", "id"), undefined);
  answers.clear();
  assertEquals(answers.get("one", "id"), undefined);
});
