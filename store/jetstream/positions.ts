import { asStreamSequence, positionOf } from "../format/position.ts";
import { attempt } from "../nats/retry.ts";
import { ApiError } from "../nats/stream_api.ts";
import { lastPositionIn } from "../read/live_source.ts";
import type { StoreInternals } from "../save/path.ts";
import type { EndReader } from "../read/end_reader.ts";
import type { StorePositions } from "../store_positions.ts";

/** The positions of a stream, and the time of its leader. */
export class StreamPositions implements StorePositions {
  readonly #parts: StoreInternals & { readonly ends: EndReader };

  /** Asks the server of a store's parts. */
  constructor(parts: StoreInternals & { readonly ends: EndReader }) {
    this.#parts = parts;
  }

  /** See {@linkcode StorePositions.end}. */
  end(): Promise<number> {
    const { api, requestTimeout } = this.#parts;
    return this.#attempt("look for the store's end", async () => {
      const info = await api.info(requestTimeout);
      const sequence = asStreamSequence(info?.state.last_seq ?? 0);
      const last = await api.get({ seq: sequence }, requestTimeout);
      return last === undefined ? positionOf(sequence) : lastPositionIn(last);
    });
  }

  /** See {@linkcode StorePositions.before}. */
  async before(time: Date): Promise<number> {
    const { api, ends, requestTimeout } = this.#parts;
    const subject = api.layout.events();
    const query = { start_time: time.toISOString(), next_by_subj: subject };
    // First: an event that is stored after the search may be of the time.
    const end = await this.end();
    return await this.#attempt("look for the first event of a time", async () => {
      const first = await api.get(query, requestTimeout);
      if (first !== undefined) return positionOf(asStreamSequence(first.sequence)) - 1;
      const name = `"${subject}"`;
      const last = await ends.last({ subject, name, known: asStreamSequence(0), latest: true });
      if (last === undefined || Date.parse(last.time) < time.getTime()) return end;
      throw new ApiError({ code: 503, description: "a deposed leader answers" });
    });
  }

  /** See {@linkcode StorePositions.now}: the time of the leader when it answered. */
  async now(): Promise<number> {
    const { api, requestTimeout } = this.#parts;
    const info = await this.#attempt("ask for the time", () => api.info(requestTimeout));
    const time = Date.parse((info as { ts?: string } | undefined)?.ts ?? "");
    if (Number.isNaN(time)) {
      throw new TypeError("Cannot tell the server's time: it does not say it");
    }
    return time;
  }

  #attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
    const { api, timeout } = this.#parts;
    return attempt(api.requests, timeout, what, work);
  }
}
