import { SpanKind } from "@opentelemetry/api";
import { jitteredWaits } from "../base/jitter.ts";
import { encodeJson } from "../base/json.ts";
import { jsonProblem } from "../base/json_fidelity.ts";
import { sleep } from "../base/sleep.ts";
import { messageOf, nameOf } from "../base/text.ts";
import { uuidv8 } from "../base/uuid.ts";
import { execute } from "../command/execute.ts";
import type { CommandCause } from "../command/pending_command.ts";
import { isAetherError } from "../errors.ts";
import type { Event, EventMetadata, RecordedEvent } from "../event.ts";
import { isClosed } from "../nats/failure.ts";
import type { HandlingTrace } from "../projection/monitor.ts";
import type { ProjectionRetry } from "../projection/options.ts";
import { shortReason } from "../projection/state.ts";
import { originOf } from "../read/stream_check.ts";
import type { EventStore } from "../store.ts";
import { LedgerType } from "../ledger_type.ts";
import { inSpan, Spans } from "../telemetry/spans.ts";
import type { AgendaItem, WorkEnd } from "./open_work.ts";
import {
  dispatch,
  type DispatchedCommand,
  type DispatchOutcome,
  executeRecorded,
  metadataBy,
  OLD,
  outcomeIn,
  persist,
} from "./dispatch.ts";
import { type EffectEnd, runEffect } from "./effect.ts";
import type { Intake } from "./intake.ts";
import { ledgerFrom } from "./known_history.ts";
import {
  type CalledEffect,
  type IssuedCommand,
  type LedgerChange,
  ledgerDecider,
} from "./ledger.ts";
import type { ProcessEffect, ProcessReply } from "./process.ts";
import { checkTarget, deciderOf, type Targets } from "./targets.ts";

/** How long an effect that ended while its program stops may take to be stored, in ms. */
const GRACE = 2_000;

/** Values in a result that are looked at; more are too large. */
const MANY = 1_000_000;
/** Bytes that the end of an effect may take besides its result. */
const MARGIN = 4_096;

/** The parts of {@linkcode Errands}. */
export interface ErrandParts<State, Input extends Event> {
  readonly store: EventStore;
  /** The category of the processes' histories. */
  readonly category: string;
  readonly intake: Intake<State, Input>;
  readonly targets: Targets;
  readonly retry: Required<ProjectionRetry>;
  readonly trace: HandlingTrace;
  readonly onError: (error: unknown, event?: RecordedEvent) => void;
}

/** Does what processes have issued, called and set, and takes in what comes of it. */
export class Errands<State, Input extends Event> {
  readonly #parts: ErrandParts<State, Input>;
  readonly #spans = new Spans();
  /** Effects that ran here, whose end could not be taken in yet. */
  readonly #ends = new Map<string, EffectEnd>();

  /** Does nothing yet. */
  constructor(parts: ErrandParts<State, Input>) {
    this.#parts = parts;
  }

  /** Brings an open item to its end; rejects only when `signal` is aborted, or after trouble. */
  run(item: AgendaItem, signal: AbortSignal): Promise<WorkEnd> {
    if (item.deadline !== undefined) {
      return this.#traced("deadline", item, () => this.#fire(item, signal));
    }
    return item.event.eventType === LedgerType.called
      ? this.#traced("effect", item, () => this.#runEffect(item, signal))
      : this.#traced("command", item, () => this.#settle(item, signal));
  }

  /** Does `work` in a span that is joined to the one of the input that led to it. */
  #traced(
    what: "command" | "deadline" | "effect",
    { event, actorId }: AgendaItem,
    work: () => Promise<WorkEnd>,
  ): Promise<WorkEnd> {
    const { category, trace } = this.#parts;
    if (trace === "off" || !this.#spans.installed) return work();
    const spanned = this.#spans.begin({
      name: `${what} ${category}`,
      kind: SpanKind.CONSUMER,
      attributes: { "aether.actor.id": actorId, "aether.event.sequence": event.sequence },
      events: [event],
      // A deadline may come long after it was set.
      under: trace === "link" || what === "deadline" ? "none" : "event",
    });
    return inSpan(spanned, work);
  }

  #metadataBy(event: Event): EventMetadata {
    return metadataBy(event, this.#parts.trace !== "off");
  }

  /** Sends an open command until its outcome is known, and takes that in. */
  async #settle({ event, actorId, name }: AgendaItem, signal: AbortSignal): Promise<WorkEnd> {
    const { store } = this.#parts;
    const { identity } = store;
    const { id, actorId: target, command, key, refused } = event.data as IssuedCommand;
    const onError = (error: unknown) => this.#parts.onError(error, event);
    if (Date.now() - event.timestamp.getTime() > OLD) {
      const { open, parked } = await ledgerFrom(store, actorId, event.version, signal);
      if (!open.has(name)) return "done"; // The event that says so is still to come.
      if (parked?.eventId === event.id) {
        // It has brought down its owners before. A replica that lags must not keep it from a retry.
        const stopped = await store.getLatestVersion(actorId, { fresh: true });
        const now = await ledgerFrom(store, actorId, stopped, signal);
        if (now.parked?.eventId === event.id) return { stopped };
      }
    }
    const cause: CommandCause = { identity, sequence: event.sequence, id: event.id };
    const metadata = this.#metadataBy(event);
    const trace = this.#parts.trace !== "off";
    const sent = { actorId: target, command, commandId: id, cause, metadata, trace, signal };
    const processId = actorId.slice(this.#parts.category.length + 1);
    let outcome: DispatchOutcome;
    try {
      outcome = refused === undefined
        ? await this.#send(sent, event.timestamp, onError)
        : { kind: "refused", failure: refused };
    } catch (error) {
      if (!isAetherError(error, "CommandCrashedOwnersError")) throw error;
      onError(error);
      const at = { sequence: event.sequence, eventId: event.id, reason: shortReason(error) };
      const change: LedgerChange = { kind: "park", at, ifEarlier: true };
      return { stopped: await this.#parts.intake.change(processId, change, signal) };
    }
    const reply: ProcessReply = {
      ...{ kind: "reply", commandId: id, actorId: target },
      ...(key !== undefined && { key }),
      events: outcome.kind === "handled" ? outcome.events : [],
      ...(outcome.kind === "refused" && { refused: outcome.failure }),
    };
    return await this.#parts.intake.take({
      ...{ id: processId, input: reply },
      inputId: await uuidv8(["reply", originOf(identity), actorId, id]),
      ...{ cause, metadata, signal, event },
    });
  }

  /** Runs an effect that was called, and takes its end in. */
  async #runEffect(
    { event, actorId }: AgendaItem,
    signal: AbortSignal,
  ): Promise<WorkEnd> {
    const { store, targets: { effects = [] } } = this.#parts;
    const { identity } = store;
    const { id: effectId, name, input, key } = event.data as CalledEffect;
    const id = actorId.slice(this.#parts.category.length + 1);
    const onError = (error: unknown) => this.#parts.onError(error, event);
    const { effects: open } = await ledgerFrom(store, actorId, event.version, signal);
    const called = open.get(effectId);
    if (called === undefined) return "done"; // The event that says so is still to come.
    let end = this.#ends.get(effectId);
    const effect = effects.find((it) => it.name === name);
    // One that has begun is unknown, also where a deploy has left it out meanwhile.
    if (effect === undefined && !called.started) {
      throw new TypeError(`Cannot run effect "${name}": there is none`);
    }
    if (end === undefined && effect && await this.#start(actorId, effectId, signal)) {
      end = await runEffect(effect, input, { idempotencyKey: effectId, signal }, onError);
      this.#ends.set(effectId, end); // The process may be parked just now.
    }
    const inputId = await uuidv8(["effect", originOf(identity), actorId, effectId]);
    const inputOf = (end: EffectEnd | undefined): ProcessEffect => ({
      ...{ kind: "effect", name, outcome: end?.outcome ?? "unknown" },
      result: end?.outcome === "done" ? end.result : null,
      ...(end !== undefined && "failure" in end && { failure: end.failure }),
      ...(key !== undefined && { key }),
    });
    const takeBy = (signal: AbortSignal) =>
      this.#parts.intake.take({
        ...{ id, input: inputOf(end), inputId },
        instead: (error) => {
          if (end?.outcome !== "done" || !isOfResult(error, end.result)) return undefined;
          const reason = `it was done, and its result cannot be stored: ${messageOf(error)}`;
          end = { outcome: "unknown", failure: { name: nameOf(error), message: reason } };
          this.#ends.set(effectId, end);
          return inputOf(end);
        },
        cause: { identity, sequence: event.sequence, id: event.id },
        effectId,
        ...{ metadata: this.#metadataBy(event), signal, event },
      });
    const taken = await withGrace(signal, takeBy);
    if (taken === "done") this.#ends.delete(effectId);
    return taken;
  }

  /** Stores that an effect begins; true if it is this call that did, so that nobody else runs it. */
  async #start(actorId: string, id: string, signal: AbortSignal): Promise<boolean> {
    const { store } = this.#parts;
    const trace = this.#parts.trace !== "off";
    const commandId = crypto.randomUUID(); // The same over a lost answer.
    const change: LedgerChange = { kind: "start", id };
    const { events } = await persist(
      signal,
      this.#parts.onError,
      () => execute(store, actorId, ledgerDecider, change, { commandId, signal, trace }),
      isClosed,
    );
    return events.length > 0;
  }

  /** Takes in a deadline that has come; the process decides whether it is still set. */
  async #fire({ event, actorId, deadline }: AgendaItem, signal: AbortSignal): Promise<WorkEnd> {
    const { identity } = this.#parts.store;
    const { sequence, id: eventId, version } = event;
    const { name, at } = deadline!;
    return await this.#parts.intake.take({
      id: actorId.slice(this.#parts.category.length + 1),
      input: { kind: "deadline", name, at: new Date(at) },
      inputId: await uuidv8(["deadline", originOf(identity), actorId, name, at, version]),
      cause: { identity, sequence, id: eventId },
      setAt: version,
      ...{ metadata: this.#metadataBy(event), signal, event },
    });
  }

  /** The outcome of a command; tries for as long as it takes. */
  async #send(
    sent: DispatchedCommand,
    since: Date,
    onError: (error: unknown) => void,
  ): Promise<DispatchOutcome> {
    const { store, targets } = this.#parts;
    const decider = deciderOf(targets, sent.actorId);
    const { signal } = sent;
    const nextWait = jitteredWaits(this.#parts.retry.delay, this.#parts.retry.maxDelay);
    for (;;) {
      try {
        return await persist(signal, onError, async () => {
          if (decider !== undefined) return await executeRecorded(store, decider, sent);
          checkTarget(targets, sent);
          const outcome = await dispatch(store, targets.send!, sent, since);
          // The answer of `send` is not stored: the events count.
          return outcome.kind === "refused" ? outcome : await outcomeIn(store, sent) ?? outcome;
        });
      } catch (error) {
        // Another try would bring down more nodes: the process is parked, for a person to look at.
        const isDeadly = isAetherError(error, "CommandCrashedOwnersError");
        if (signal.aborted || isDeadly) throw error;
        onError(error);
        await sleep(nextWait(), signal);
        signal.throwIfAborted();
      }
    }
  }
}

/** Whether the store has refused an effect's end because of its result. */
function isOfResult(error: unknown, result: unknown): boolean {
  const isTooLarge = isAetherError(error, "EventTooLargeError");
  if (!isTooLarge && !isAetherError(error, "InvalidEventError")) return false;
  try {
    if (jsonProblem(result, "it", MANY) !== undefined) return true;
    return isTooLarge && encodeJson(result).length > error.limit - MARGIN;
  } catch {
    return true; // It throws when it is read.
  }
}

/** Does what has to be stored still though `signal` is or will be aborted: it gets a moment then. */
async function withGrace<T>(
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const stop = () => timer = setTimeout(() => over.abort(signal.reason), GRACE);
  if (signal.aborted) stop();
  else signal.addEventListener("abort", stop, { once: true });
  try {
    return await work(over.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
  }
}
