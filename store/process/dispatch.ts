import { called, unlessAborted } from "../base/abort.ts";
import { freshCopy } from "../base/fresh.ts";
import { jitteredWaits } from "../base/jitter.ts";
import { sleep } from "../base/sleep.ts";
import { execute } from "../command/execute.ts";
import type {
  AnyDecider,
  CommandCause,
  ExecuteResult,
  InnerExecuteOptions,
} from "../command/pending_command.ts";
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
  /** Whether what it leads to carries a trace. */
  readonly trace: boolean;
  readonly signal: AbortSignal;
}

/**
 * Does `work` until it is no outage that ends it: what is out of reach, or of unknown outcome, is
 * done again, unless `isFinal` says that it will not pass. Throws any other error, and the signal's
 * reason.
 */
export async function persist<T>(
  signal: AbortSignal,
  onError: (error: unknown) => void,
  work: () => Promise<T>,
  isFinal: (error: unknown) => boolean = () => false,
): Promise<T> {
  const nextWait = jitteredWaits(...WAITS);
  for (;;) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      const isPassing = PASSING.some((code) => isAetherError(error, code)) && !isFinal(error);
      if (signal.aborted || !isPassing) throw error;
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
  { actorId, command, commandId, cause, metadata, trace, signal }: DispatchedCommand,
): Promise<DispatchOutcome> {
  let isRecorded = false;
  const options: InnerExecuteOptions = {
    ...{ commandId, cause, isCauseRead: true, metadata, signal, record: true },
    ...{ trace, isTraceOfCause: true },
    onRecorded: () => isRecorded = true,
  };
  let result: ExecuteResult<unknown>;
  try {
    result = await execute(store, actorId, decider, command, options);
  } catch (error) {
    if (isAetherError(error, "CommandRefusedError")) {
      return { kind: "refused", failure: error.failure };
    }
    if (!isRecorded) throw error;
    return { kind: "refused", failure: failureOf(error) };
  }
  return { kind: "handled", events: result.events };
}

/**
 * Gives a command to `send`, which gets copies: what it changes does not reach the next try. One that
 * does not end is left behind once `signal` is aborted: the next try has the same id. One whose cause
 * is not of just now may have been sent before, and its receiver may remember only so many: then it
 * is looked for first, in `store`, as far back as its cause.
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
    const given = { commandId, cause: { ...cause }, signal };
    await unlessAborted(signal, called(() => send(actorId, freshCopy(command), given)));
  } catch (error) {
    if (
      isAetherError(error, "CommandFailedError") || isAetherError(error, "CommandRefusedError")
    ) return { kind: "refused", failure: failureOf(error.failure) };
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

/** The metadata of what an event leads to: its cause, and its trace unless that is off. */
export function metadataBy(event: Event, trace: boolean): EventMetadata {
  const metadata: EventMetadata = causedBy({ ...event, metadata: {} }, event).metadata!;
  if (trace) return metadata;
  const { traceparent: _, tracestate: __, ...rest } = metadata;
  return rest;
}
