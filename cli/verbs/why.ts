import type { RecordedEvent } from "../../store/mod.ts";
import { exported } from "../event_json.ts";
import { safe } from "../output.ts";
import type { Verb } from "../verb.ts";

/** Signs in front of an effect: of the last one of its cause, and of the others. */
const [LAST, FORK] = ["└─ ", "├─ "];
/** Characters that a line is indented at most. */
const WIDEST = 150;

/** An event in the tree, and what stands in front of it. */
interface Branch {
  readonly event: RecordedEvent;
  readonly indent: string;
  readonly branch: string;
}

/** `aether why`. */
export const why: Verb = {
  usage: "EVENT",
  summary: "Shows what led to an event, and what it led to, as a tree",
  details:
    "EVENT is an event's id. The tree is made of the events with the same correlationId, by their " +
    "causationId; the whole store is read for it.",
  words: [1, 1],
  examples: ["aether why 019abc12-7d3e-7f00-8000-0123456789ab --namespace shop"],
  async run({ words: [id = ""], output, signal, open }) {
    const store = await open();
    let count = 0;
    const read = async function* () {
      for await (const event of store.readAll({ signal })) {
        yield event;
        count++;
        output.progress(() => `${count.toLocaleString("en")} events are read`);
      }
    };
    const found = await related(read, id);
    if (found === undefined) {
      output.error(`There is no event "${safe(id)}"`);
      return 1;
    }
    const { roots, effects } = found;
    const todo: Branch[] = roots.map((event) => ({ event, indent: "", branch: "" })).reverse();
    const shown = new Set<string>(); // Hostile events may be causes of each other.
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const { event, indent, branch } = next;
      if (shown.has(event.id)) continue;
      shown.add(event.id);
      const mark = event.id === id ? "* " : "";
      const { actorId, version, eventType, timestamp } = event;
      output.item(
        `${indent}${branch}${mark}${safe(eventType)} of ${safe(actorId)} at ${version} ` +
          output.faint(timestamp.toISOString()),
        { wanted: event.id === id, ...exported(event) },
      );
      const below = effects.get(event.id) ?? [];
      const deeper = branch === "" ? "" : branch === LAST ? "   " : "│  ";
      const further = indent.length < WIDEST ? indent + deeper : indent;
      below.map((event, at) => ({
        ...{ event, indent: further, branch: at === below.length - 1 ? LAST : FORK },
      })).reverse().forEach((it) => todo.push(it));
    }
    return 0;
  },
};

/**
 * The events that belong together with the event `id`: those without a cause among them, and the effects
 * of each. Reads twice, and keeps no more than these: what an event led to is stored behind it.
 */
async function related(read: () => AsyncIterable<RecordedEvent>, id: string) {
  const wanted = await first(read(), id);
  if (wanted === undefined) return undefined;
  const { correlationId = id, causationId } = wanted.metadata ?? {};
  const members = new Map<string, RecordedEvent>();
  for await (const event of read()) {
    const { correlationId: own, causationId: cause } = event.metadata ?? {};
    const isKin = event.id === id || event.id === correlationId || event.id === causationId ||
      own === correlationId || (cause !== undefined && members.has(cause));
    if (isKin) members.set(event.id, event);
  }
  const effects = new Map<string, RecordedEvent[]>();
  const roots: RecordedEvent[] = [];
  for (const event of members.values()) {
    const cause = event.metadata?.causationId;
    if (cause === undefined || !members.has(cause) || cause === event.id) {
      roots.push(event);
      continue;
    }
    const others = effects.get(cause);
    if (others === undefined) effects.set(cause, [event]);
    else others.push(event);
  }
  if (roots.length === 0) roots.push(wanted);
  return { roots, effects };
}

async function first(
  events: AsyncIterable<RecordedEvent>,
  id: string,
): Promise<RecordedEvent | undefined> {
  for await (const event of events) if (event.id === id) return event;
  return undefined;
}
