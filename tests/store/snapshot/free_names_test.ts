import { assertEquals } from "@std/assert";
import { freeName } from "../../../store/snapshot/free_names.ts";

Deno.test("a name that the text of a function does not explain is found", () => {
  for (
    const [source, name] of [
      ["() => ({ count: 0 })", undefined],
      ["(state, { data }) => ({ ...state, sum: state.sum + data.n })", undefined],
      ["(s, e) => e.eventType === 'A' ? s + 1 : s", undefined],
      ["(s, e) => e.type === type ? s + 1 : s", "type"],
      ["(s) => s + by", "by"],
      ["(s, { by = step }) => s + by", "step"],
      ["(s, { data: { n: amount } }) => s + amount", undefined],
      ["(s, { data: { n: amount } }) => s + n", "n"],
      ["(s, e) => { const next = s + e.n; return { next, at: new Date(e.at) }; }", undefined],
      ["(s, e) => { const { a, b: [c] } = e; return a + c; }", undefined],
      ["(s, e) => { return apply(s, e); }", "apply"],
      ["(s, e) => ({ ...s, list: s.list.map((x) => x * 2).filter(y => y > 1) })", undefined],
      ["function evolve(s, e) { for (const x of e.list) s += x; return s; }", undefined],
      ["evolve(s, e) { return s + e.n; }", undefined],
      ["evolve(s, e) { return this.inner(s, e); }", "this"],
      ["(s, e) => s + `text ${e.n}`", "`"],
      ["(s, e) => s + `text`", undefined],
      ["(s, e) => /by[/]/.test(e.n) ? s / 2 : s", undefined],
      ["(s, e) => s /* by */ + e.n // by", undefined],
      ["(s, e) => Math.max(s, e.n ?? Infinity)", undefined],
      ["(s, e) => s?.by ?? { by: 1 }", undefined],
      ["(s, e) => ({ by })", "by"],
      ["(s, e) => set(s, e.data)", "set"],
      ["(s, e) => get[e.type]", "get"],
      ["(s, e) => { return of(s); }", "of"],
      ["(s, e) => { const all = {}; all.set(s, e.get(1)); return all; }", undefined],
      ["(s, e) => { for (const [x] of e.list) s += x; return s; }", undefined],
      ["(s, e) => { let n = 0; return n++ / by / 2; }", "by"],
      ["(s, e) => { if (e) /'/.test(by); return 'n' + s; }", "`"],
      ["(s, e) => { {} /'/.test(by); return 'n' + s; }", "`"],
      ["(s, e) => (s + 1) / 2 + e.n / 2", undefined],
    ] as const
  ) assertEquals(freeName(source), name, source);
});

Deno.test("real functions are read as the runtime writes them", () => {
  const by = 1;
  const own = (count: number, { data }: { data: { n: number } }): number => count + data.n;
  const other = (count: number): number => count + by;
  assertEquals(freeName(own.toString()), undefined);
  assertEquals(freeName(other.toString()), "by");
});
