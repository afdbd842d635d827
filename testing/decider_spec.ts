import { textOf } from "../store/base/text.ts";
import type { EventDraft } from "../store/append.ts";
import type { Decider, Decision } from "../store/command/decider.ts";
import { createEvent, type Event } from "../store/event.ts";
import { equal } from "./assert.ts";

/** The class of an error, to be compared with what was thrown. */
// deno-lint-ignore no-explicit-any
export type ErrorClass = abstract new (...args: any[]) => Error;

/**
 * The expected outcome of a command: its events in order, `[]` if it changes nothing; the error
 * that refuses it, by class and message, or by its class alone; or a function that accepts or
 * rejects the error.
 */
export type Expectation<E extends Event = Event> =
  | readonly EventDraft<E>[]
  | EventDraft<E>
  | Error
  | ErrorClass
  | ((error: unknown) => boolean);

/** The actor's history before the command: see {@linkcode deciderSpec}. */
export interface DeciderSpec<State, Command, E extends Event = Event> {
  /** Begins with an actor to which `events` have happened, in order. */
  given(events?: readonly EventDraft<E>[] | EventDraft<E>): DeciderGiven<State, Command, E>;
}

/** An actor with a past. */
export interface DeciderGiven<State, Command, E extends Event = Event> {
  /** Sends it a command. */
  when(command: Command): DeciderWhen<E>;
  /**
   * Passes if this is its state.
   *
   * @throws {Error} It is not; the message names the place, with both values.
   */
  thenState(expected: State): void;
}

/** An actor that has received a command. */
export interface DeciderWhen<E extends Event = Event> {
  /**
   * Passes if the command leads to the expected outcome. Compares an event's type, data and
   * metadata, and its id if one is expected. Await it if `decide` is asynchronous; otherwise it has
   * thrown by the time it returns.
   *
   * @throws {Error} It does not; the message names the place, with both values.
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
  return {
    given: (events = []) => {
      const past = listed(events);
      return {
        when: (command) => ({
          then: (expected, ...more: unknown[]) => {
            if (more.length > 0) {
              throw new Error(
                "Cannot await when(): call then() with the expected outcome, and await that",
              );
            }
            let decision: ReturnType<typeof decider.decide>;
            try {
              decision = decider.decide(command, fold(decider, past));
            } catch (error) {
              return void checkError(error, expected);
            }
            if (!isPromise(decision)) return void checkEvents(listed(decision), expected);
            return decision.then(
              (events) => checkEvents(listed(events), expected),
              (error) => checkError(error, expected),
            );
          },
        }),
        thenState: (expected) => equal(fold(decider, past), expected, "state"),
      };
    },
  };
}

/** The state after `past`; nothing on the way can be changed. */
function fold<State, E extends Event>(
  decider: Decider<State, never, E>,
  past: readonly EventDraft<E>[],
): State {
  let state = frozen(decider.initialState());
  for (const [at, draft] of past.entries()) {
    const { id, eventType, data, metadata } = draft;
    const event = createEvent({
      eventType,
      actorId: "given",
      version: at + 1,
      data: frozen(plain(data)),
      ...(metadata !== undefined && { metadata }),
    });
    const own = Object.freeze(id === undefined ? event : { ...event, id });
    state = frozen(decider.evolve(state, own as E));
  }
  return state;
}

function checkEvents<E extends Event>(
  events: readonly EventDraft<E>[],
  expected: Expectation<E>,
): void {
  if (typeof expected === "function" || expected instanceof Error) {
    throw new Error(`Expected ${nameOf(expected)}, but decide() gave ${JSON.stringify(events)}`);
  }
  const wanted = listed(expected);
  const comparable = (draft: EventDraft<E>, at: number) => {
    const { id, eventType, data, metadata } = draft;
    const isIdWanted = wanted[at]?.id !== undefined;
    return plain({ eventType, data, metadata, id: isIdWanted ? id : undefined });
  };
  equal(events.map(comparable), wanted.map(comparable), "events");
}

function checkError<E extends Event>(error: unknown, expected: Expectation<E>): void {
  if (typeof expected !== "function" && !(expected instanceof Error)) {
    const events = JSON.stringify(listed(expected));
    throw new Error(`Expected events ${events}, but decide() threw ${textOf(error)}`, {
      cause: error,
    });
  }
  const isRight = expected instanceof Error
    ? isLike(error, expected)
    : isErrorClass(expected)
    ? error instanceof expected
    : expected(error);
  if (!isRight) {
    throw new Error(`Expected ${nameOf(expected)}, but decide() threw ${textOf(error)}`, {
      cause: error,
    });
  }
}

function isErrorClass(expected: object): expected is ErrorClass {
  return expected === Error || (expected as { prototype?: unknown }).prototype instanceof Error;
}

/** Whether `error` matches `expected`: by name and message. */
function isLike(error: unknown, expected: Error): boolean {
  return error instanceof Error && error.name === expected.name &&
    error.constructor === expected.constructor && error.message === expected.message;
}

function nameOf(expected: Error | ErrorClass | ((error: unknown) => boolean)): string {
  if (expected instanceof Error) return String(expected);
  return isErrorClass(expected) ? expected.name : "an error that passes the test given";
}

function listed<E extends Event>(drafts: Decision<E>): readonly EventDraft<E>[] {
  return Array.isArray(drafts)
    ? drafts as readonly EventDraft<E>[]
    : [drafts as unknown as EventDraft<E>];
}

function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Partial<Promise<T>> | undefined)?.then === "function";
}

/** A copy as a store would give it back: properties that are undefined are left out. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!isPlain(value)) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.map(([key, item]) => [key, plain(item)]));
}

/** Freezes `value` and all that is plain in it. */
function frozen<T>(value: T): T {
  if ((Array.isArray(value) || isPlain(value)) && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) frozen(item);
  }
  return value;
}

function isPlain(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
