import { createReadStream } from "node:fs";
import { access } from "node:fs/promises";
import process from "node:process";
import { importEvents } from "../import.ts";
import { linesOf } from "../output.ts";
import type { Verb } from "../verb.ts";

/** `aether import`. */
export const importVerb: Verb = {
  usage: "[FILE]",
  summary: "Saves exported events, with their ids, times, versions and order",
  details:
    "FILE holds JSON lines or CloudEvents; - or none is the standard input. Events that are there " +
    "already are passed over, so an import that was ended is run again. `transform` of --app makes " +
    "others of them; versions are counted anew then.",
  words: [0, 1],
  options: {
    "dry-run": { type: "boolean", description: "Check all lines, save nothing" },
    create: { type: "boolean", description: "Make the store if there is none" },
  },
  examples: [
    "aether import shop.jsonl --namespace shop2 --create --dry-run",
    "aether import shop.jsonl --namespace shop2 --create --app ./rename.ts",
  ],
  async run({ words: [file = "-"], values, output, app, signal, open }) {
    if (file !== "-") await access(file); // Before a store is made for it.
    const store = await open();
    const bytes = file === "-" ? process.stdin : createReadStream(file);
    const start = performance.now();
    const { saved, present, forgotten, moved } = await importEvents(store, linesOf(bytes), {
      ...{ dryRun: values["dry-run"] === true, signal },
      ...(app.codec !== undefined && { codec: app.codec }),
      ...(app.transform !== undefined && { transform: app.transform as never }),
      onProgress: (done) => output.progress(() => `${done.toLocaleString("en")} events are done`),
    });
    const rate = Math.round((saved + present) / ((performance.now() - start) / 1000));
    const verb = values["dry-run"] === true ? "would be saved" : "are saved";
    output.item(`${saved} events ${verb}, ${present} were there, ${rate} a second`, {
      ...{ saved, present, forgotten, moved, dryRun: values["dry-run"] === true },
    });
    if (forgotten > 0) output.error(`${forgotten} events are forgotten, and are passed over`);
    if (moved > 0) {
      output.error(
        `${moved} commits are stored before earlier ones, as the server answered late; each actor's ` +
          "order is kept",
      );
    }
    return 0;
  },
};
