/**
 * The inspector's page beside a large store, measured by the browser's own tracing: `AETHER_LONG=1` runs it
 * with 100,000 events, `AETHER_EVENTS` with as many as it says.
 *
 * @module
 */

import { assert } from "@std/assert";
import { createEvent, JetStreamEventStore } from "../../mod.ts";
import { inspector } from "../../inspector/mod.ts";
import { findChromium } from "../../tools/page/chromium_binary.ts";
import { NatsServer } from "../../tools/nats_server.ts";
import { play, Scene } from "../support/fixture.ts";
import { unlessSkipped } from "../support/skip.ts";
import { Browser } from "./page/browser.ts";
import { panel } from "./page/desk.ts";

/** Events of the actor that is opened. */
const LONG = 10_000;
/** Events of each other actor: one save. */
const EACH = 10;
/** Moves of the slider. */
const STEPS = 120;
/** Saves at once. */
const AT_ONCE = 500;

const isLong = Deno.env.get("AETHER_LONG") !== undefined;
const chromium = isLong ? await findChromium() : undefined;

Deno.test({
  ...unlessSkipped(
    "the inspector's page opens a large store and a long history, and scrubs without jank",
    !isLong ? "AETHER_LONG is not set" : chromium === undefined && "no Chromium",
  ),
  sanitizeOps: false, // as in page_test.ts
  sanitizeResources: false,
  async fn() {
    await using server = await NatsServer.start();
    await play(new Scene([server]), async (scene) => {
      await using store = await seeded(scene, Number(Deno.env.get("AETHER_EVENTS") ?? 100_000));
      const ending = new AbortController();
      const handler = inspector({ store, deciders: { order: COUNT }, signal: ending.signal });
      const http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);
      try {
        const origin = `http://127.0.0.1:${http.addr.port}`;
        await using browser = await Browser.open(chromium!, { origin });
        const seen = await measure(browser, origin);
        const { paint, numbers, open, whole, frames, longest, each, hardest } = seen;
        console.log(
          `first paint ${paint} ms, the store's numbers ${numbers} ms; ${LONG} events: ` +
            `open ${open} ms, whole ${whole} ms; scrubbing: ${frames} frames a second, ` +
            `longest task ${longest} ms; processor: ${each} ms a step, at most ${hardest} ms`,
        );
        assert(paint < 1_000 && open < 1_000, "it opens within a second");
        assert(each < 33 && hardest < 50, "it scrubs without jank");
      } finally {
        ending.abort();
        await http.shutdown();
      }
    }, true);
  },
});

/** Counts, and keeps the last data. */
const COUNT = {
  initialState: () => ({ count: 0, last: null as unknown }),
  evolve: ({ count }: { count: number }, { data }: { data: unknown }) => ({
    ...{ count: count + 1, last: data },
  }),
};

async function seeded(scene: Scene, events: number): Promise<JetStreamEventStore> {
  const store = await JetStreamEventStore.open(await scene.connect(), { namespace: "large" });
  const event = (actorId: string, version: number) =>
    createEvent({ eventType: "ItemAdded", actorId, version, data: { sku: "pen", at: version } });
  const save = (actorId: string, from: number, count: number) =>
    store.saveEvents(Array.from({ length: count }, (_, at) => event(actorId, from + at)));
  for (let at = 0; at < LONG; at += 250) await save("order-long", at + 1, 250);
  const actors = Math.max(0, events - LONG) / EACH;
  for (let at = 0; at < actors; at += AT_ONCE) {
    const group = Array.from({ length: Math.min(AT_ONCE, actors - at) }, (_, next) => at + next);
    await Promise.all(group.map((number) => save(`order-${number}`, 1, EACH)));
  }
  return store;
}

/** An event of a trace; durations in µs. */
interface Traced {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly dur?: number;
  /** Of the thread's processor time. */
  readonly tdur?: number;
  readonly args: { readonly name?: string };
}

/** What the browser measures, in ms; frames in a second. */
async function measure({ page }: Browser, origin: string) {
  await page.goto(`${origin}/#/store`);
  await panel(page, "Categories").waitFor();
  const numbers = await page.evaluate<number>("performance.now()");
  const paint = await page.evaluate<number>(
    `performance.getEntriesByName("first-contentful-paint")[0].startTime`,
  );
  const opened = performance.now();
  await page.evaluate(`location.hash = "#/actor/order-long"`);
  await panel(page, "State").getByText(`count: ${LONG}`).waitFor();
  const open = performance.now() - opened;
  await panel(page, "Events").getByText("10,000 events").waitFor();
  const whole = performance.now() - opened;
  const tracing = await page.context().newCDPSession(page);
  const seen: Traced[] = [];
  tracing.on("Tracing.dataCollected", ({ value }) => seen.push(...value as unknown as Traced[]));
  const complete = new Promise((resolve) => tracing.once("Tracing.tracingComplete", resolve));
  await tracing.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: {
      includedCategories: [
        "__metadata",
        "devtools.timeline",
        "disabled-by-default-devtools.timeline",
        "disabled-by-default-devtools.timeline.frame",
      ],
    },
  });
  const box = (await page.getByRole("slider", { name: "Version" }).boundingBox())!;
  const [left, right, y] = [box.x + 8, box.x + box.width - 8, box.y + box.height / 2];
  await page.mouse.move(right, y);
  await page.mouse.down();
  const began = performance.now();
  for (let step = 1; step <= STEPS; step++) {
    await page.mouse.move(right + (left - right) * (step / STEPS), y);
  }
  const seconds = (performance.now() - began) / 1_000;
  await page.mouse.up();
  await tracing.send("Tracing.end");
  await complete;
  const main = seen.find(({ name, args }) =>
    name === "thread_name" && args.name === "CrRendererMain"
  );
  const tasks = seen.filter(({ name, ph, pid, tid }) =>
    name === "RunTask" && ph === "X" && pid === main?.pid && tid === main.tid
  );
  const frames = seen.filter(({ name }) => name === "DrawFrame").length / seconds;
  const longest = tasks.reduce((most, { dur = 0 }) => Math.max(most, dur), 0) / 1_000;
  const work = tasks.map(({ tdur = 0 }) => tdur / 1_000);
  const round = Math.round;
  return {
    ...{ paint: round(paint), numbers: round(numbers), open: round(open), whole: round(whole) },
    ...{ frames: round(frames), longest: round(longest) },
    // Processor time: what else the machine has to do is not in it.
    each: round(work.reduce((sum, ms) => sum + ms, 0) / STEPS),
    hardest: round(Math.max(0, ...work)),
  };
}
