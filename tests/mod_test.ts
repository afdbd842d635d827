import { assert, assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { ROOT } from "../tools/root.ts";
import { AREAS, everyFile, importsIn, publishedSources, specifiersIn } from "./support/sources.ts";
import type { Sources } from "./support/sources.ts";

/** Files that one folder may hold. */
const MOST_FILES = 25;

/** The rooms of `adapters/`, with what each imports of a platform. */
const ADAPTERS: Readonly<Record<string, readonly string[]>> = {
  http: [],
  postgres: [],
  sql: [],
  sqlite: ["node:sqlite"],
};

/** What files of `area` may import: themselves and what is below them. */
function belowOf(area: string): readonly string[] {
  if (area === "testing") return [...AREAS, "testing"];
  if (area === "adapters") return ["store", "adapters"];
  if (area === "inspector") return [...AREAS, "adapters", "inspector"];
  return AREAS.slice(0, AREAS.indexOf(area as typeof AREAS[number]) + 1);
}

/** The room of `adapters/` that a file is in, if it is in one. */
function roomOf(path: string): string | undefined {
  const [area, room] = path.split("/");
  return area === "adapters" ? room : undefined;
}

/** The area or package that `target` belongs to. */
function areaOf(target: string): string {
  return [...AREAS, "adapters", "inspector", "testing"].find((area) =>
    target.startsWith(`${area}/`)
  ) ?? target;
}

/** The lines of an area's README that name rooms and files: the names on each, in order. */
function linesOf(readme: string): string[][] {
  const items = readme.split(/^- /m).slice(1).map((item) => item.split(":")[0]!);
  return items.map((item) => [...item.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));
}

/** Imports within `area` that run against the order of `readme`, and files that it does not name. */
function againstTheOrder(area: string, readme: string, sources: Sources): string[] {
  const lines = linesOf(readme);
  const lineOf = (path: string) => {
    const [place, ...inside] = path.slice(area.length + 1).split("/");
    return lines.findIndex((names) => names.includes(inside.length ? `${place}/` : place!));
  };
  const isInside = (path: string) => path.startsWith(`${area}/`);
  return [
    ...[...sources.keys()].filter((path) => isInside(path) && lineOf(path) < 0),
    ...importsIn(sources)
      .filter(({ file, target }) => isInside(file) && isInside(target))
      .filter(({ file, target }) => lineOf(target) > lineOf(file))
      .map(({ file, target }) => `${file} imports ${target}`),
  ];
}

/** Circles of imports, one way round each; `import type` counts as any other. */
function circlesIn(sources: Sources): string[][] {
  const targets = Map.groupBy(importsIn(sources), ({ file }) => file);
  const done = new Set<string>();
  const circles: string[][] = [];
  const visit = (file: string, way: readonly string[]): void => {
    const start = way.indexOf(file);
    if (start >= 0) circles.push([...way.slice(start), file]);
    if (start >= 0 || done.has(file)) return;
    for (const { target } of targets.get(file) ?? []) visit(target, [...way, file]);
    done.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
  return circles;
}

/** Folders with more files than one can keep in mind. */
function crowded(paths: readonly string[]): string[] {
  const folders = Map.groupBy(paths, (path) => path.split("/").slice(0, -1).join("/"));
  return [...folders].filter(([, files]) => files.length > MOST_FILES).map(([folder]) => folder);
}

for (const area of ["store", "cluster", "inspector"]) {
  Deno.test(`a room of ${area}/ imports only rooms above it in the list of ${area}/README.md`, async () => {
    const readme = await Deno.readTextFile(join(ROOT, area, "README.md"));
    const sources = await publishedSources();
    assertEquals(againstTheOrder(area, readme, sources), []);
    const places = [...sources.keys()].filter((path) => path.startsWith(`${area}/`))
      .map((path) => path.split("/")).map(([, place, inside]) => inside ? `${place}/` : place!);
    assertEquals(linesOf(readme).flat().sort(), [...new Set(places)].sort());
  });
}

Deno.test("an import of a room below is found, of types too", () => {
  const readme =
    "A list:\n\n- `base/`: tools.\n- `event.ts`, `store.ts`:\n  this.\n- `read/`: it.\n";
  const judge = (path: string, source: string) =>
    againstTheOrder("store", readme, new Map([[path, source]]));
  assertEquals(judge("store/read/a.ts", 'import { b } from "../base/b.ts";'), []);
  assertEquals(judge("store/read/a.ts", 'import type { E } from "../event.ts";'), []);
  assertEquals(judge("store/event.ts", 'import type { S } from "./store.ts";'), []);
  assertEquals(judge("store/base/b.ts", 'import type { A } from "../read/a.ts";'), [
    "store/base/b.ts imports store/read/a.ts",
  ]);
  assertEquals(judge("store/base/b.ts", 'import type { E } from "../event.ts";'), [
    "store/base/b.ts imports store/event.ts",
  ]);
  assertEquals(judge("store/store.ts", 'export { a } from "./read/a.ts";'), [
    "store/store.ts imports store/read/a.ts",
  ]);
  assertEquals(judge("store/attic/c.ts", ""), ["store/attic/c.ts"]);
});

Deno.test("published files import each other in no circle, types included", async () => {
  assertEquals(circlesIn(await publishedSources()), []);
});

Deno.test("a circle of types is found", () => {
  const circle = new Map([
    ["store/a.ts", 'import type { B } from "./read/b.ts";'],
    ["store/read/b.ts", 'import { type C } from "./c.ts";'],
    ["store/read/c.ts", 'export type { A } from "../a.ts";'],
  ]);
  assertEquals(circlesIn(circle), [[
    "store/a.ts",
    "store/read/b.ts",
    "store/read/c.ts",
    "store/a.ts",
  ]]);
  assertEquals(circlesIn(new Map([...circle, ["store/read/c.ts", ""]])), []);
});

Deno.test(`no folder holds more than ${MOST_FILES} files`, async () => {
  const paths = await Array.fromAsync(everyFile());
  assert(paths.includes("store/store.ts"));
  assertEquals(crowded(paths), []);
});

Deno.test("a folder with a file too many is found", () => {
  const paths = Array.from({ length: MOST_FILES + 1 }, (_, index) => `tests/bus/${index}_test.ts`);
  assertEquals(crowded(paths), ["tests/bus"]);
  assertEquals(crowded(paths.slice(1)), []);
});

Deno.test("imports point one way: cluster, bus, store", async () => {
  const all = importsIn(await publishedSources())
    .filter(({ file }) => file !== "mod.ts")
    .map(({ file, target }) => ({ file, target, from: areaOf(file), to: areaOf(target) }));
  const upwards = all.filter(({ from, to, target }) => {
    return target.endsWith(".ts") && !belowOf(from).includes(to);
  });
  assertEquals(upwards, []);
  assert(all.some(({ from, to }) => from === "bus" && to === "store"), "bus imports store");
});

Deno.test("published files import only what the manifest names, and no transport", async () => {
  const allowed = /^(@nats-io\/(nats-core|jetstream|kv)(\/internal)?|@opentelemetry\/api)$/;
  for (const { file, target } of importsIn(await publishedSources())) {
    if (target.endsWith(".ts")) continue;
    const from = areaOf(file);
    if (ADAPTERS[roomOf(file) ?? ""]?.includes(target)) continue;
    if (file.startsWith("testing/nats/") && target.startsWith("node:")) continue;
    assertMatch(target, allowed, `${file} imports ${target}`);
    assert(from !== "testing", `${file} imports ${target}, and a suite runs anywhere`);
    assert(from === "cluster" || !target.startsWith("@nats-io/kv"), `${file} imports ${target}`);
  }
});

Deno.test("an adapter imports no other adapter, but for what those of SQL share", async () => {
  const all = importsIn(await publishedSources());
  const across = all.filter(({ file, target }) => {
    const [from, to] = [roomOf(file), roomOf(target)];
    return from !== undefined && to !== undefined && from !== to && to !== "sql";
  });
  assertEquals(across, []);
  const rooms = new Set(all.map(({ file }) => roomOf(file)).filter((room) => room !== undefined));
  assertEquals([...rooms, "sql"].sort(), Object.keys(ADAPTERS).sort());
});

Deno.test("the room that starts servers needs no package, so that it runs before any is there", async () => {
  const own = importsIn(await publishedSources())
    .filter(({ file }) => file.startsWith("testing/nats/"))
    .filter(({ target }) => !target.startsWith("testing/nats/") && !target.startsWith("node:"));
  assertEquals(own, []);
  const others = importsIn(await publishedSources())
    .filter(({ file, target }) =>
      !file.startsWith("testing/nats/") && target.startsWith("testing/nats/")
    );
  assertEquals(others, []);
});

Deno.test("the reader of imports sees every form of them", () => {
  const source = `
    import "./a.ts";
    import b from "./b.ts";
    import { c, type C } from './c.ts';
    import {
      d,
    } from "./d.ts";
    import type { E } from "./e.ts";
    import * as f from "./f.ts";
    export { g } from "./g.ts";
    export type { H } from "./h.ts";
    export * from "./i.ts";
    const j = await import("./j.ts");
    type K = import("./k.ts").K;
    // import "./no.ts";
    /** import "./no.ts" */
    const text = "from";
  `;
  const expected = [..."abcdefghijk"].map((letter) => `./${letter}.ts`);
  assertEquals(specifiersIn(source).sort(), expected);
});
