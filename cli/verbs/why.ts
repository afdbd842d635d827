import { findKin, treeOf } from "../../inspector/look/kin.ts";
import { exported } from "../event_json.ts";
import { safe } from "../output.ts";
import type { Verb } from "../verb.ts";

/** Signs in front of an effect: of the last one of its cause, and of the others. */
const [LAST, FORK] = ["└─ ", "├─ "];
/** Characters that a line is indented at most. */
const WIDEST = 150;

/** `aether why`. */
export const why: Verb = {
  usage: "EVENT",
  summary: "Shows what led to an event, and what it led to, as a tree",
  details:
    "EVENT is an event's id. The tree is made of the events with the same correlationId, by their " +
    "causationId. The store is read for it: from a day before, if the ids are of UUID version 7.",
  words: [1, 1],
  examples: ["aether why 019abc12-7d3e-7f00-8000-0123456789ab --namespace shop"],
  async run({ words: [id = ""], output, signal, open }) {
    const store = await open();
    let count = 0;
    const onRead = (_position: number, events: number) => {
      count += events;
      output.progress(() => `${count.toLocaleString("en")} events are read`);
    };
    const kin = await findKin(store, id, { signal, onRead });
    if (kin === undefined) {
      output.error(`There is no event "${safe(id)}"`);
      return 1;
    }
    /** The indentation of an event, and of its effects. */
    const indents = new Map<string, { readonly below: string; readonly own: string }>();
    for (const { event, effects } of treeOf(kin)) {
      const { below, own } = indents.get(event.id) ?? { below: "", own: "" };
      const mark = event.id === id ? "* " : "";
      const { actorId, version, eventType, timestamp } = event;
      output.item(
        `${own}${mark}${safe(eventType)} of ${safe(actorId)} at ${version} ` +
          output.faint(timestamp.toISOString()),
        { wanted: event.id === id, ...exported(event) },
      );
      for (const [at, effect] of effects.entries()) {
        const isLast = at === effects.length - 1;
        const deeper = below.length < WIDEST ? (isLast ? "   " : "│  ") : "";
        indents.set(effect.id, { own: below + (isLast ? LAST : FORK), below: below + deeper });
      }
    }
    return 0;
  },
};
