import { assertEquals } from "@std/assert";
import { listSubjects } from "../../../store/read/subject_list.ts";

/** Subjects in an answer of the server. */
const PAGE = 3;

Deno.test("listSubjects() gives each subject once, though new ones move others to the next page", async () => {
  const old = Array.from({ length: 8 }, (_, at) => `order-${at}1`);
  const all = new Set(old);
  let asked = 0;
  const listed = await Array.fromAsync(listSubjects((offset) => {
    const sorted = [...all].sort();
    const subjects = Object.fromEntries(
      sorted.slice(offset, offset + PAGE).map((subject) => [subject, 1]),
    );
    all.add(`order-${asked++}0`); // Before some that were given.
    return Promise.resolve({ state: { subjects } as never, total: sorted.length });
  }));
  const subjects = listed.map(([subject]) => subject);
  assertEquals(subjects.length, new Set(subjects).size, String(subjects));
  assertEquals(old.filter((subject) => !subjects.includes(subject)), []);
  assertEquals(asked > 2, true);
});
