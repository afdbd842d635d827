import type { Leader } from "../election/leader_key.ts";
import type { Leadership } from "./options.ts";
import { called, unlessAborted } from "../../store/base/abort.ts";
import { refusePromise } from "../../store/base/hook.ts";
import { isAetherError } from "../../store/errors.ts";
import { backoff } from "../../store/nats/backoff.ts";
import type { RequestMux } from "../../store/nats/requests.ts";

/**
 * Yields the leaders that a source of the user's names, until `signal` is aborted: asks it again when
 * it has ended or failed. Errors go to `report`, unless they are transient.
 */
export async function* leadersOf(
  leadership: Leadership,
  requests: RequestMux,
  signal: AbortSignal,
  report: (error: unknown) => void,
): AsyncGenerator<Leader | undefined, void> {
  const retry = backoff(Infinity, signal);
  do {
    try {
      const source = leadership.changes({ signal });
      refusePromise(source, "changes() of the leadership");
      const leaders = source[Symbol.asyncIterator]();
      for (;;) {
        // It may not end with the signal, and must not keep this node from leaving.
        const next = await unlessAborted(signal, called(() => leaders.next()));
        if (next.done) break;
        yield leaderIn(next.value);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (!isAetherError(error, "StoreUnavailableError")) report(error);
    }
  } while (await retry(requests));
}

/** The leader that a source names, read at once: what it yields may be anything. */
function leaderIn(value: Leader | null | undefined): Leader | undefined {
  if (value === undefined || value === null) return undefined;
  refusePromise(value, "changes() of the leadership");
  const { nodeId, term, incarnation } = value;
  if (typeof nodeId !== "string") throw new TypeError("Cannot tell the leader: it has no nodeId");
  return { nodeId, term, ...(typeof incarnation === "string" && { incarnation }) };
}
