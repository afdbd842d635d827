/** The targets of the figures. */
import type { Comparison, Section } from "./chapter.ts";
import type { Figures } from "./measure.ts";

/** A target that the run has measured. */
export interface Outcome {
  readonly what: string;
  readonly measured: string;
  readonly target: string;
  readonly met: boolean;
}

interface Target {
  readonly what: string;
  readonly of: (found: Found) => number | undefined;
  readonly atMost?: number;
  readonly atLeast?: number;
  readonly unit?: "/s" | "ms";
}

/** The figures of a run. */
export class Found {
  readonly #sections: readonly Section[];

  constructor(sections: readonly Section[]) {
    this.#sections = sections;
  }

  /** The comparisons of sections whose titles begin so. */
  in(title: string): readonly Comparison[] {
    return this.#sections.find((section) => section.title.startsWith(title))?.comparisons ?? [];
  }

  /** The figures of one way. */
  way(title: string, work: string, name: string): Figures | undefined {
    const comparison = this.in(title).find((it) => it.work === work);
    return comparison?.ways.find((figures) => figures.name === name);
  }

  /** How many times as fast as the baseline. */
  speed(title: string, work: string, name: string): number | undefined {
    return this.way(title, work, name)?.speed?.p50;
  }

  /** Its time in times of the baseline. */
  cost(title: string, work: string, name: string): number | undefined {
    const speed = this.speed(title, work, name);
    return speed === undefined ? undefined : 1 / speed;
  }

  /** The slowest of a way to its quickest, by medians, over the comparisons with an `x` up to a million. */
  flatness(title: string, name: string): number | undefined {
    const times = this.in(title)
      .filter(({ x = Infinity }) => x <= 1_000_000)
      .flatMap(({ ways }) => ways.filter((it) => it.name === name))
      .map(({ run }) => run.p50);
    return times.length < 2 ? undefined : Math.max(...times) / Math.min(...times);
  }
}

const LOOKUPS = "Latest versions";
const SAVES = "Saves of one event, one server";
const HISTORIES = "Histories";
const JOINT = "Decisions over several actors";
const STEPS = "Steps of processes";

const TARGETS: readonly Target[] = [
  {
    what: "One save: its time in raw compare-and-set requests",
    of: (found) => found.cost(SAVES, "saves, one at a time", "saveEvent"),
    atMost: 1.05,
  },
  ...["10", "1,000", "100,000", "1,000,000"].map((count): Target => ({
    what: `Uncached lookup among ${count} events: its time in raw direct gets`,
    of: (found) => found.cost(LOOKUPS, `latest version among ${count} events`, "uncached"),
    atMost: 1,
  })),
  {
    what: "Uncached lookup, 10 to 1,000,000 events: the slowest median to the quickest",
    of: (found) => found.flatness(LOOKUPS, "uncached"),
    atMost: 1.15,
  },
  {
    what: "Uncached lookup, 1,000 to 1,000,000 actors: the slowest median to the quickest",
    of: (found) => found.flatness("Growth", "lookup, random actor"),
    atMost: 1.15,
  },
  {
    what: "1,000 saves in flight: times as fast as `js.publish`",
    of: (found) => found.speed(SAVES, "saves, 1,000 in flight", "saveEvent"),
    atLeast: 2.8,
  },
  {
    what:
      "64 saves in flight, `sync_interval: always`, `groupCommit`: times as fast as `js.publish`",
    of: (found) =>
      found.speed("Saves of one event, one server, sync", "saves, 64 in flight", "groupCommit"),
    atLeast: 2,
  },
  {
    what: "`getEvents` of 10 saves: its time in raw direct batches",
    of: (found) => {
      const [own, raw] = ["getEvents", "raw direct batch"].map((way) =>
        found.way(HISTORIES, "a history of 10 saves", way)?.run.p50
      );
      return own !== undefined && raw !== undefined ? own / raw : undefined;
    },
    atMost: 1.3,
  },
  ...([["1,000", 1], ["10,000", 1.3]] as const).map(([count, atLeast]): Target => ({
    what: `\`getEvents\` of ${count} saves: times as fast as an ordered consumer of large prefetch`,
    of: (found) => found.speed(HISTORIES, `a history of ${count} saves`, "getEvents"),
    atLeast,
  })),
  {
    what: "`getEvents` of 1,000 events in commits of ten: the same, beside as many single saves",
    of: (found) => {
      const [own, ordered] = [
        found.way(HISTORIES, "a history of 1,000 events in commits of ten", "getEvents"),
        found.way(HISTORIES, "a history of 1,000 saves", "ordered consumer, large prefetch"),
      ];
      return own && ordered ? ordered.run.p50 / own.run.p50 : undefined;
    },
    atLeast: 3,
  },
  {
    what: "`getEvents` of 10,000 in memory",
    of: (found) => found.way(HISTORIES, "10,000 events in memory", "getEvents")?.run.p50,
    atMost: 3,
    unit: "ms",
  },
  {
    what: "`getLatestVersions` of 1,000: times as fast as lookups in parallel",
    of: (found) => found.speed(LOOKUPS, "latest versions of 1,000 actors", "getLatestVersions"),
    atLeast: 10,
  },
  ...([[1, 550], [16, 3_000], [128, 8_000]] as const).map(([most, atLeast]): Target => ({
    what: `Commands through a cluster, ${most} in flight`,
    of: (found) =>
      found.way("Commands through", `commands through a cluster, ${most} in flight`, "send")
        ?.perSecond,
    atLeast,
    unit: "/s",
  })),
  ...["known", "new"].map((kind): Target => ({
    what: `\`execute\` with \`commandId\` and \`cause\`, ${kind} actors: its time in that without`,
    of: (found) =>
      found.cost("Commands with ids", `commands on ${kind} actors`, "with commandId and cause"),
    atMost: 1.1,
  })),
  ...([["replicas 3", 2_000, 500], ["one server", 1_500, 300]] as const).flatMap((
    [how, cold, hot],
  ): Target[] => [
    {
      what: `\`executeAll\` over 3 new actors, 64 in flight, ${how}`,
      of: (found) =>
        found.way(JOINT, `decisions over 3 new actors, 64 in flight, ${how}`, "executeAll")
          ?.perSecond,
      atLeast: cold,
      unit: "/s",
    },
    {
      what: `\`executeAll\` with one hot actor, 16 in flight, ${how}`,
      of: (found) =>
        found.way(
          JOINT,
          `decisions over one hot actor and 2 new ones, 16 in flight, ${how}`,
          "executeAll",
        )?.perSecond,
      atLeast: hot,
      unit: "/s",
    },
  ]),
  ...([["one program", 3_000], ["3 programs", 3_500]] as const).map(([name, atLeast]): Target => ({
    what: `Process steps, replicas 3, ${name}`,
    of: (found) => found.way(STEPS, `process steps, replicas 3, ${name}`, name)?.perSecond,
    atLeast,
    unit: "/s",
  })),
  {
    what: "From an event to the first command's, idle, median",
    of: (found) =>
      found.way(STEPS, "from an event to the first command's, idle", "one program")?.each?.p50,
    atMost: 5,
    unit: "ms",
  },
  {
    what: "100,000 deadlines over 60 s: 99th percentile of how late they are",
    of: (found) =>
      found.way("Deadlines", "100,000 deadlines due over 60 s", "one program")?.each?.p99,
    atMost: 200,
    unit: "ms",
  },
];

/** The targets beside the figures. */
export function outcomesOf(sections: readonly Section[]): Outcome[] {
  const found = new Found(sections);
  return TARGETS.flatMap(({ what, of, atMost, atLeast, unit }) => {
    const value = of(found);
    const show = (it: number) =>
      unit === "/s"
        ? `${Math.round(it).toLocaleString("en")}/s`
        : `${it.toFixed(2)}${unit === undefined ? "" : ` ${unit}`}`;
    const target = atMost !== undefined ? `at most ${show(atMost)}` : `at least ${show(atLeast!)}`;
    if (value === undefined) return [];
    const met = atMost !== undefined ? value <= atMost : value >= atLeast!;
    return [{ what, measured: show(value), target, met }];
  });
}
