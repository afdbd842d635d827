/**
 * A process that notes what it was given.
 *
 * @module
 */

import {
  type CheckpointStore,
  type Event,
  type Process,
  ProcessManager,
  type ProcessManagerOptions,
} from "../../../mod.ts";
import type { Placed } from "./order.ts";

export type Saw = Event<"Saw", string>;
export type State = readonly string[];
/** Options of a manager of notes. */
export type Options = ProcessManagerOptions<State, Placed, Saw>;

/** Notes the actors of its inputs; each event is for the process that `correlate` says. */
export function notes(
  change: Partial<Process<State, Placed, Saw>> = {},
): Process<State, Placed, Saw> {
  return {
    name: "notes",
    correlate: () => "all",
    initialState: () => [],
    evolve: (seen, { data }) => [...seen, data],
    react: (_seen, input) =>
      "kind" in input ? {} : { facts: [{ eventType: "Saw", data: input.actorId }] },
    ...change,
  };
}

/** A manager of notes that tries once. */
export function manage(
  { store, checkpoints }: Pick<Options, "store"> & { readonly checkpoints: CheckpointStore },
  options: Partial<Options> = {},
): ProcessManager<State, Placed, Saw> {
  return new ProcessManager<State, Placed, Saw>({
    ...{ process: notes(), store, checkpoints, from: "start", filter: { category: "order" } },
    ...{ retry: { attempts: 1, delay: 1 }, onError: () => {} },
    ...options,
  });
}
