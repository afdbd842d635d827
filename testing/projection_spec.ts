import { needFunction } from "../store/base/given.ts";
import { prepareReadAll } from "../store/check/query.ts";
import { textOf } from "../store/base/text.ts";
import type { Event, RecordedEvent } from "../store/event.ts";
import type { EventFilter } from "../store/options.ts";
import type { ProjectionHandler } from "../store/projection/handler.ts";
import { same, show } from "./difference.ts";
import { ended } from "./ended.ts";
import { checkError, type ExpectedError, nameOfError } from "./expected_error.ts";
import type { SpecEvent, SpecValue } from "./spec_draft.ts";
import { draftsAsGiven, isWanted, recorded } from "./spec_events.ts";

/** A handler with a read model of its own, which is empty. */
export interface ProjectionUnderTest<Model, Tx = undefined, E extends Event = Event> {
  /** The handler, as for a `Projection`. */
  readonly handler: ProjectionHandler<Tx, E>;
  /** Reads what is compared: the whole read model, or the part that matters. */
  readonly read: () => Model | Promise<Model>;
  /** Which events the handler gets. @default {all} */
  readonly filter?: EventFilter;
  /** Goes to the handler as `tx`. @default {undefined} */
  readonly tx?: Tx;
  /** Called at the end, whatever came of it. @default {nothing is called} */
  readonly close?: () => void | Promise<void>;
}

/** Options for {@linkcode projectionSpec}. */
export interface ProjectionSpecOptions {
  /**
   * Whether all events come a second time after the first, as they may after a crash if checkpoints
   * are not saved in the read model's own transaction. The read model then has to be the same.
   *
   * @default {false}
   */
  readonly atLeastOnce?: boolean;
  /** The version of the projection, which goes to the handler. @default {1} */
  readonly version?: number;
  /** Whether the handler is told that it catches up. @default {false} */
  readonly isReplay?: boolean;
}

/** Tests of a handler: see {@linkcode projectionSpec}. */
export interface ProjectionSpec<Model, E extends Event = Event> {
  /** Gives these events to the handler, in order; each actor's versions count up from 1. */
  given(events?: readonly SpecEvent<E>[] | SpecEvent<E>): ProjectionGiven<Model>;
}

/** A handler that gets events. */
export interface ProjectionGiven<Model> {
  /**
   * Passes if this is the read model. Await it.
   *
   * @throws {Error} It is not, which names the place and compares both; or the handler threw.
   */
  then(expected: Model | SpecValue<Model>): Promise<void>;
  /**
   * Passes if the handler takes all events but the last, and throws this at the last. Await it.
   *
   * @throws {Error} It does not.
   */
  thenThrows(expected: ExpectedError): Promise<void>;
}

/**
 * Tests the handler of a projection with no store and no runner: given these events, this is in the
 * read model. Each check opens a read model of its own.
 *
 * @param open Makes a handler and its read model, empty.
 *
 * @example Totals by customer
 * ```ts
 * import type { Event } from "@flowmade-one/aether";
 * import { projectionSpec } from "@flowmade-one/aether/testing";
 *
 * type Placed = Event<"OrderPlaced", { customer: string; total: number }>;
 *
 * function totals() {
 *   const totals = new Map<string, number>();
 *   const handler = ({ data: { customer, total } }: Placed) =>
 *     void totals.set(customer, (totals.get(customer) ?? 0) + total);
 *   return { handler, totals };
 * }
 *
 * const spec = projectionSpec(() => {
 *   const { handler, totals: model } = totals();
 *   return { handler, read: () => model };
 * });
 * const placed = { eventType: "OrderPlaced", data: { customer: "ada", total: 5 } } as const;
 * await spec.given().then(new Map());
 * await spec.given([placed, placed]).then(new Map([["ada", 10]]));
 * ```
 */
export function projectionSpec<Model, Tx = undefined, E extends Event = Event>(
  open: () => ProjectionUnderTest<Model, Tx, E> | Promise<ProjectionUnderTest<Model, Tx, E>>,
  options: ProjectionSpecOptions = {},
): ProjectionSpec<Model, E> {
  needFunction(open, "test the projection", "open, which makes a handler and its read model,");
  const { atLeastOnce = false, version = 1, isReplay = false } = options;
  const own = { version, isReplay };
  return {
    given: (events = []) => {
      const drafts = draftsAsGiven((Array.isArray(events) ? events : [events]) as SpecEvent<E>[]);
      return {
        then: (expected, ...more: unknown[]) => {
          if (more.length > 0) {
            throw new Error("Cannot await given(): call then() with the expected read model");
          }
          return opened(open, async (tested) => {
            for (const event of recorded(drafts)) await handle(tested, event, own);
            same(await tested.read(), expected, "read model");
            if (!atLeastOnce) return;
            for (const event of recorded(drafts)) await handle(tested, event, own);
            same(await tested.read(), expected, "read model", "when all events came again");
          });
        },
        thenThrows: (expected) =>
          opened(open, async (tested) => {
            const all = recorded(drafts);
            for (const event of all.slice(0, -1)) await handle(tested, event, own);
            const event = all.at(-1);
            if (event === undefined) throw new Error("Cannot fail: no events are given");
            try {
              await call(tested, event, own);
            } catch (error) {
              return checkError(error, expected, "the handler");
            }
            const model = show(await tested.read());
            throw new Error(`Expected ${nameOfError(expected)}, but the read model is ${model}`);
          }),
      };
    },
  };
}

/** The options that a handler sees. */
type HandlerFacts = Required<Pick<ProjectionSpecOptions, "version" | "isReplay">>;

async function opened<
  Tested extends Pick<ProjectionUnderTest<unknown>, "filter" | "close">,
>(
  open: () => Tested | Promise<Tested>,
  check: (tested: Tested) => Promise<void>,
): Promise<void> {
  const tested = await open();
  await ended(
    async () => {
      const { filter = {} } = tested;
      prepareReadAll({ filter }); // Refuses what no event can meet.
      await check(tested);
    },
    () => [() => tested.close?.()],
  );
}

async function handle<Model, Tx, E extends Event>(
  tested: ProjectionUnderTest<Model, Tx, E>,
  event: E & RecordedEvent,
  options: HandlerFacts,
): Promise<void> {
  try {
    await call(tested, event, options);
  } catch (error) {
    const { eventType, actorId, version } = event;
    throw new Error(
      `Cannot handle ${eventType}, version ${version} of "${actorId}": ` +
        `the handler threw ${textOf(error)}`,
      { cause: error },
    );
  }
}

async function call<Model, Tx, E extends Event>(
  tested: ProjectionUnderTest<Model, Tx, E>,
  event: E & RecordedEvent,
  facts: HandlerFacts,
): Promise<void> {
  const { filter, tx } = tested;
  if (!isWanted(event, filter)) return;
  const { signal } = new AbortController();
  await tested.handler(event, { tx: tx as Tx, partition: 0, signal, ...facts });
}
