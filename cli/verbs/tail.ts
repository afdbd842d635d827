import { exported } from "../event_json.ts";
import { safe, shown } from "../output.ts";
import { numberIn, UsageError, type Values, type Verb } from "../verb.ts";

/** `aether tail`. */
export const tail: Verb = {
  usage: "",
  summary: "Prints events as they are saved, until Ctrl-C",
  lasts: true,
  words: [0, 0],
  options: {
    category: { type: "string", value: "NAME", description: "Only actors of this category" },
    actor: { type: "string", value: "ID", description: "Only this actor" },
    type: { type: "string", value: "A,B", description: "Only these types of events" },
    from: {
      ...{ type: "string", value: "start|now|POSITION" },
      description: "Where to begin (now)",
    },
    limit: { type: "string", value: "N", description: "End after so many events (0 is all)" },
  },
  examples: ["aether tail --category order", "aether tail --from start --limit 10 --json"],
  async run({ values, output, signal, open }) {
    const from = placeIn(values);
    const most = numberIn(values, "limit", 0) || Infinity;
    const store = await open();
    const { category, actor, type } = values as Record<string, string>;
    const filter = {
      ...(category !== undefined && { category }),
      ...(actor !== undefined && { actorId: actor }),
      ...(type !== undefined && { eventTypes: type.split(",") }),
    };
    let seen = 0;
    const options = { from, filter, signal };
    const events = store.subscribe(options);
    events.caughtUp.then(
      () => output.error("Waiting for events; Ctrl-C ends it"),
      () => {}, // The loop below has the reason.
    );
    for await (const event of events) {
      const { actorId, version, eventType, timestamp, data } = event;
      output.item(
        `${output.faint(timestamp.toISOString())} ${safe(actorId)} ${version} ` +
          `${safe(eventType)} ${safe(shown(data))}`,
        exported(event),
      );
      if (++seen >= most) break;
    }
    return 0;
  },
};

function placeIn(values: Values): "start" | "now" | number {
  const { from = "now" } = values;
  if (from === "start" || from === "now") return from;
  if (/^\d+$/.test(String(from))) return numberIn(values, "from", 0);
  throw new UsageError(`--from ${from} is neither start nor now nor a position`);
}
