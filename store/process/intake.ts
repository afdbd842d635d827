import { jitteredWaits } from "../base/jitter.ts";
import { sleep } from "../base/sleep.ts";
import { uuidv8 } from "../base/uuid.ts";
import { execute } from "../command/execute.ts";
import type { CommandCause, InnerExecuteOptions } from "../command/pending_command.ts";
import { rehydrate } from "../command/rehydrate.ts";
import { isAetherError } from "../errors.ts";
import type { Event, EventMetadata, RecordedEvent } from "../event.ts";
import { isClosed } from "../nats/failure.ts";
import type { HandlingTrace } from "../projection/monitor.ts";
import type { ProjectionRetry } from "../projection/options.ts";
import { shortReason } from "../projection/state.ts";
import { originOf } from "../read/stream_check.ts";
import type { EventStore } from "../store.ts";
import type { DeadlineClock } from "../timer/clock.ts";
import type { WorkEnd } from "./open_work.ts";
import { metadataBy, persist } from "./dispatch.ts";
import { DecideTogether, type InputDecider, type Taking, type TogetherOutcome } from "./inputs.ts";
import {
  ledger,
  type LedgerChange,
  ledgerDecider,
  type ParkedAt,
  ProcessHeld,
  ReactionFailure,
  retryStart,
} from "./ledger.ts";
import type { ProcessInput } from "./process.ts";
import type { Targets } from "./targets.ts";
import { takeTogether } from "./together.ts";

/** An input, and what goes with it. */
export interface TakenInput<Input extends Event> {
  readonly id: string;
  readonly input: ProcessInput<Input>;
  readonly inputId: string;
  /** Where the retry began that gives it; none if it comes by itself. */
  readonly retriedFrom?: number | undefined;
  readonly cause: CommandCause;
  readonly metadata: EventMetadata;
  readonly signal: AbortSignal;
  readonly event: RecordedEvent;
  readonly setAt?: number;
  readonly effectId?: string;
  /** The input to take in its place if the store refuses it with `error`; none if that is no help. */
  readonly instead?: (error: unknown) => ProcessInput<Input> | undefined;
}

/** The parts of an {@linkcode Intake}. */
export interface IntakeParts<State, Input extends Event> {
  readonly store: EventStore;
  /** The category of the processes' histories. */
  readonly category: string;
  readonly decider: InputDecider<State, Input>;
  readonly clock: DeadlineClock;
  readonly targets: Targets;
  readonly retry: Required<ProjectionRetry>;
  readonly trace: HandlingTrace;
  readonly onError: (error: unknown, event?: RecordedEvent) => void;
}

/** Brings inputs into the histories of processes, each once. */
export class Intake<State, Input extends Event> {
  readonly #parts: IntakeParts<State, Input>;

  /** Takes nothing yet. */
  constructor(parts: IntakeParts<State, Input>) {
    this.#parts = parts;
  }

  async takeEvent(
    id: string,
    event: Input & RecordedEvent,
    signal: AbortSignal,
    retriedFrom?: number,
  ): Promise<WorkEnd> {
    const { identity } = this.#parts.store;
    const { actorId, version, id: eventId, sequence } = event;
    return await this.take({
      ...{ id, input: event, retriedFrom, signal, event },
      inputId: await uuidv8(["event", originOf(identity), actorId, version, eventId]),
      cause: { identity, sequence, id: eventId },
      metadata: metadataBy(event, this.#parts.trace !== "off"),
    });
  }

  /** Takes an input; parks the process if its code fails with it again and again. */
  async take(
    { id, inputId, retriedFrom, cause, metadata, signal, event, instead, ...rest }: TakenInput<
      Input
    >,
  ): Promise<WorkEnd> {
    const actorId = `${this.#parts.category}-${id}`;
    const isRetry = retriedFrom !== undefined;
    let taken = { ...rest, inputId, id, actorId, isRetry };
    const options: InnerExecuteOptions = {
      ...{ commandId: inputId, cause, isCauseRead: true, metadata, signal },
      // That its code failed is no outcome: new code may do better.
      ...{ record: true, recordRefusals: false },
      ...{ trace: this.#parts.trace !== "off", isTraceOfCause: true },
    };
    const nextWait = jitteredWaits(this.#parts.retry.delay, this.#parts.retry.maxDelay);
    for (let attempts = 1;; attempts++) {
      try {
        await persist(
          signal,
          (error) => this.#parts.onError(error, event),
          async () => {
            const now = new Date(await this.#parts.clock.now());
            await this.#decide({ ...taken, now }, options);
          },
          isClosed,
        );
        return "done";
      } catch (error) {
        const isFirst = attempts === 1 && !isRetry && !signal.aborted;
        const parked = error instanceof ProcessHeld
          ? error.parked
          : isFirst && isOfCode(error)
          ? await this.#parkedAt(taken, signal)
          : undefined;
        if (parked !== undefined) {
          // Partitions are read apart, so an earlier event may come later: a retry has to begin there.
          if (!("kind" in taken.input) && cause.sequence < retryStart(parked)) {
            const { reason } = parked;
            const at = { sequence: cause.sequence, eventId: cause.id, reason };
            await this.change(id, { kind: "park", at, ifEarlier: true }, signal);
          }
          return "held";
        }
        if (isAetherError(error, "FencedError")) throw new TypeError(FENCED, { cause: error });
        if (signal.aborted || !isOfCode(error)) throw error;
        const thrown = error instanceof ReactionFailure ? error.cause : error;
        this.#parts.onError(thrown, event);
        const other = instead?.(error);
        if (other !== undefined && other !== taken.input) {
          taken = { ...taken, input: other };
          continue;
        }
        if (attempts >= this.#parts.retry.attempts || isRetry) {
          const at = { sequence: cause.sequence, eventId: cause.id, reason: shortReason(thrown) };
          await this.change(id, { kind: "park", at, retriedFrom }, signal);
          return "held";
        }
        await sleep(nextWait(), signal);
        signal.throwIfAborted();
      }
    }
  }

  /** Where a process is parked by now, if that holds an input: its facts cannot be folded to see that. */
  async #parkedAt(
    { actorId, input }: Pick<Taking<Input>, "actorId" | "input">,
    signal: AbortSignal,
  ): Promise<ParkedAt | undefined> {
    const { state: { parked } } = await persist(
      signal,
      this.#parts.onError,
      () => rehydrate(this.#parts.store, actorId, ledger, { signal }),
      isClosed,
    );
    return parked?.resuming && !("kind" in input) ? undefined : parked;
  }

  /** Decides an input: by itself, or with commands of its reaction on other actors. */
  async #decide(taking: Taking<Input>, options: InnerExecuteOptions): Promise<void> {
    const { store, decider, targets } = this.#parts;
    const { record: _, recordRefusals: __, ...shared } = options;
    let together: TogetherOutcome | undefined;
    for (let tries = 1;; tries++) {
      try {
        const next = together === undefined ? taking : { ...taking, together };
        await execute(store, taking.actorId, decider, next, options);
        return;
      } catch (error) {
        if (!(error instanceof DecideTogether)) throw error;
        const { commands } = error;
        if (tries === MOST_TRIES) {
          throw new ReactionFailure(
            new TypeError(
              "react() gives other commands each time; decide them by its arguments alone",
            ),
          );
        }
        const taken = await takeTogether({
          ...{ store, decider, taking, targets, commands, options: shared },
        });
        if (taken.isSaved) return;
        together = taken.outcome;
      }
    }
  }

  /** Changes the ledger of a process; needs none of the user's code. Gives its version then. */
  async change(id: string, change: LedgerChange, signal: AbortSignal): Promise<number> {
    const { store, category, trace } = this.#parts;
    const actorId = `${category}-${id}`;
    const { version } = await persist(
      signal,
      this.#parts.onError,
      () => execute(store, actorId, ledgerDecider, change, { signal, trace: trace !== "off" }),
      isClosed,
    );
    return version;
  }
}

/** How often an input is decided together with its commands before `react` is taken to be impure. */
const MOST_TRIES = 20;

/** Why an input cannot be taken on the store of a cluster. */
const FENCED =
  "Cannot take an input: the manager's store is a cluster's, and another node may own " +
  "its shard; give the manager a JetStreamEventStore of its own, and let commands go out by send";

/** Whether the code of the process is to blame, rather than the store. */
function isOfCode(error: unknown): boolean {
  return error instanceof ReactionFailure || isAetherError(error, "InvalidEventError") ||
    isAetherError(error, "EventTooLargeError") || error instanceof RangeError; // too many events
}
