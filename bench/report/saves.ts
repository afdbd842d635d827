/** Saves of one event: alone and in flight, on the servers that there are. */
import type { Event, EventStore } from "../../mod.ts";
import { bodyOf, eventOf, saveHeaders, Scene, subjectOf } from "../scene.ts";
import { type Chapter, type Comparison, type Context, pointsOf } from "./chapter.ts";
import { inFlight, type Way } from "./measure.ts";

const TIMEOUT = 30_000;
const PLACES = [
  { place: "one server", options: {}, flights: [1, 16, 64, 256, 1000] },
  { place: "one server, sync always", options: { sync: "always" }, flights: [1, 16, 64, 1000] },
  { place: "three replicas", options: { replicas: 3 }, flights: [1, 64, 1000] },
] as const;

export const saves: Chapter = {
  name: "saves",
  async run(context) {
    const sections = [];
    for (const { place, options, flights } of PLACES) {
      await using scene = await Scene.open(options);
      await using grouping = await scene.openStore({ ...options, groupCommit: true });
      const comparisons: Comparison[] = [];
      for (const most of context.size<readonly number[]>(flights, [1, 16])) {
        comparisons.push(await save(context, scene, grouping, place, most));
      }
      if (place === "one server") comparisons.push(await oneActor(context, scene));
      sections.push({
        title: `Saves of one event, ${place}`,
        about: "Beside raw publishes of the same bodies with the same headers, compare-and-set " +
          "included: requests one at a time, `js.publish` in flight. Each save is of another actor. " +
          "`groupCommit` is the option of that name.",
        comparisons,
        charts: [{
          file: `saves-${place.replaceAll(/\W+/g, "-")}`,
          title: `Saves of one event, ${place}`,
          x: "saves in flight",
          y: "saves a second",
          points: pointsOf(comparisons, ({ perSecond }) => perSecond),
        }],
      });
    }
    return sections;
  },
};

/** Actors whose next event is made when it is needed; each in turn. */
class Actors {
  readonly #prefix: string;
  readonly #versions: number[];
  /** The sequence of each actor's last message. */
  readonly sequences: number[];
  #next = 0;

  constructor(prefix: string, count: number) {
    this.#prefix = prefix;
    this.#versions = Array(count).fill(0);
    this.sequences = Array(count).fill(0);
  }

  /** The next events, each of another actor. */
  next(count: number): { readonly at: number; readonly event: Event }[] {
    return Array.from({ length: count }, () => {
      const at = this.#next++ % this.#versions.length;
      return { at, event: eventOf(`${this.#prefix}-${at}`, ++this.#versions[at]!) };
    });
  }
}

function save(
  context: Context,
  { store, js, connection }: Scene,
  grouping: EventStore,
  place: string,
  most: number,
): Promise<Comparison> {
  const ops = most === 1 ? 1 : context.size(Math.max(2 * most, 500), 50);
  const prefix = `${place.replaceAll(/\W+/g, "-")}${most}`;
  const [own, raw, grouped] = ["own", "raw", "grouped"]
    .map((it) => new Actors(`${it}_${prefix}`, ops)) as [Actors, Actors, Actors];
  const publish = async ({ at, event }: { at: number; event: Event }): Promise<void> => {
    const subject = subjectOf(event.actorId);
    const headers = saveHeaders(event, raw.sequences[at]!);
    const options = { headers, timeout: TIMEOUT };
    const ack = most === 1
      ? (await connection.request(subject, bodyOf(event), options)).json<{ seq: number }>()
      : await js.publish(subject, bodyOf(event), options);
    raw.sequences[at] = ack.seq;
  };
  const ways: Way[] = [
    {
      name: most === 1 ? "raw request" : "js.publish",
      ops,
      run: () => inFlight(raw.next(ops), most, publish),
    },
    {
      name: "saveEvent",
      ops,
      run: () => inFlight(own.next(ops), most, ({ event }) => store.saveEvent(event)),
    },
    {
      name: "groupCommit",
      ops,
      run: () => inFlight(grouped.next(ops), most, ({ event }) => grouping.saveEvent(event)),
    },
  ];
  const many = most === 1 ? "one at a time" : `${most.toLocaleString("en")} in flight`;
  return context.compare(`saves, ${many}`, ways, most);
}

/** Saves of one actor: the store puts those that wait together. */
function oneActor(context: Context, { store }: Scene): Promise<Comparison> {
  const ops = context.size(1000, 20);
  const [turn, queue] = [new Actors("turn", 1), new Actors("queue", 1)];
  const save = ({ event }: { event: Event }) => store.saveEvent(event);
  return context.compare(`${ops.toLocaleString("en")} saves of one actor`, [
    { name: "in turn", ops, run: () => inFlight(turn.next(ops), 1, save) },
    { name: "at once", ops, run: () => inFlight(queue.next(ops), ops, save) },
  ]);
}
