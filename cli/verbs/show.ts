import type { Event } from "../../store/mod.ts";
import { categoryOf } from "../../store/actor.ts";
import { exported } from "../event_json.ts";
import { safe, shown } from "../output.ts";
import { UsageError, type Verb } from "../verb.ts";

/** `aether show`. */
export const show: Verb = {
  usage: "ACTOR",
  summary: "Shows the events of an actor, and its state by your decider",
  details:
    "With --app, the state is folded by the decider of the actor's category. Events that cannot " +
    "be read are named with their places.",
  words: [1, 1],
  options: {
    at: {
      ...{ type: "string", value: "VERSION|TIME" },
      description: "Show the actor as it was: a version, or a time in ISO 8601",
    },
  },
  examples: [
    "aether show order-7 --namespace shop",
    "aether show order-7 --at 3 --app ./aether.ts",
    "aether show order-7 --at 2026-11-01T12:00:00Z --json",
  ],
  async run({ words: [actorId = ""], values, output, app, open }) {
    const isWanted = pastOf(values.at);
    const store = await open();
    const { events, errors } = await store.getEventsWithErrors(actorId);
    const wanted = events.filter(isWanted);
    for (const event of wanted) {
      const { version, eventType, timestamp, data, metadata } = event;
      const about = [
        timestamp.toISOString(),
        ...Object.entries(metadata ?? {}).map(([name, value]) => `${name}=${value}`),
      ].join(" ");
      output.item(
        `${version} ${safe(eventType)} ${safe(shown(data))} ${output.faint(safe(about))}`,
        exported(event),
      );
    }
    for (const { sequence, error } of errors) {
      output.item(output.red(safe(error.message)), { sequence, error: error.message });
    }
    const { deciders = {} } = app;
    const category = categoryOf(actorId);
    const decider = Object.hasOwn(deciders, category) ? deciders[category] : undefined;
    if (decider !== undefined) {
      const fold = (state: unknown, event: Event) => decider.evolve(state as never, event as never);
      const state = wanted.reduce(fold, decider.initialState());
      output.item(`state ${safe(shown(state))}`, { state });
    }
    if (wanted.length === 0 && errors.length === 0) {
      output.error(`"${safe(actorId)}" has no events${values.at === undefined ? "" : " by then"}`);
      return 1;
    }
    return errors.length > 0 ? 1 : 0;
  },
};

/** Whether an event was there at the time or version that `--at` names. */
function pastOf(at: string | boolean | undefined): (event: Event) => boolean {
  if (typeof at !== "string") return () => true;
  if (/^\d+$/.test(at)) return ({ version }) => version <= Number(at);
  const time = /^\d{4}-\d\d/.test(at) ? Date.parse(at) : NaN;
  if (Number.isNaN(time)) throw new UsageError(`--at ${at} is no version and no time`);
  return ({ timestamp }) => timestamp.getTime() <= time;
}
