import type { RecordedEvent } from "../../store/mod.ts";
import { exported } from "../event_json.ts";
import { safe } from "../output.ts";
import type { Verb } from "../verb.ts";

/** `aether why`. */
export const why: Verb = {
  usage: "EVENT",
  summary: "Shows what led to an event, and what it led to, as a tree",
  details:
    "EVENT is an event's id. The tree is made of the events with the same correlationId, by their " +
    "causationId; the whole store is read once for it.",
  words: [1, 1],
  examples: ["aether why 019abc12-7d3e-7f00-8000-0123456789ab --namespace shop"],
  async run({ words: [id = ""], output, signal, open }) {
    const store = await open();
    const found = await related(
      store.readAll({ signal }),
      id,
      (count) => output.progress(() => `${count.toLocaleString("en")} events read`),
    );
    if (found === undefined) {
      output.error(`There is no event "${safe(id)}"`);
      return 1;
    }
    const { roots, effects } = found;
    const print = (event: RecordedEvent, indent: string, branch: string, depth: number) => {
      const mark = event.id === id ? "* " : "";
      const { actorId, version, eventType, timestamp } = event;
      output.item(
        `${indent}${branch}${mark}${safe(eventType)} of ${safe(actorId)} at ${version} ` +
          output.faint(timestamp.toISOString()),
        { depth, wanted: event.id === id, ...exported(event) },
      );
      const below = effects.get(event.id) ?? [];
      const next = indent + (branch === "" ? "" : branch === "├─ " ? "│  " : "   ");
      below.forEach((effect, at) =>
        print(effect, next, at === below.length - 1 ? "└─ " : "├─ ", depth + 1)
      );
    };
    for (const root of roots) print(root, "", "", 0);
    return 0;
  },
};

/** The events of one correlation: those without a cause among them, and the effects of each. */
async function related(
  events: AsyncIterable<RecordedEvent>,
  id: string,
  onRead: (count: number) => void,
) {
  const kin = new Map<string, RecordedEvent[]>();
  const byId = new Map<string, RecordedEvent>();
  let count = 0;
  for await (const event of events) {
    onRead(++count);
    const { correlationId, causationId } = event.metadata ?? {};
    if (correlationId === undefined && causationId === undefined && event.id !== id) {
      // It may be the first cause: its effects name it.
      byId.set(event.id, { ...event, data: null });
      continue;
    }
    byId.set(event.id, event);
    const key = correlationId ?? event.id;
    const same = kin.get(key);
    if (same === undefined) kin.set(key, [event]);
    else same.push(event);
  }
  const wanted = byId.get(id);
  if (wanted === undefined) return undefined;
  const members = new Set(kin.get(wanted.metadata?.correlationId ?? id) ?? [wanted]);
  members.add(wanted);
  // Causes that have no correlation themselves, and effects that name a cause only.
  for (const event of [...members]) {
    const cause = byId.get(event.metadata?.causationId ?? "");
    if (cause !== undefined) members.add(cause);
  }
  const ids = new Set([...members].map((event) => event.id));
  for (const event of byId.values()) {
    if (ids.has(event.metadata?.causationId ?? "") && !members.has(event)) {
      members.add(event);
      ids.add(event.id);
    }
  }
  const effects = new Map<string, RecordedEvent[]>();
  const roots: RecordedEvent[] = [];
  for (const event of [...members].sort((a, b) => a.sequence - b.sequence)) {
    const cause = event.metadata?.causationId;
    if (cause === undefined || !ids.has(cause) || cause === event.id) roots.push(event);
    else effects.set(cause, [...effects.get(cause) ?? [], event]);
  }
  return { roots, effects };
}
