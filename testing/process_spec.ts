import { freshCopy } from "../store/base/fresh.ts";
import { needDecider } from "../store/base/given.ts";
import type { EventDraft } from "../store/append.ts";
import { createEvent, type Event, type RecordedEvent } from "../store/event.ts";
import type {
  Process,
  ProcessCommand,
  ProcessDeadline,
  ProcessEffect,
  ProcessEffectCall,
  ProcessInput,
  ProcessReaction,
  ProcessReply,
} from "../store/process/process.ts";
import { readReaction } from "../store/process/reaction.ts";
import { same } from "./difference.ts";
import { frozen, plain, plainState } from "./plain.ts";
import type { SpecDraft, SpecEvent, SpecValue } from "./spec_draft.ts";

/** An input as a spec writes it: fields that are left out get values that say nothing. */
export type ProcessSpecInput<Input extends Event = Event> =
  | (SpecEvent<Input> & { readonly kind?: never })
  | (Pick<ProcessReply, "kind"> & Partial<ProcessReply>)
  | (Pick<ProcessDeadline, "kind" | "name"> & Partial<ProcessDeadline>)
  | (Pick<ProcessEffect, "kind" | "name" | "outcome"> & Partial<ProcessEffect>);

/** Options for {@linkcode processSpec}. */
export interface ProcessSpecOptions {
  /** The process's id. @default {"given"} */
  readonly id?: string;
  /** The time at which all inputs come, and facts are made. @default {the beginning of 1970} */
  readonly now?: Date;
}

/** The expected reaction: a part that is left out is expected to be empty. */
export interface ProcessExpectation<Fact extends Event = Event> {
  /** Its facts, in order. */
  readonly facts?: readonly SpecDraft<Fact>[];
  /** The commands that it issues, in order. */
  readonly commands?: readonly ProcessCommand[];
  /** Whether those are decided together with the input. */
  readonly together?: boolean;
  /** The effects that it calls, in order. */
  readonly effects?: readonly ProcessEffectCall[];
  /** The deadlines that it sets, and clears by `null`. */
  readonly deadlines?: Readonly<Record<string, Date | null>>;
  /** Whether the process ends. */
  readonly done?: boolean;
}

/** The process's past: see {@linkcode processSpec}. */
export interface ProcessSpec<State, Input extends Event, Fact extends Event> {
  /** Begins with a process that has taken `inputs`, in order. */
  given(inputs?: readonly ProcessSpecInput<Input>[]): ProcessGiven<State, Input, Fact>;
}

/** A process with a past. */
export interface ProcessGiven<State, Input extends Event, Fact extends Event> {
  /** Gives it an input. */
  when(input: ProcessSpecInput<Input>): ProcessWhen<Fact>;
  /**
   * Passes if this is its state.
   *
   * @throws {Error} It is not; the message names the place, and compares both values.
   */
  thenState(expected: State | SpecValue<State>): void;
}

/** A process that has got an input. */
export interface ProcessWhen<Fact extends Event> {
  /**
   * Passes if the input leads to this, and `evolve` takes its facts. Once the process is done, no
   * input leads to anything.
   *
   * @throws {Error} It does not; the message names the place, and compares both values.
   */
  then(expected: ProcessExpectation<Fact>): void;
}

/**
 * Tests a process in the words of its domain, with no store and no runner: given these inputs, when
 * this one comes, then it issues those commands. States, facts and inputs are frozen on the way, so
 * that code which changes its arguments fails here.
 *
 * @param process The process to test.
 *
 * @example A payment that is late
 * ```ts
 * import type { Event, Process } from "@flowmade-one/aether";
 * import { processSpec } from "@flowmade-one/aether/testing";
 *
 * type Placed = Event<"OrderPlaced", { total: number }>;
 * const order: Process<null, Placed> = {
 *   name: "order",
 *   correlate: ({ actorId }) => actorId,
 *   initialState: () => null,
 *   evolve: (state) => state,
 *   react: (_state, input, { id, now }) => {
 *     if (!("kind" in input)) {
 *       return {
 *         commands: [{ actorId: `payment-${id}`, command: input.data.total }],
 *         deadlines: { payment: new Date(now.getTime() + 60_000) },
 *       };
 *     }
 *     return { done: true };
 *   },
 * };
 *
 * const spec = processSpec(order, { id: "7" });
 * const placed = { eventType: "OrderPlaced", data: { total: 5 } } as const;
 * spec.given().when(placed).then({
 *   commands: [{ actorId: "payment-7", command: 5 }],
 *   deadlines: { payment: new Date(60_000) },
 * });
 * spec.given([placed]).when({ kind: "deadline", name: "payment" }).then({ done: true });
 * ```
 */
export function processSpec<State, Input extends Event, Fact extends Event>(
  process: Process<State, Input, Fact>,
  { id = "given", now: time = new Date(0) }: ProcessSpecOptions = {},
): ProcessSpec<State, Input, Fact> {
  const methods = ["correlate", "initialState", "evolve", "react"];
  needDecider(process, "test the process", "process", methods);
  const now = time.getTime();
  return {
    given: (inputs = []) => {
      let state = plainState(process.initialState(), "initialState()");
      let version = 0;
      let isDone = false;
      const next = inputs.length + 1;
      const react = (input: ProcessInput<Input>): Required<ProcessReaction<Fact>> => {
        const reaction = isDone // As a manager does: it takes later inputs without effect.
          ? undefined
          : process.react(state, input, { id, now: new Date(now) });
        return readReaction(reaction, () => {});
      };
      const evolve = ({ facts }: Required<ProcessReaction<Fact>>): State => {
        let evolved = state;
        for (const [at, draft] of facts.entries()) {
          const actorId = `process:${process.name}-${id}`;
          const fact = eventOf(draft as EventDraft, actorId, version + at + 1, now);
          evolved = plainState(process.evolve(evolved, fact as unknown as Fact), "evolve()");
        }
        return evolved;
      };
      for (const [at, input] of inputs.entries()) {
        const reaction = react(filled(input, at + 1, now));
        state = evolve(reaction);
        version += reaction.facts.length;
        isDone ||= reaction.done;
      }
      return {
        when: (given) => {
          const input = filled(given, next, now);
          return {
            then: (expected, ...more: unknown[]) => {
              if (more.length > 0) {
                throw new Error("Cannot await when(): call then() with the expected reaction");
              }
              const reaction = react(input);
              const found = comparable(reaction as ProcessExpectation<Fact>);
              same(found, comparable(expected), "reaction");
              evolve(reaction); // A process is parked too if evolve() throws.
            },
          };
        },
        thenState: (expected) => same(state, expected, "state"),
      };
    },
  };
}

/** A whole input. */
function filled<Input extends Event>(
  input: ProcessSpecInput<Input>,
  at: number,
  now: number,
): ProcessInput<Input> {
  if (input.kind === undefined) {
    const { actorId = "given", timestamp = now } = input as Partial<Event>;
    const event = eventOf(input as EventDraft, actorId, at, timestamp);
    const commit = { op: "given", index: 0, count: 1 };
    return frozen({ ...event, sequence: at, commit }) as unknown as Input & RecordedEvent;
  }
  switch (input.kind) {
    case "reply":
      return frozen(freshCopy({ commandId: "given", actorId: "given", events: [], ...input }));
    case "deadline":
      return frozen(freshCopy({ at: new Date(0), ...input }));
    case "effect":
      return frozen(freshCopy({ result: null, ...input }));
  }
}

function eventOf(
  { id, eventType, data, metadata }: EventDraft,
  actorId: string,
  version: number,
  timestamp: Date | number,
): Event {
  const event = createEvent({
    ...{ eventType, actorId, version, data: frozen(plain(data)) },
    ...(metadata !== undefined && { metadata: { ...metadata } }),
  });
  const own = { ...event, timestamp: new Date(timestamp), ...(id !== undefined && { id }) };
  return Object.freeze(own);
}

/** The parts of a reaction that are compared. */
function comparable<Fact extends Event>(
  expectation: ProcessExpectation<Fact>,
): unknown {
  const { facts = [], commands = [], together = false, effects = [] } = expectation;
  const { deadlines = {}, done = false } = expectation;
  return {
    facts: (facts as readonly EventDraft[]).map(({ eventType, data, metadata }) =>
      plain({ eventType, data, metadata })
    ),
    commands: commands.map(plain),
    together: together && commands.length > 0,
    effects: effects.map(plain),
    deadlines: Object.fromEntries(
      Object.entries(deadlines).map(([name, at]) => [name, at?.toISOString() ?? null]),
    ),
    done,
  };
}
