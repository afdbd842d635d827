import { reasonOf } from "../base/reason.ts";
import { headers } from "@nats-io/nats-core";
import { isAetherError, type SettledOutcome, StoreUnavailableError } from "../errors.ts";
import { EXPECT } from "../format/headers.ts";
import type { StreamSequence } from "../format/position.ts";
import { type ApiError, ServerCode, type StreamApi } from "../nats/stream_api.ts";

/**
 * The traces in the stream of a try without an answer; `first` is the sequence of its first
 * message.
 */
export type SaveOutcome = SettledOutcome | { readonly first: StreamSequence };

/** The place and time of tries with an unknown outcome. */
export interface Barrier {
  readonly api: StreamApi;
  /** The subject of the save's first event. */
  readonly subject: string;
  /** The sequence that the tries expected the subject to be at. */
  readonly expected: StreamSequence;
  /** The connection's epoch at the first try. */
  readonly epoch: number;
  /** How long one request may take, in ms. */
  readonly requestTimeout: number;
}

/**
 * Finds out what became of a save without an answer. That it is not to be seen proves nothing yet,
 * as it may still be on its way; so a publish that must fail is sent after it over the same
 * connection: when the server has refused that one, it has seen everything before it, and its
 * refusal says where the subject ends. A read alone could be a deposed leader's word. Over another
 * connection nothing follows, and the answer is `"unknown"`.
 *
 * @throws {StoreUnavailableError} The server does not answer.
 * @throws {StreamRegressedError} The stream is not the one any more that the save was sent to.
 */
export async function settle(
  { api, subject, expected, epoch, requestTimeout }: Barrier,
  outcome: () => Promise<SaveOutcome>,
): Promise<SettledOutcome> {
  try {
    const before = settledOutcomeOf(await outcome());
    if (before !== "unknown" || api.requests.epoch !== epoch) return before;
    const impossible = headers();
    impossible.set(EXPECT, String(Number.MAX_SAFE_INTEGER));
    const answer = await api.requests.request(subject, "", requestTimeout, impossible);
    const { error } = answer.json<{ error?: ConstructorParameters<typeof ApiError>[0] }>();
    if (error?.err_code !== ServerCode.WRONG_LAST_SEQUENCE) return "unknown";
    const after = settledOutcomeOf(await outcome());
    if (after !== "unknown") return after;
    return lastIn(error.description) === expected ? "not-saved" : "unknown";
  } catch (cause) {
    if (isAetherError(cause, "StreamRegressedError")) throw cause;
    throw new StoreUnavailableError(
      `Cannot settle the save: ${reasonOf(cause)}; try again, or save the same events ` +
        "again through a store that is connected",
      { cause },
    );
  }
}

/** The sequence in `wrong last sequence: 7`; `NaN` if there is none. */
function lastIn(description = ""): number {
  return Number(/: (\d+)$/.exec(description)?.[1] ?? NaN);
}

function settledOutcomeOf(outcome: SaveOutcome): SettledOutcome {
  return typeof outcome === "object" ? "saved" : outcome;
}
