import { needDecider } from "../store/base/given.ts";
import type { EventDraft } from "../store/append.ts";
import type { Decider, Decision } from "../store/command/decider.ts";
import { createEvent, type Event } from "../store/event.ts";
import { freshCopy } from "../store/base/fresh.ts";
import { isRecord } from "../store/base/json.ts";
import { textOf } from "../store/base/text.ts";
import { same, show } from "./difference.ts";
import { checkError, type ExpectedError, isExpectedError, nameOfError } from "./expected_error.ts";
import { frozen, plain, plainState } from "./plain.ts";
import type { SpecDraft, SpecEvent, SpecValue } from "./spec_draft.ts";

/**
 * The expected outcome of a command: its events in order, `[]` if it changes nothing; the error
 * that refuses it, by class and message, or by its class alone; or a function that accepts or
 * rejects the error.
 */
export type Expectation<E extends Event = Event> =
  | readonly SpecDraft<E>[]
  | SpecDraft<E>
  | ExpectedError;

/** The actor's history before the command: see {@linkcode deciderSpec}. */
export interface DeciderSpec<State, Command, E extends Event = Event> {
  /** Begins with an actor to which `events` have happened, in order: drafts, which may have a time. */
  given(
    events?: readonly (SpecDraft<E> | SpecEvent<E>)[] | SpecDraft<E> | SpecEvent<E>,
  ): DeciderGiven<State, Command, E>;
}

/** An actor with a past. */
export interface DeciderGiven<State, Command, E extends Event = Event> {
  /** Sends it a command. */
  when(command: Command): DeciderWhen<E>;
  /**
   * Passes if this is its state.
   *
   * @throws {Error} It is not; the message names the place, and compares both values.
   */
  thenState(expected: State | SpecValue<State>): void;
}

/** An actor that has received a command. */
export interface DeciderWhen<E extends Event = Event> {
  /**
   * Passes if the command leads to the expected outcome, and `evolve` takes its events. Compares an
   * event's type, data and metadata, and its id if one is expected. Await it if `decide` is
   * asynchronous; otherwise it has thrown by the time it returns.
   *
   * @throws {Error} It does not; the message names the place, and compares both values.
   */
  then(expected: Expectation<E>): Promise<void> | undefined;
}

/**
 * Tests a decider in the words of its domain, with no store and no runner: given these events, when
 * this command comes, then that happens. A failure throws a plain `Error` that names the
 * difference. States and events are frozen on the way, so that an `evolve` or `decide` that changes
 * its arguments fails here.
 *
 * @param decider The rules to test.
 *
 * @example A door that cannot be opened twice
 * ```ts
 * import type { Decider, Event } from "@flowmade-one/aether";
 * import { deciderSpec } from "@flowmade-one/aether/testing";
 *
 * type DoorEvent = Event<"DoorOpened", { by: string }> | Event<"DoorClosed", null>;
 *
 * class DoorError extends Error {}
 *
 * const door: Decider<boolean, { open: string }, DoorEvent> = {
 *   initialState: () => false,
 *   evolve: (_isOpen, event) => event.eventType === "DoorOpened",
 *   decide: ({ open }, isOpen) => {
 *     if (isOpen) throw new DoorError("It is open");
 *     return { eventType: "DoorOpened", data: { by: open } };
 *   },
 * };
 *
 * const opened = { eventType: "DoorOpened", data: { by: "Ann" } } as const;
 * const spec = deciderSpec(door);
 * spec.given().when({ open: "Ann" }).then(opened);
 * spec.given([opened]).when({ open: "Bob" }).then(DoorError);
 * spec.given([opened, { eventType: "DoorClosed", data: null }]).thenState(false);
 * ```
 */
export function deciderSpec<State, Command, E extends Event = Event>(
  decider: Decider<State, Command, E>,
): DeciderSpec<State, Command, E> {
  needDecider(decider, "test the decider", "decider");
  return {
    given: (events = []) => {
      const past = [...listed(events as Decision<E>)];
      const decided = (decision: Decision<E>, expected: Expectation<E>): void => {
        const events = listed(decision);
        checkEvents(events, expected);
        fold(decider, [...past, ...events]); // A command is refused too if evolve() throws.
      };
      return {
        when: (given) => {
          const command = frozen(freshCopy(given));
          return {
            then: (expected, ...more: unknown[]) => {
              if (more.length > 0) {
                throw new Error(
                  "Cannot await when(): call then() with the expected outcome, and await that",
                );
              }
              const state = fold(decider, past);
              let decision: ReturnType<typeof decider.decide>;
              try {
                decision = decider.decide(command, state);
              } catch (error) {
                return void refused(error, expected);
              }
              if (!isPromise(decision)) return void decided(decision, expected);
              return decision.then(
                (events) => decided(events, expected),
                (error) => refused(error, expected),
              );
            },
          };
        },
        thenState: (expected) => same(fold(decider, past), expected, "state"),
      };
    },
  };
}

/** The state after `past`; nothing on the way can be changed. */
function fold<State, E extends Event>(
  decider: Decider<State, never, E>,
  past: readonly EventDraft<E>[],
): State {
  let state = plainState(decider.initialState(), "initialState()");
  for (const [at, draft] of (past as readonly (EventDraft & Partial<Event>)[]).entries()) {
    const { id, eventType, data, metadata, actorId = "given", timestamp = 0 } = draft;
    const event = createEvent({
      ...{ eventType, actorId, version: at + 1, data: frozen(plain(data)) },
      ...(metadata !== undefined && { metadata }),
    });
    const own = { ...event, timestamp: new Date(timestamp), ...(id !== undefined && { id }) };
    state = plainState(decider.evolve(state, Object.freeze(own) as E), "evolve()");
  }
  return state;
}

function checkEvents<E extends Event>(
  events: readonly EventDraft<E>[],
  expected: Expectation<E>,
): void {
  if (isExpectedError(expected)) {
    throw new Error(`Expected ${nameOfError(expected)}, but decide() gave ${show(events)}`);
  }
  const strange = events.findIndex((draft) => !isRecord(draft));
  if (strange >= 0) {
    throw new Error(`Expected events, but decide() gave ${show(events[strange])}`);
  }
  const wanted = listed(expected as Decision<E>);
  const comparable = (draft: EventDraft<E>, at: number) => {
    const { id, eventType, data, metadata } = draft;
    const isIdWanted = wanted[at]?.id !== undefined;
    return plain({ eventType, data, metadata, id: isIdWanted ? id : undefined });
  };
  same(events.map(comparable), wanted.map(comparable), "events");
}

function refused<E extends Event>(error: unknown, expected: Expectation<E>): void {
  if (isExpectedError(expected)) return checkError(error, expected, "decide()");
  const events = show(listed(expected as Decision<E>));
  throw new Error(`Expected events ${events}, but decide() threw ${textOf(error)}`, {
    cause: error,
  });
}

function listed<E extends Event>(drafts: Decision<E>): readonly EventDraft<E>[] {
  return Array.isArray(drafts)
    ? drafts as readonly EventDraft<E>[]
    : [drafts as unknown as EventDraft<E>];
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Partial<Promise<T>> | undefined)?.then === "function";
}
