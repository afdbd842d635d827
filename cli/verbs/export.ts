import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { cloudEvent, encodedLine, exported } from "../event_json.ts";
import { jsonLine } from "../output.ts";
import { numberIn, type Verb } from "../verb.ts";

/** Characters that are written at once. */
const CHUNK = 64 * 1024;

/** `aether export`. */
export const exportVerb: Verb = {
  usage: "[FILE]",
  summary: "Writes all events as JSON lines, to FILE or the standard output",
  details:
    "Events have their newest shape, by the upcasters of --app. What is written ends where the store " +
    "ended when it began.",
  words: [0, 1],
  options: {
    cloudevents: { type: "boolean", description: "Write CloudEvents 1.0" },
    from: { type: "string", value: "POSITION", description: "Begin there" },
  },
  examples: [
    "aether export shop.jsonl --namespace shop",
    "aether export --cloudevents | gzip > a.gz",
  ],
  async run({ words: [file], values, output, namespace, app, signal, open }) {
    const from = numberIn(values, "from", undefined);
    const store = await open();
    const target = file === undefined ? undefined : createWriteStream(file);
    let failure: Error | undefined;
    target?.on("error", (error) => failure = error); // A full disk, say.
    if (target !== undefined) await once(target, "open");
    let text = "";
    let count = 0;
    let [whole, partly] = [0, 0];
    const write = async () => {
      if (failure !== undefined) throw failure; // Nothing tells of it again.
      if (target === undefined) output.raw(text);
      else if (!target.write(text)) await once(target, "drain");
      text = "";
    };
    try {
      for await (const event of store.readAll({ ...(from !== undefined && { from }), signal })) {
        const line = await encodedLine(exported(event), event, app.codec);
        const value = values.cloudevents === true
          ? cloudEvent(line, `/aether/${encodeURIComponent(namespace)}`)
          : line;
        text += `${jsonLine(value)}\n`;
        if (text.length > CHUNK) await write();
        count++;
        if (line.forgotten === true) whole++;
        else if (line.forgotten !== undefined) partly++;
        output.progress(() => `${count.toLocaleString("en")} events are written`);
      }
      await write();
    } finally {
      if (target !== undefined) {
        target.end();
        if (!target.closed) await once(target, "close");
      }
    }
    if (failure !== undefined) throw failure;
    output.error(`${count} events are written`);
    if (whole > 0) output.error(`${whole} of them are forgotten, without data`);
    if (partly > 0) output.error(`${partly} of them lack fields that are forgotten`);
    return 0;
  },
};
