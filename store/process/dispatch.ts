import { freshCopy } from "../base/fresh.ts";
import { jitteredWaits } from "../base/jitter.ts";
import { sleep } from "../base/sleep.ts";
import type { Decider } from "../command/decider.ts";
import { execute } from "../command/execute.ts";
import type { AnyDecider, CommandCause, ExecuteResult } from "../command/pending_command.ts";
import { isPromise } from "../command/plan.ts";
import { failureOf, readOutcome } from "../command/recorded_outcome.ts";
import { commandLogOf } from "../command_log.ts";
import { type AetherErrorCode, type CommandFailure, isAetherError } from "../errors.ts";
import { causedBy, type Event, type EventMetadata } from "../event.ts";
import { messageSequenceOf } from "../format/position.ts";
import type { EventStore } from "../store.ts";
import type { SendCommand } from "./outgoing.ts";

/** Errors after which the same command is tried again, for as long as it takes. */
const PASSING: readonly AetherErrorCode[] = [
  "StoreUnavailableError",
  "SaveOutcomeUnknownError",
  "CommandOutcomeUnknownError",
  "VersionConflictError",
];
/** How old its cause has to be for a command to be looked for before it is sent, in ms. */
export const OLD = 5_000;
/** The shortest and the longest wait between two tries, in ms. */
const WAITS = [50, 5_000] as const;

/** The outcome of a command, the same at each try. */
export type DispatchOutcome =
  | { readonly kind: "handled"; readonly events: readonly Event[] }
  | { readonly kind: "refused"; readonly failure: CommandFailure };

/** A command on its way. */
export interface DispatchedCommand {
  readonly actorId: string;
  readonly command: unknown;
  readonly commandId: string;
  readonly cause: CommandCause;
  readonly metadata: EventMetadata;
  readonly signal: AbortSignal;
}

/**
 * Does `work` until it is no outage that ends it: what is out of reach, or of unknown outcome, is
 * done again. Throws any other error, and the signal's reason.
 */
export async function persist<T>(
  signal: AbortSignal,
  onError: (error: unknown) => void,
  work: () => Promise<T>,
): Promise<T> {
  const nextWait = jitteredWaits(...WAITS);
  for (;;) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || !PASSING.some((code) => isAetherError(error, code))) throw error;
      onError(error);
      await sleep(nextWait(), signal);
    }
  }
}

/**
 * Runs a command by its decider on `store`; its outcome is recorded, and so final.
 *
 * @throws Any error that is no refusal of the command.
 */
export async function executeRecorded(
  store: EventStore,
  decider: AnyDecider,
  { actorId, command, commandId, cause, metadata, signal }: DispatchedCommand,
): Promise<DispatchOutcome> {
  const given = new Given(command);
  const options = { commandId, cause, isCauseRead: true, metadata, signal, record: true };
  let result: ExecuteResult<unknown>;
  try {
    result = await execute(store, actorId, refusing(decider), given, options);
  } catch (error) {
    if (isAetherError(error, "CommandRefusedError")) {
      return { kind: "refused", failure: error.failure };
    }
    if (!given.isRefusedBy(error)) throw error;
    return { kind: "refused", failure: failureOf(error) };
  }
  return { kind: "handled", events: result.events };
}

/**
 * Gives a command to `send`. One whose cause is not of just now may have been sent before, and its
 * receiver may remember only so many: then it is looked for first, in `store`, as far back as its
 * cause.
 *
 * @param since When its cause was stored.
 */
export async function dispatch(
  store: EventStore,
  send: SendCommand,
  sent: DispatchedCommand,
  since: Date,
): Promise<DispatchOutcome> {
  const { actorId, command, ...facts } = sent;
  if (Date.now() - since.getTime() > OLD) {
    const before = await outcomeIn(store, sent);
    if (before !== undefined) return before;
  }
  try {
    const { commandId, cause, signal } = facts;
    await send(actorId, command, { commandId, cause, signal });
  } catch (error) {
    if (
      isAetherError(error, "CommandFailedError") || isAetherError(error, "CommandRefusedError")
    ) return { kind: "refused", failure: error.failure };
    if (!isAetherError(error, "CommandAlreadyHandledError")) throw error;
  }
  return { kind: "handled", events: [] };
}

/** The outcome of a command as `store` has it; `undefined` if it has none. */
export async function outcomeIn(
  store: EventStore,
  { actorId, commandId, cause }: Pick<DispatchedCommand, "actorId" | "commandId" | "cause">,
): Promise<DispatchOutcome | undefined> {
  const log = commandLogOf(store);
  const { found } = await log?.search(actorId, messageSequenceOf(cause.sequence)) ?? {};
  const place = found?.get(commandId);
  if (place === undefined) return undefined;
  const { events, outcome } = await log!.outcome(actorId, commandId, place);
  const recorded = events.length > 0 ? undefined : readOutcome(outcome);
  return recorded?.kind === "refused" ? recorded : { kind: "handled", events };
}

/** The metadata of what an event leads to: its cause, and its trace. */
export function metadataBy(event: Event): EventMetadata {
  return causedBy({ ...event, metadata: {} }, event).metadata!;
}

/**
 * A command, and how `decide` refused it. A class: `execute` hands copies of plain objects to
 * deciders, and what is noted has to reach the caller.
 */
export class Given {
  readonly command: unknown;
  #refusal: { readonly error: unknown } | undefined;

  /** Not decided yet. */
  constructor(command: unknown) {
    this.command = command;
  }

  /** Notes that it is decided, again perhaps: so far it is not refused. */
  begin(): void {
    this.#refusal = undefined;
  }

  /** Notes what `decide` threw; throws it. */
  refuse(error: unknown): never {
    this.#refusal = { error };
    throw error;
  }

  /** Whether it is `decide` that has thrown `error`. */
  isRefusedBy(error: unknown): boolean {
    return this.#refusal !== undefined && Object.is(this.#refusal.error, error);
  }
}

const refusingOnes = new WeakMap<AnyDecider, Decider<unknown, Given>>();

/** The same rules; what `decide` throws is noted, so that it is not taken for an outage. */
export function refusing(decider: AnyDecider): Decider<unknown, Given> {
  const known = refusingOnes.get(decider);
  if (known !== undefined) return known;
  const made: Decider<unknown, Given> = {
    initialState: () => decider.initialState(),
    evolve: (state, event) => decider.evolve(state, event),
    decide: (given, state) => {
      given.begin();
      try {
        const decision = decider.decide(freshCopy(given.command), state);
        return isPromise(decision)
          ? Promise.resolve(decision).catch((error) => given.refuse(error))
          : decision;
      } catch (error) {
        return given.refuse(error);
      }
    },
  };
  refusingOnes.set(decider, made);
  return made;
}
