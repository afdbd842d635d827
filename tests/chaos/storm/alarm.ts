/**
 * What the processes of a storm run: a counter that refuses some commands, and an alarm, a process
 * that waits for its time and has its bell rung.
 *
 * @module
 */

import type { Decider, Event, OutgoingDecider, Process } from "../../../store/mod.ts";

/** A command to a counter. */
export interface Count {
  readonly by: number;
  /** The operation that asks for it. */
  readonly op: string;
}

/** The state of a counter. */
export interface Counted {
  readonly count: number;
  readonly sum: number;
}

/** Refuses whatever would make up a multiple of five; counts once or twice. */
export const counter: Decider<Counted, Count, Event<"Counted", Count>> = {
  initialState: () => ({ count: 0, sum: 0 }),
  evolve: ({ count, sum }, { data: { by } }) => ({ count: count + 1, sum: sum + by }),
  decide: ({ by, op }, { sum }) => {
    if ((sum + by) % 5 === 0) throw new RangeError(`${sum + by} is a multiple of five`);
    const event = { eventType: "Counted", data: { by, op } } as const;
    return by % 2 === 0 ? event : [event, { ...event, data: { by: 0, op } }];
  },
};

/** What a process is asked for. */
export type Asked = Event<"Asked", { readonly within: number; readonly op: string }>;

/** The bells of alarms. */
export const BELLS: Readonly<Record<string, OutgoingDecider>> = {
  bell: {
    initialState: () => 0,
    evolve: (rings: number) => rings + 1,
    decide: () => ({ eventType: "Rang", data: null }),
  } satisfies Decider<number, unknown, Event<"Rang", null>>,
};

/** Sets a deadline, has the bell rung when it comes, and ends when that is done. */
export const alarm: Process<null, Asked, Event<"Armed" | "Rung", null>> = {
  name: "alarm",
  correlate: ({ actorId }) => actorId.slice("ask-".length),
  initialState: () => null,
  evolve: () => null,
  react: (_, input, { id, now }) => {
    if (!("kind" in input)) {
      const ring = new Date(now.getTime() + input.data.within);
      return { facts: [{ eventType: "Armed", data: null }], deadlines: { ring } };
    }
    if (input.kind === "deadline") {
      return { commands: [{ actorId: `bell-${id}`, command: "ring" }] };
    }
    return { facts: [{ eventType: "Rung", data: null }], done: true };
  },
};
