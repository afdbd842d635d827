import {
  needFunction,
  needMethods,
  needObject,
  needOptionalFunctions,
  needString,
} from "../base/given.ts";
import { guarded } from "../base/guarded.ts";
import { print } from "../base/hook.ts";
import { textOf } from "../base/text.ts";
import { checkRange, filterAsGiven, needStore, prepareReadAll } from "../check/query.ts";
import type { Event, RecordedEvent } from "../event.ts";
import { timestampProblem } from "../format/decode.ts";
import type { EventFilter } from "../options.ts";
import type { CheckpointStore } from "./checkpoint_store.ts";
import type { ProjectionHandler } from "./handler.ts";
import type { ProjectionLeases } from "./leases.ts";
import type { FailurePolicy, HeldPartition } from "./partition.ts";
import type { HandlingTrace } from "./monitor.ts";
import type { SharedParts } from "./runner.ts";
import { MAX_PARTITIONS, type ProjectionBeginning, type SkippedMessage } from "./state.ts";
import type { EventStore } from "../store.ts";
import { positionsOf } from "../store_positions.ts";

/** How an event is tried again after its handler has failed. */
export interface ProjectionRetry {
  /** Tries in all; `Infinity` never gives up. @default {10} */
  readonly attempts?: number;
  /** Wait before the second try, in ms; it doubles with each, and half of it is random. @default {100} */
  readonly delay?: number;
  /** The longest wait, in ms. @default {10_000} */
  readonly maxDelay?: number;
}

/** Where a new projection begins: see `from` of {@linkcode ProjectionOptions}. */
export type ProjectionStart = "start" | "now" | number | Date;

/** Options for {@linkcode Projection}. */
export interface ProjectionOptions<Tx = undefined, E extends Event = Event> {
  /** Distinguishes it from other projections with the same checkpoint store; 200 bytes at most. */
  readonly name: string;
  /** The store whose events it handles. */
  readonly store: EventStore;
  /** Keeps its position. */
  readonly checkpoints: CheckpointStore<Tx>;
  /** Handles the events. */
  readonly handler: ProjectionHandler<Tx, E>;
  /**
   * Where a new projection begins: at the store's first event, behind its present end, at a
   * position, or at the first event that was stored at a time or later. Decided once, for all
   * partitions and processes, and kept: later it has no effect.
   *
   * @default {"start"}
   */
  readonly from?: ProjectionStart;
  /**
   * Which events. A change applies only to events that come after it, and to parked ones: those that
   * it leaves out are not tried again.
   *
   * @default {all}
   */
  readonly filter?: EventFilter;
  /**
   * The action of `run()` if the filter differs from that of the version that is read.
   * `"warn"`: it calls `onError` once, and goes on with the new one. `"error"`: it rejects.
   * `"rebuild"`: it goes on with the new one, and begins a rebuild as {@linkcode
   * Projection.rebuild} does; whether that fails, `onError` says.
   *
   * @default {"warn"}
   */
  readonly onFilterChange?: "warn" | "error" | "rebuild";
  /**
   * Into how many partitions the actors are divided, 256 at most, fixed when a version begins. Events
   * of one partition are handled in the order of the store; partitions run at the same time, each in
   * one process at a time. @default {1}
   */
  readonly partitions?: number;
  /** Shares the partitions among the processes that run it. @default {this process runs all} */
  readonly leases?: ProjectionLeases;
  /** The most events handled between two saves of the position, up to 10,000. @default {100} */
  readonly batch?: number;
  /** How events are tried again. */
  readonly retry?: ProjectionRetry;
  /**
   * The fate of an event whose last try fails, or that cannot be read: newer code saved
   * it, or its upcaster, its codec or its message fails. `"halt"`: `run()` rejects, and begins with the
   * event when it is called again. `"park"`: the event and all later ones of its actor wait until
   * {@linkcode Projection.unpark}, while the events of other actors go on.
   *
   * @default {"halt"}
   */
  readonly onPoison?: "halt" | "park";
  /** Actors that may be parked in one partition, up to 1,000; one more halts it. @default {100} */
  readonly maxParked?: number;
  /**
   * Called for each failure that is followed by another try: of a handler, with its event; of the
   * checkpoint store; also for a rebuild that was given up, and once when {@linkcode
   * Projection.caughtUp} waits and nobody seems to run the projection. What it throws is printed.
   *
   * @default {console.warn}
   */
  readonly onError?: (error: unknown, event?: RecordedEvent) => void;
  /**
   * How the span of the handler's call is joined to the span that made the event, if a tracing SDK of
   * OpenTelemetry is installed: `"child"` goes on with the trace that is named in the event's metadata,
   * `"link"` begins one that is linked to it, `"off"` makes no span.
   *
   * @default {"child"}
   */
  readonly trace?: HandlingTrace;
  /**
   * Called when a rebuilt version replaces the one before: point readers to it here. It runs in the
   * same transaction if the checkpoint store has transactions, else right before, and perhaps again.
   *
   * @default {undefined}
   */
  readonly onSwitch?: (version: number, tx: Tx) => void | Promise<void>;
}

/** {@linkcode ProjectionOptions} for callers inside the library. */
export interface InnerProjectionOptions<Tx, E extends Event> extends ProjectionOptions<Tx, E> {
  /** Whether an error of the handler makes the try the last one. @default {none does} */
  readonly isFinal?: (error: unknown) => boolean;
  /** Called when a partition is claimed, before its first event. @default {nothing is called} */
  readonly onHeld?: (held: HeldPartition) => Promise<void>;
}

/** Options for the calls of a {@linkcode Projection} that wait. */
export interface ProjectionWaitOptions {
  /** Ends the wait by throwing the signal's reason, after 2 s if a store does not answer. */
  readonly signal?: AbortSignal;
}

/** Options for {@linkcode Projection.reached}. */
export interface ProjectionReachedOptions extends ProjectionWaitOptions {
  /** Deadline in ms. @default {10_000} */
  readonly timeout?: number;
}

/** Options for {@linkcode Projection.rebuild}. */
export interface ProjectionRebuildOptions extends ProjectionWaitOptions {
  /**
   * Whether the new version replaces the running one when it has caught up with it, or at once: for
   * when the running one cannot go on, as after a `StreamRegressedError`.
   *
   * @default {"caught-up"}
   */
  readonly switch?: "caught-up" | "now";
  /**
   * Waits for the rebuild that is under way, if there is one, in place of beginning another: as
   * after the process that began it has crashed. Not with `switch: "now"`.
   *
   * @default {false}
   */
  readonly join?: boolean;
}

/** The status of a projection, for all processes; see {@linkcode Projection.status}. */
export interface ProjectionStatus {
  /** The version that is read. */
  readonly version: number;
  /** The version that is built beside it; `undefined` if none is. */
  readonly rebuilding: number | undefined;
  /** Whether nothing is handled until {@linkcode Projection.resume}. */
  readonly paused: boolean;
  /** The position of each partition of the active version: the last sequence handled or parked. */
  readonly positions: readonly number[];
  /** The messages of no actor that it passes over; see {@linkcode Projection.skip}. */
  readonly skipped: readonly SkippedMessage[];
}

/** How often it checks for changes by other processes, in ms. */
const POLL = 1_000;

/**
 * Refuses options of another kind than a projection needs.
 *
 * @throws {TypeError} One is missing, or something else.
 */
export function checkParts<Tx, E extends Event>(options: ProjectionOptions<Tx, E>): void {
  needObject(options, "make the projection", "options");
  const { name, store, checkpoints, handler, filter, leases } = options;
  needString(name, "make the projection", "name");
  const what = `make projection "${name}"`;
  needStore(store, what);
  needMethods(checkpoints, ["load", "save"], what, "checkpoints", "a CheckpointStore");
  needFunction(handler, what, "handler");
  if (filter !== undefined) needObject(filter, what, "filter");
  if (leases !== undefined) {
    const kind = "what ProjectionLeases.open() gives";
    needMethods(leases, [Symbol.asyncDispose], what, "leases", kind);
  }
  needOptionalFunctions(options, ["onError", "onSwitch"], what);
}

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {RangeError} An option is out of its range.
 */
export function checkProjection<Tx, E extends Event>(
  options: InnerProjectionOptions<Tx, E>,
): Omit<
  SharedParts<Tx, E>,
  "onBegin" | "filterName" | "checkpoints" | "monitor" | "progress" | "givenUp"
> {
  const { name, store, filter = {}, partitions = 1, batch = 100 } = options;
  const what = `projection "${name}"`;
  checkRange("partitions", partitions, 1, MAX_PARTITIONS, what);
  checkRange("batch", batch, 1, 10_000, what);
  const failure = checkFailure(options, what);
  prepareReadAll({ filter });
  checkStart(options.from, what);
  checkTrace(options.trace, what);
  checkOnFilterChange(options.onFilterChange, what);
  const onError = guarded(`onError of ${what}`, options.onError?.bind(options) ?? warn);
  return {
    ...{
      name,
      store,
      handler: options.handler.bind(options), // It may be a method of the options' class.
      filter: filterAsGiven(filter),
      partitions,
      batch,
      failure,
      onError,
      poll: POLL,
    },
    onSwitch: options.onSwitch?.bind(options) ?? (() => {}),
    onHeld: options.onHeld ?? (() => Promise.resolve()),
  };
}

function checkFailure<Tx, E extends Event>(
  { retry = {}, onPoison = "halt", maxParked = 100, isFinal }: InnerProjectionOptions<Tx, E>,
  what: string,
): FailurePolicy {
  const { attempts = 10, delay = 100, maxDelay = 10_000 } = retry;
  if (attempts !== Infinity) checkRange("attempts", attempts, 1, Number.MAX_SAFE_INTEGER, what);
  checkRange("delay", delay, 0, 2 ** 31 - 1, what);
  checkRange("maxDelay", maxDelay, 0, 2 ** 31 - 1, what);
  checkRange("maxParked", maxParked, 1, 1_000, what);
  if (onPoison !== "halt" && onPoison !== "park") {
    throw new RangeError(
      `Cannot open ${what}: onPoison is ${JSON.stringify(onPoison)}, not "halt" or "park"`,
    );
  }
  return { attempts, delay, maxDelay, onPoison, maxParked, isFinal: isFinal ?? (() => false) };
}

/** The place where a new projection begins; `undefined` at the store's first event. */
export async function beginningOf(
  store: EventStore,
  from: ProjectionStart = "start",
): Promise<ProjectionBeginning | undefined> {
  if (from === "start") return undefined;
  const { identity } = store;
  if (typeof from === "number") return { identity, sequence: Math.max(0, from - 1) };
  const positions = positionsOf(store);
  return { identity, sequence: await (from === "now" ? positions.end() : positions.before(from)) };
}

function checkStart(from: ProjectionStart = "start", what: string): void {
  if (from === "start" || from === "now") return;
  if (Number.isSafeInteger(from) && (from as number) >= 0) return;
  if (from instanceof Date && timestampProblem(from) === undefined) return;
  throw new RangeError(
    `Cannot open ${what}: from is ${textOf(from)}, not "start", "now", a position or a date`,
  );
}

function checkTrace(choice: unknown = "child", what: string): void {
  if (choice === "child" || choice === "link" || choice === "off") return;
  throw new RangeError(
    `Cannot open ${what}: trace is ${textOf(choice)}, not "child", "link" or "off"`,
  );
}

function checkOnFilterChange(choice: unknown = "warn", what: string): void {
  if (choice === "warn" || choice === "error" || choice === "rebuild") return;
  throw new RangeError(
    `Cannot open ${what}: onFilterChange is ${textOf(choice)}, not "warn", "error" or "rebuild"`,
  );
}

function warn(error: unknown): void {
  print("warn", "A projection goes on after a failure:", error);
}
