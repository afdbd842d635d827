/**
 * The command line with definitions of events and a codec in the module of `--app`.
 *
 * @module
 */

import { assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "../../tools/root.ts";
import { JetStreamEventStore } from "../../store/mod.ts";
import { fact } from "../support/fault.ts";
import { natsTest, type Scene } from "../support/fixture.ts";
import { aether } from "./bed.ts";

/** A module whose codec carries maps, and whose one event type is a map of bigints. */
const APP = `
import { defineEvents, richJsonCodec, schemaVersions, unchecked }
  from ${JSON.stringify(pathToFileURL(join(ROOT, "mod.ts")).href)};

const map = { "~standard": { version: 1, vendor: "test", validate: (value) =>
  value instanceof Map ? { value } : { issues: [{ message: "no map", path: ["pen"] }] } } };

export const events = defineEvents({
  Counted: schemaVersions(unchecked())
    .next(map, { up: (list) => new Map(list), down: (map) => [...map] })
    .writes(1),
  Noted: unchecked(),
});
export const codec = richJsonCodec({
  stringify: (value) => JSON.stringify({
    isMap: value instanceof Map,
    list: [...value].map(([key, count]) => [key, String(count)]),
  }),
  parse: (text) => {
    const { isMap, list } = JSON.parse(text);
    const counts = list.map(([key, count]) => [key, BigInt(count)]);
    return isMap ? new Map(counts) : counts;
  },
});
`;

async function withApp(scene: Scene, run: (app: string, file: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  const app = join(folder, "app.ts");
  try {
    await Deno.writeTextFile(app, APP);
    await run(app, join(folder, "events.jsonl"));
    assertEquals((await aether(scene, "verify", "--app", app)).code, 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const form of [[], ["--cloudevents"]]) {
  natsTest(`rich data is exported and imported, ${form[0] ?? "as JSON lines"}`, async (scene) => {
    await withApp(scene, async (app, file) => {
      const { events, codec } = await import(pathToFileURL(app).href);
      const connection = await scene.connect();
      const { namespace } = scene;
      const options = { namespace, events, codec };
      await using store = await JetStreamEventStore.open(connection, options);
      const counted = {
        ...fact("order-1", 1, new Map([["pen", 2n ** 64n]])),
        eventType: "Counted",
      };
      const noted = { ...fact("order-1", 2, "plain"), eventType: "Noted" };
      await store.saveEvents([counted, noted]);

      const shown = await aether(scene, "show", "order-1", "--app", app);
      assertMatch(shown.out, /1 Counted \[\["pen","18446744073709551616n"\]\]/);
      const blind = await aether(scene, "export", file, ...form);
      assertEquals(blind.code, 1);
      assertMatch(blind.err, /Cannot read the event at .*open the store with its codec/);
      assertEquals((await aether(scene, "export", file, "--app", app, ...form)).code, 0);
      const lines = (await Deno.readTextFile(file)).trim().split("\n").map((it) => JSON.parse(it));
      assertEquals(lines.map(({ data }) => data), [form.length > 0 ? undefined : null, "plain"]);

      const other = `${namespace}-2`;
      const into = ["import", file, "--namespace", other, "--create"];
      const bare = await aether(scene, ...into, "--dry-run");
      assertMatch(
        bare.err,
        /Cannot import line 1: its data is encoded; let --app export the codec/,
      );
      const dry = await aether(scene, ...into, "--app", app, "--dry-run");
      assertMatch(dry.out, /^2 events would be saved/);
      assertMatch((await aether(scene, ...into, "--app", app)).out, /^2 events are saved/);
      await using copy = await JetStreamEventStore.open(connection, {
        ...options,
        namespace: other,
      });
      assertEquals(await copy.getEvents("order-1"), [counted, noted]);

      const bad = { ...lines[1], id: "b", eventType: "Counted", type: "Counted" };
      for (const eventType of ["Counted", "Misspelt"]) {
        await Deno.writeTextFile(file, JSON.stringify({ ...bad, eventType, type: eventType }));
        for (const flags of [["--dry-run"], []]) {
          const args = ["import", file, "--namespace", `${namespace}-3`, "--create", ...flags];
          const run = await aether(scene, ...args, "--app", app);
          assertEquals(run.code, 1);
          assertMatch(run.err, /data\.pen of "Counted": no map|"Misspelt" is not defined/);
        }
      }
    });
  });
}
