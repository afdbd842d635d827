/**
 * Bytes that one lookup of a latest version allocates, beside the raw request that it makes.
 * Prints one JSON object.
 *
 *     deno task deno run -A --v8-flags=--expose-gc,--min-semi-space-size=64,--max-semi-space-size=64 \
 *       bench/allocation.ts
 *
 * The young generation is made large enough to hold all of a measurement: without a collection in
 * between, the heap grows by as much as was allocated.
 */
import process from "node:process";
import { fill, Scene, subjectOf } from "./scene.ts";

const LOOKUPS = 1000;
const ACTOR = "order-1000";

const { gc } = globalThis as { gc?: () => void };
if (gc === undefined) throw new Error("Cannot measure: run with --v8-flags=--expose-gc");

/** The heap's growth over one call of `work`, in bytes: the median of five measurements. */
async function allocated(work: () => Promise<unknown>): Promise<number> {
  const found: number[] = [];
  for (let round = 0; round < 6; round++) {
    gc!();
    const before = used();
    for (let at = 0; at < LOOKUPS; at++) await work();
    // The first round compiles what it runs.
    if (round > 0) found.push((used() - before) / LOOKUPS);
  }
  return Math.round(found.sort((a, b) => a - b)[2]!);
}

function used(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

await using scene = await Scene.open();
const { store } = scene;
const cached = await scene.openStore({ cacheMaxAge: 3_600_000 });
await fill(scene.connection, ACTOR, 1000);
await cached.getLatestVersion(ACTOR);
const subject = subjectOf(ACTOR);

console.log(JSON.stringify({
  rawRequest: await allocated(() => scene.lastMessage(subject)),
  uncached: await allocated(() => store.getLatestVersion(ACTOR, { fresh: true })),
  cached: await allocated(() => cached.getLatestVersion(ACTOR)),
}));
