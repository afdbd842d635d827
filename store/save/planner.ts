import { context } from "@opentelemetry/api";
import type { ActorEnd } from "../command_log.ts";
import {
  checkReceipt,
  MAX_BYTES,
  prepareEvents,
  prepareExpected,
  roomProblem,
} from "../check/events.ts";
import { checkSave } from "../check/save_check.ts";
import { checkSaveOptions } from "../check/store_options.ts";
import type { Connection } from "../connection.ts";
import { StoreRefusedError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { CheckedEvent, Encoding } from "../format/encode.ts";
import { type InnerSaveOptions, partsOf } from "../format/save_options.ts";
import type { PublishLimits } from "../nats/publisher.ts";
import type { SavePlan } from "./plan.ts";

/** The parts that a planner needs. */
export interface PlannerOptions extends Omit<Encoding, "maxBytes"> {
  /** The limits of the stream. */
  readonly limits: Pick<PublishLimits, "bytes">;
  /** Deadline of one save, in ms. */
  readonly timeout: number;
  /** Whether somebody is notified of stored events. */
  readonly notifies: boolean;
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
   * @throws {TypeError} The options are of another kind.
   * @throws {RangeError} The events or the options are not ones that can be saved.
   */
  plan(
    events: readonly Event[],
    options: InnerSaveOptions,
    begun: number,
  ): { checked: CheckedEvent[]; plan: SavePlan } {
    checkSaveOptions(options);
    const { timeout, notifies, codec, upcasters, rules } = this.#options;
    const maxBytes = this.#maxBytes;
    const checked = prepareEvents(events, { maxBytes, codec, upcasters, rules });
    const plan = {
      op: this.#nextOp(),
      actors: checked.length === 1
        ? [checked[0]!.actorId]
        : [...new Set(checked.map(({ actorId }) => actorId))],
      expect: prepareExpected(options.expect, checked),
      ends: options.ends,
      deadline: begun + timeout,
      signal: options.signal,
      parts: partsOf(options, checked.length),
      maxBytes,
      within: notifies ? context.active() : undefined,
    };
    return { checked, plan };
  }

  /** Throws what a save of `events` would throw before anything is sent; see {@linkcode checkSave}. */
  check(events: readonly Event[]): void {
    const { codec, upcasters, rules } = this.#options;
    checkSave(events, { maxBytes: this.#maxBytes, codec, upcasters, rules });
  }

  /** The plan of a save without events: `receipt` is stored if the actor still ends at `end`. */
  receipt(
    actorId: string,
    command: string,
    end: ActorEnd,
    body: Uint8Array,
    signal: AbortSignal | undefined,
  ): SavePlan {
    const maxBytes = this.#maxBytes;
    checkReceipt(actorId, end.version, body, maxBytes);
    return {
      op: this.#nextOp(),
      actors: [actorId],
      expect: new Map(),
      ends: new Map([[actorId, end]]),
      deadline: performance.now() + this.#options.timeout,
      signal,
      parts: [{ events: 0, command }],
      maxBytes,
      receipt: { actorId, version: end.version, body },
    };
  }

  /** Bytes that one message may have. */
  get #maxBytes(): number {
    const { max_payload = MAX_BYTES } = this.#connection.info ?? {};
    // The server's configuration may have changed since the stream was opened.
    const problem = roomProblem("max_payload of the server", max_payload);
    if (problem === undefined) return Math.min(max_payload, this.#options.limits.bytes);
    const advice = "raise max_payload of the server";
    throw new StoreRefusedError(`Cannot save events: ${problem}; ${advice}`, advice, undefined);
  }

  #nextOp(): string {
    return `${this.#id}-${(++this.#saves).toString(36)}`;
  }
}
