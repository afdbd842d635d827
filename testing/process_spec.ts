import { needDecider } from "../store/base/given.ts";
import type { EventDraft } from "../store/append.ts";
import type { Event } from "../store/event.ts";
import type {
  Process,
  ProcessCommand,
  ProcessEffectCall,
  ProcessInput,
  ProcessReaction,
} from "../store/process/process.ts";
import { readReaction } from "../store/process/reaction.ts";
import { same } from "./difference.ts";
import { plain, plainState } from "./plain.ts";
import {
  eventOf,
  NO_WAITS,
  type ProcessSpecInput,
  type ProcessWaits,
  waitsAfter,
  wholeInput,
} from "./process_inputs.ts";
import type { SpecDraft, SpecValue } from "./spec_draft.ts";

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
  /**
   * Begins with a process that has taken `inputs`, in order.
   *
   * @throws {Error} No manager would give it one of them.
   */
  given(inputs?: readonly ProcessSpecInput<Input>[]): ProcessGiven<State, Input, Fact>;
}

/** A process with a past. */
export interface ProcessGiven<State, Input extends Event, Fact extends Event> {
  /**
   * Gives it an input.
   *
   * @throws {Error} No manager would.
   */
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
 * that code which changes its arguments fails here. Replies, ends of effects and deadlines that
 * nothing led to are refused: no manager would give them.
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
  /** Where an input finds the process. */
  const taken = (past: Past<State>, draft: ProcessSpecInput<Input>, at: number) => {
    const { input, waits, isRefusal } = wholeInput(draft, past.waits, at, now);
    // Nothing of a reaction is stored if one of the commands decided with it is refused.
    const found = isRefusal ? past.undone! : { ...past, waits };
    return { input, found };
  };
  const react = (
    { state, isDone }: Past<State>,
    input: ProcessInput<Input>,
  ): Required<ProcessReaction<Fact>> => {
    const reaction = isDone // As a manager does: it takes later inputs without effect.
      ? undefined
      : process.react(state, input, { id, now: new Date(now) });
    return readReaction(reaction, () => {});
  };
  const after = (past: Past<State>, reaction: Required<ProcessReaction<Fact>>): Past<State> => {
    let { state, version } = past;
    for (const draft of reaction.facts) {
      const actorId = `process:${process.name}-${id}`;
      const fact = eventOf(draft as EventDraft, actorId, ++version, now);
      state = plainState(process.evolve(state, fact as unknown as Fact), "evolve()");
    }
    const { waits, isDone } = past;
    return {
      ...{ state, version, isDone: isDone || reaction.done, waits: waitsAfter(waits, reaction) },
      undone: past,
    };
  };
  return {
    given: (inputs = []) => {
      const state = plainState(process.initialState(), "initialState()");
      let past: Past<State> = { state, version: 0, isDone: false, waits: NO_WAITS };
      for (const [at, draft] of inputs.entries()) {
        const { input, found } = taken(past, draft, at + 1);
        past = after(found, react(found, input));
      }
      const next = inputs.length + 1;
      return {
        when: (draft) => {
          const { input, found } = taken(past, draft, next);
          return {
            then: (expected, ...more: unknown[]) => {
              if (more.length > 0) {
                throw new Error("Cannot await when(): call then() with the expected reaction");
              }
              const reaction = react(found, input);
              const given = comparable(reaction as ProcessExpectation<Fact>);
              same(given, comparable(expected), "reaction");
              after(found, reaction); // A process is parked too if evolve() throws.
            },
          };
        },
        thenState: (expected) => same(past.state, expected, "state"),
      };
    },
  };
}

/** A process that has taken inputs. */
interface Past<State> {
  readonly state: State;
  /** The number of its facts. */
  readonly version: number;
  readonly isDone: boolean;
  readonly waits: ProcessWaits;
  /** The process as the last input found it. */
  readonly undone?: Past<State>;
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
