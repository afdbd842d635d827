import {
  given,
  needDecider,
  needFunction,
  needMethods,
  needObject,
  needOptionalFunctions,
  needOptionalMethods,
  needString,
} from "../base/given.ts";
import { needStore } from "../check/query.ts";
import { needCommandLog } from "../command_log.ts";
import type { Event, RecordedEvent } from "../event.ts";
import type { EventFilter } from "../options.ts";
import type { CheckpointStore } from "../projection/checkpoint_store.ts";
import type { ProjectionLeases } from "../projection/leases.ts";
import type { HandlingTrace } from "../projection/monitor.ts";
import type { ProjectionRetry, ProjectionStart } from "../projection/options.ts";
import type { EventStore } from "../store.ts";
import type { DeadlineClock } from "../timer/clock.ts";
import type { Effect } from "./effect.ts";
import type { OpenCommand, OpenDeadline, OpenEffect, ParkedAt } from "./ledger.ts";
import type { OutgoingDecider, SendCommand } from "./outgoing.ts";
import type { Process } from "./process.ts";

/** Options for {@linkcode ProcessManager}. */
export interface ProcessManagerOptions<
  State = unknown,
  Input extends Event = Event,
  Fact extends Event = Event,
> {
  /** The rules. */
  readonly process: Process<State, Input, Fact>;
  /** The store of the events, and of the processes' own histories. */
  readonly store: EventStore;
  /** Keeps positions, and the index of what is open; transactions are not used. */
  readonly checkpoints: Pick<CheckpointStore, "load" | "save">;
  /** Shares the work among the processes that run it. @default {this process does all} */
  readonly leases?: ProjectionLeases;
  /**
   * Which events are given to `correlate`. A change applies only to events that come after it, and to
   * those that a parked process has missed.
   *
   * @default {all but those of processes of this kind}
   */
  readonly filter?: EventFilter;
  /**
   * Where a new manager begins. There is no default: `"start"` begins processes for all events that
   * are stored already.
   */
  readonly from: ProjectionStart;
  /** The deciders of targets on the store, by category: commands to them are executed on it. */
  readonly deciders?: Readonly<Record<string, OutgoingDecider>>;
  /** Takes commands to all other targets. @default {there are none} */
  readonly send?: SendCommand;
  /** The effects that its processes may call outside of the store. @default {nothing} */
  readonly effects?: readonly Effect[];
  /** The time by which deadlines are due. @default {the clock of the store's server} */
  readonly clock?: DeadlineClock;
  /** Into how many partitions sources and processes are divided, 256 at most. @default {16} */
  readonly partitions?: number;
  /**
   * How the spans of inputs and of what they lead to are joined to the spans that made the events:
   * see {@linkcode ReactorOptions.trace}. A deadline that has come begins a trace of its own, linked to
   * the input that set it.
   *
   * @default {"child"}
   */
  readonly trace?: HandlingTrace;
  /** How an input is tried again if the process's code throws, before the process is parked. */
  readonly retry?: ProjectionRetry;
  /**
   * The fate of an event that cannot be read, or that `correlate` throws for: `"park"` lets it
   * wait with the later ones of its actor (see {@linkcode ProcessManager.parkedActors}), `"halt"` ends
   * the manager.
   *
   * @default {"halt"}
   */
  readonly onPoison?: "halt" | "park";
  /** Called for each failure that is followed by another try. @default {console.warn} */
  readonly onError?: (error: unknown, event?: RecordedEvent) => void;
}

/** The things that a process waits for; see {@linkcode ProcessManager.describe}. */
export interface ProcessDescription<State = unknown> {
  /** The process's id. */
  readonly id: string;
  /** The actor that is its history. */
  readonly actorId: string;
  /** Its version; 0 if there is no such process. */
  readonly version: number;
  /** Its state; `undefined` if its code cannot fold it. */
  readonly state: State | undefined;
  /** Commands that were issued, and whose outcome is not taken in yet. */
  readonly commands: readonly OpenCommand[];
  /** Effects that were called, and whose end is not taken in yet. */
  readonly effects: readonly OpenEffect[];
  /** Deadlines that are set and have not come. */
  readonly deadlines: readonly OpenDeadline[];
  /** Where and why it is parked, if it is. */
  readonly parked: (ParkedAt & { readonly since: Date }) | undefined;
  /** Whether it has ended, and why if that was by hand. */
  readonly ended: { readonly reason?: string } | undefined;
}

/**
 * Refuses options of another kind than a manager needs.
 *
 * @throws {TypeError} One is missing, or something else.
 */
export function checkManager<State, Input extends Event, Fact extends Event>(
  options: ProcessManagerOptions<State, Input, Fact>,
): void {
  needObject(options, "manage processes", "options");
  const { process, store, checkpoints, deciders = {}, effects = [], clock } = options;
  needObject(process, "manage processes", "process");
  needString(process.name, "manage processes", "the name of the process");
  const what = `manage "${process.name}"`;
  for (const method of ["correlate", "initialState", "evolve", "react"] as const) {
    needFunction(process[method], what, `${method} of the process`);
  }
  needStore(store, what);
  needCommandLog(store, what);
  needMethods(checkpoints, ["load", "save"], what, "checkpoints", "a CheckpointStore");
  needObject(deciders, what, "deciders", "an object with a decider for each category");
  for (const [category, decider] of Object.entries(deciders)) {
    needDecider(decider, what, `the decider of "${category}"`);
  }
  if (!Array.isArray(effects)) {
    throw new TypeError(`Cannot ${what}: effects is ${given(effects)}, not an array`);
  }
  const names = new Set<string>();
  for (const one of effects) {
    needMethods(one, ["run"], what, "an effect", "what effect() gives");
    needString(one.name, what, "the name of an effect");
    needObject(one.retry, what, `retry of effect "${one.name}"`);
    if (names.has(one.name)) {
      throw new TypeError(`Cannot ${what}: two of its effects are named "${one.name}"`);
    }
    names.add(one.name);
  }
  needOptionalMethods(clock, ["now", "wait"], what, "clock", "an object with now and wait");
  needOptionalFunctions(options, ["send", "onError"], what);
}
