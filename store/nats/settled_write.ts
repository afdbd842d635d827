import { isInstance } from "../base/text.ts";
import { AetherError } from "../errors.ts";
import type { StreamSequence } from "../format/position.ts";
import { backoff, type Reach } from "./backoff.ts";
import { failed } from "./failure.ts";
import type { TryOutcome } from "./publisher.ts";
import { isPassing } from "./stream_api.ts";

/** A place in a stream that is written by compare-and-set, and how to write it. */
export interface SettledWrite<State, Value> {
  /** Carries the requests. */
  readonly requests: Reach;
  /** When to give up, by the monotonic clock, in ms. */
  readonly deadline: number;
  /** Gives up early. */
  readonly signal?: AbortSignal | undefined;
  /** The work, as the error names it: `Cannot ${what}`. */
  readonly what: string;
  /** How things stand if the deadline passes and no try has failed. */
  readonly otherwise: string;
  /** How errors end: nothing was stored, or nobody knows. */
  readonly ends: { readonly absent: string; readonly unknown: string };
  /** The state that was seen last, if a try may build on it: that spares the read. */
  readonly known?: State | undefined;
  /** The state of the place, as the leader has it. */
  read(): Promise<State>;
  /** The sequence that a write over a state expects. */
  sequenceOf(state: State): number;
  /** The value to write over a state; `undefined` if there is none. An error of ours ends the call. */
  next(state: State): Value | undefined;
  /** Whether a state is the one that a try with this value has left. */
  holds(state: State, value: Value): boolean;
  /** Tries once to write a value over a state. */
  put(value: Value, state: State): Promise<TryOutcome>;
}

/** How a write has ended. */
export type WriteEnd<State, Value> =
  /** A try was acknowledged. */
  | { readonly kind: "stored"; readonly sequence: StreamSequence; readonly value: Value }
  /** A try whose answer was lost is stored, as a read shows. */
  | { readonly kind: "found"; readonly state: State }
  /** There was nothing to write. */
  | { readonly kind: "unchanged"; readonly state: State };

/**
 * Writes by compare-and-set until the server has said yes or no: a try that another writer has
 * outpaced is made again on the new state, and one whose answer was lost is settled by reading back.
 *
 * A try without an answer can still be stored later, for as long as the place is at the sequence
 * that it expects; so it is looked for in every state until then, and not in the next one only.
 *
 * @throws {StoreUnavailableError} No answer before the deadline.
 * @throws {StoreRefusedError} The server refuses, and no other try can help.
 */
export async function settledWrite<State, Value>(
  write: SettledWrite<State, Value>,
): Promise<WriteEnd<State, Value>> {
  const { requests, deadline, signal, what, otherwise, ends } = write;
  const retry = backoff(deadline, signal);
  /** Trouble with the server is a try that has failed; anything else is the caller's to know. */
  const asFailure = (error: unknown): Failure => {
    if (isInstance(error, AetherError) && error !== signal?.reason) throw error;
    return new Failure(error);
  };
  let { known } = write;
  let unanswered: { readonly value: Value; readonly expects: number }[] = [];
  let cause: unknown;
  let isOutpaced = false;
  while (!signal?.aborted && performance.now() < deadline) {
    const read = known === undefined ? await write.read().catch(asFailure) : known;
    known = undefined;
    let outcome: Exclude<TryOutcome, { kind: "stored" }>;
    if (read instanceof Failure) outcome = read;
    else {
      const state = read;
      if (unanswered.some(({ value }) => write.holds(state, value))) {
        return { kind: "found", state };
      }
      const expects = write.sequenceOf(state);
      unanswered = unanswered.filter((sent) => sent.expects >= expects);
      const value = write.next(state);
      if (value === undefined) return { kind: "unchanged", state };
      const answer = await write.put(value, state).catch(asFailure);
      if (answer.kind === "stored") return { kind: "stored", sequence: answer.first, value };
      outcome = answer;
      if (outcome.kind === "unknown") unanswered.push({ value, expects });
    }
    if (outcome.kind !== "stale") cause = outcome.cause;
    else if (!isOutpaced) {
      isOutpaced = true; // The first time at once; writers that meet again have to spread.
      continue;
    }
    if (outcome.kind === "refused" || !await retry(requests)) break;
  }
  if (signal?.aborted) cause = signal.reason;
  const end = unanswered.length === 0 ? ends.absent : ends.unknown;
  throw failed(what, cause ?? new Error(otherwise), end);
}

/** The outcome of a request that has failed before the server could say anything. */
class Failure {
  readonly kind: "absent" | "refused";
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.kind = isPassing(cause) ? "absent" : "refused";
    this.cause = cause;
  }
}
