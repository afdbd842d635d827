/**
 * The counters that tests of commands work on: each command adds, and says which it was.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Decider, Event, EventStore } from "../../store/mod.ts";

/** An event of a counter. */
export type CounterEvent =
  | Event<"Added", { by: number; command: string }>
  | Event<"Closed", null>;

/** A command to a counter. */
export type CounterCommand =
  | { type: "add"; by: number; command?: string }
  | { type: "add often"; times: number }
  | { type: "close" }
  | { type: "look" };

/** The state of a counter. */
export interface Counter {
  readonly total: number;
  readonly open: boolean;
}

/** The refusal of a closed counter. */
export class ClosedError extends Error {
  override readonly name = "ClosedError";
}

/** Adds as long as it is open. */
export const counter: Decider<Counter, CounterCommand, CounterEvent> = {
  initialState: () => ({ total: 0, open: true }),
  evolve: (state, event) => {
    switch (event.eventType) {
      case "Added":
        return { ...state, total: state.total + event.data.by };
      case "Closed":
        return { ...state, open: false };
    }
  },
  decide: (command, state) => {
    if (command.type === "look") return [];
    if (!state.open) throw new ClosedError("The counter is closed");
    switch (command.type) {
      case "add":
        return added(command.by, command.command);
      case "add often":
        return Array.from({ length: command.times }, () => added(1));
      case "close":
        return { eventType: "Closed", data: null };
    }
  },
};

function added(by: number, command = "") {
  return { eventType: "Added", data: { by, command } } as const;
}

/** A command that adds 1 and can be found again. */
export function add(command: string): CounterCommand {
  return { type: "add", by: 1, command };
}

/** Checks that the actor holds just the events of `commands`, once each, without a gap. */
export async function assertOnce(
  store: EventStore,
  actorId: string,
  commands: readonly string[],
): Promise<void> {
  const events = await store.getEvents<CounterEvent>(actorId);
  assertEquals(events.map(({ version }) => version), events.map((_, at) => at + 1));
  const found = events.map(({ data }) => data?.command);
  assertEquals(found.sort(), [...commands].sort());
}
