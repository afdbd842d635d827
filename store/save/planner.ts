import { context } from "@opentelemetry/api";
import { MAX_BYTES, prepareEvents, prepareExpected } from "../check/events.ts";
import type { Connection } from "../connection.ts";
import type { Event } from "../event.ts";
import type { CheckedEvent, Encoding } from "../format/encode.ts";
import { type InnerSaveOptions, partsOf } from "../format/save_options.ts";
import type { SavePlan } from "./plan.ts";

/** What a planner goes by. */
export interface PlannerOptions extends Omit<Encoding, "maxBytes"> {
  /** Bytes that a message of the stream may have. */
  readonly maxMessage: number;
  /** Deadline of one save, in ms. */
  readonly timeout: number;
  /** Whether somebody is told of what is stored. */
  readonly told: boolean;
}

/** Checks the events of saves, and settles what holds for each, before anything is sent. */
export class SavePlanner {
  readonly #connection: Connection;
  readonly #options: PlannerOptions;
  readonly #id: string = crypto.randomUUID();
  #saves = 0;

  /** Plans saves over `connection`. */
  constructor(connection: Connection, options: PlannerOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /**
   * The plan of one save, whose call began at `begun` by the monotonic clock.
   *
   * @throws {InvalidEventError} An event is not valid.
   * @throws {RangeError} The events or the options are not ones that can be saved.
   */
  plan(
    events: readonly Event[],
    options: InnerSaveOptions,
    begun: number,
  ): { checked: CheckedEvent[]; plan: SavePlan } {
    const { max_payload = MAX_BYTES } = this.#connection.info ?? {};
    const { maxMessage, timeout, told, codec, upcasters } = this.#options;
    const maxBytes = Math.min(max_payload, maxMessage);
    const checked = prepareEvents(events, { maxBytes, codec, upcasters });
    const plan = {
      op: `${this.#id}-${(++this.#saves).toString(36)}`,
      actors: checked.length === 1
        ? [checked[0]!.actorId]
        : [...new Set(checked.map(({ actorId }) => actorId))],
      expect: prepareExpected(options.expect, checked),
      deadline: begun + timeout,
      signal: options.signal,
      parts: partsOf(options, checked.length),
      maxBytes,
      within: told ? context.active() : undefined,
    };
    return { checked, plan };
  }
}
