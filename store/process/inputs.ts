import type { EventDraft } from "../append.ts";
import { freshCopy, isUncopied } from "../base/fresh.ts";
import { refusePromise } from "../base/hook.ts";
import { uuidv8 } from "../base/uuid.ts";
import type { Decider } from "../command/decider.ts";
import type { CommandFailure } from "../errors.ts";
import type { Event } from "../event.ts";
import { isLedgerType, LedgerType } from "../ledger_type.ts";
import {
  type CalledEffect,
  type DeadlineSetData,
  type EffectEnded,
  type IssuedCommand,
  type Ledger,
  ledger,
  ProcessHeld,
  ReactionFailure,
} from "./ledger.ts";
import type {
  Process,
  ProcessCommand,
  ProcessDeadline,
  ProcessEffect,
  ProcessEffectCall,
  ProcessInput,
  ProcessReaction,
  ProcessReply,
} from "./process.ts";
import { withKeys } from "./outgoing.ts";
import { asTargets, readReaction } from "./reaction.ts";
import { checkTarget, checkTogether, type Targets } from "./targets.ts";

/** A process as its history makes it up. */
export interface ProcessRecord<State> {
  readonly state: State;
  readonly ledger: Ledger;
}

/**
 * The record of a process whose state is an instance of a class, and an instance itself: so the code
 * that hands it out sees that it shares a state that can be changed, and keeps it for no later input.
 */
class SharedRecord<State> implements ProcessRecord<State> {
  readonly state: State;
  readonly ledger: Ledger;

  constructor(state: State, ledger: Ledger) {
    this.state = state;
    this.ledger = ledger;
  }
}

function recordOf<State>(state: State, ledger: Ledger): ProcessRecord<State> {
  return isUncopied(state) ? new SharedRecord(state, ledger) : { state, ledger };
}

/** An input on its way into a process. */
export interface Taking<Input extends Event> {
  readonly input: ProcessInput<Input>;
  /** Names the input: it is the id of the command that takes it. */
  readonly inputId: string;
  /** The process's id. */
  readonly id: string;
  /** The actor that is its history. */
  readonly actorId: string;
  /** The version of the event that set it, of a deadline. */
  readonly setAt?: number;
  /** The id of the call, of an effect that has ended. */
  readonly effectId?: string;
  /** The time by the server's clock. */
  readonly now: Date;
  /** Whether it is taken though the process is parked. */
  readonly isRetry: boolean;
  /** The known outcome of the commands that the reaction issues together. */
  readonly together?: TogetherOutcome;
}

/** The known outcome of commands that a reaction issues together. */
export type TogetherOutcome =
  /** They are decided in the same call, behind the input. */
  | { readonly kind: "decided"; readonly commands: readonly ProcessCommand[] }
  /** One of them was refused. */
  | {
    readonly kind: "refused";
    readonly commands: readonly ProcessCommand[];
    /** Which one. */
    readonly at: number;
    readonly failure: CommandFailure;
  };

/** Thrown for an input whose reaction issues commands together: they have to be decided with it. */
export class DecideTogether extends Error {
  /** The commands; none if the reaction is another one by now. */
  readonly commands: readonly ProcessCommand[];

  /** Keeps the commands. */
  constructor(commands: readonly ProcessCommand[]) {
    super("the commands are to be decided together");
    this.commands = commands;
  }
}

/** Events to save. */
type Drafts = readonly EventDraft[] | Promise<readonly EventDraft[]>;

/** Takes the inputs of a process, each into one commit. */
export type InputDecider<State, Input extends Event> = Decider<
  ProcessRecord<State>,
  Taking<Input>
>;

/** The decider that takes inputs of a process whose commands and effects go to `targets`. */
export function inputDecider<State, Input extends Event, Fact extends Event>(
  process: Process<State, Input, Fact>,
  targets: Targets,
): InputDecider<State, Input> {
  return {
    initialState: () =>
      recordOf(
        guard(() => plain(process.initialState(), "initialState()")),
        ledger.initialState(),
      ),
    evolve: (record, event) => {
      if (isLedgerType(event.eventType)) {
        return recordOf(record.state, ledger.evolve(record.ledger, event));
      }
      const next = guard(() => process.evolve(record.state, event as Fact));
      const state = guard(() => plain(next, "evolve()"));
      // A state that was changed in place is to be noticed: the record is changed with it.
      return next === record.state
        ? Object.assign(record, { state })
        : recordOf(state, record.ledger);
    },
    decide: (taking, { state, ledger: { open, effects, deadlines, parked: at, ended } }) => {
      const { input, id, now, isRetry, together: known } = taking;
      const parked = at?.resuming && !("kind" in input) ? undefined : at;
      const taken: EventDraft[] = [];
      /** Gives events that have no commands to be decided in the same call. */
      const alone = (drafts: Drafts): Drafts => {
        if (known?.kind === "decided") throw new DecideTogether([]);
        return drafts;
      };
      if (isReply(input)) {
        if (!open.has(input.commandId)) return alone([]);
        taken.push({ eventType: LedgerType.settled, data: { id: input.commandId } });
      } else if (isEffect(input)) {
        const id = taking.effectId!;
        if (!effects.has(id)) return alone([]);
        const { outcome, result, failure } = input;
        const data: EffectEnded = { id, outcome, result, ...(failure && { failure }) };
        taken.push({ eventType: LedgerType.effectEnded, data });
      } else if (isDeadline(input)) {
        // Another one of that name may have been set since.
        if (deadlines.get(input.name)?.version !== taking.setAt) return alone([]);
        taken.push({ eventType: LedgerType.deadlineCleared, data: { name: input.name } });
      }
      if (ended !== undefined) return alone(taken);
      if (parked !== undefined && !isRetry) throw new ProcessHeld(id, parked);
      const reaction = guard(() => {
        const given = freshCopy(input);
        const reaction = readReaction<Fact>(
          process.react(state, given, { id, now }),
          (target) => checkTarget(targets, target),
        );
        if (reaction.together) checkTogether(targets, taking.actorId, reaction.commands);
        return reaction;
      });
      const isStanding = (name: string) =>
        deadlines.has(name) && !(isDeadline(input) && input.name === name);
      const { commands = [], together = false } = reaction;
      if (!together || commands.length === 0) {
        return alone(draftsOf(taken, reaction, taking, isStanding));
      }
      if (known === undefined || !guard(() => isSame(known.commands, commands))) {
        throw new DecideTogether(commands);
      }
      return known.kind === "refused"
        ? refusalOf(taken, known, taking, commands)
        : draftsOf(taken, reaction, taking, isStanding);
    },
  };
}

function isReply(input: ProcessInput): input is ProcessReply {
  return "kind" in input && input.kind === "reply";
}

function isEffect(input: ProcessInput): input is ProcessEffect {
  return "kind" in input && input.kind === "effect";
}

function isDeadline(input: ProcessInput): input is ProcessDeadline {
  return "kind" in input && input.kind === "deadline";
}

function draftsOf<Input extends Event, Fact extends Event>(
  taken: readonly EventDraft[],
  { facts, commands, together, effects, deadlines, done }: Required<ProcessReaction<Fact>>,
  taking: Taking<Input>,
  isStanding: (name: string) => boolean,
): Drafts {
  const before = [...taken, ...facts as readonly EventDraft[]];
  for (const [name, at] of Object.entries(deadlines)) {
    if (at !== null) {
      const data: DeadlineSetData = { name, at: at.toISOString() };
      before.push({ eventType: LedgerType.deadlineSet, data });
    } else if (isStanding(name)) {
      before.push({ eventType: LedgerType.deadlineCleared, data: { name } });
    }
  }
  const after: EventDraft[] = done ? [{ eventType: LedgerType.ended, data: {} }] : [];
  if (commands.length === 0 && effects.length === 0) return [...before, ...after];
  const isJoint = together && taking.together?.kind === "decided";
  const more = isJoint ? { together: true } as const : {};
  return Promise.all([issue(commands, taking), call(effects, taking)])
    .then(([issued, called]) => [
      ...before,
      ...issued.map((command) => issuedDraft({ ...command, ...more })),
      ...called,
      ...after,
    ]);
}

/** A refusal is all that is left of the reaction: it is the next input. */
async function refusalOf<Input extends Event>(
  taken: readonly EventDraft[],
  { at, failure }: TogetherOutcome & { readonly kind: "refused" },
  taking: Taking<Input>,
  commands: readonly ProcessCommand[],
): Promise<readonly EventDraft[]> {
  const issued = await issue(commands, taking);
  return [...taken, issuedDraft({ ...issued[at]!, refused: failure })];
}

function issuedDraft(data: IssuedCommand): EventDraft {
  return { eventType: LedgerType.issued, data };
}

/** Whether these are the same commands, as they are stored. */
function isSame(some: readonly ProcessCommand[], others: readonly ProcessCommand[]): boolean {
  const [one, other] = [some, others].map((commands) =>
    JSON.stringify(commands.map(({ actorId, key, command }) => [actorId, key ?? null, command]))
  );
  return one === other;
}

/** The commands under ids that are the same whenever the same input is decided. */
async function issue<Input extends Event>(
  commands: readonly ProcessCommand[],
  { actorId: process, inputId }: Taking<Input>,
): Promise<IssuedCommand[]> {
  return await Promise.all(
    withKeys(commands).map(async ({ outgoing: { actorId, command, key: own }, key }) => {
      const id = await uuidv8(["process", process, inputId, actorId, key]);
      const named = own === undefined ? {} : { key: own };
      return { id, actorId, command, ...named };
    }),
  );
}

async function call<Input extends Event>(
  effects: readonly ProcessEffectCall[],
  { actorId: process, inputId }: Taking<Input>,
): Promise<EventDraft[]> {
  return await Promise.all(
    withKeys(asTargets(effects)).map(async ({ outgoing: { call }, key }) => {
      const { name, input, key: own } = call;
      const id = await uuidv8(["effect", process, inputId, name, key]);
      const data: CalledEffect = { id, name, input, ...(own !== undefined && { key: own }) };
      return { eventType: LedgerType.called, data };
    }),
  );
}

/** The result of the user's code, which must not be a promise. */
function plain<T>(value: T, what: string): T {
  refusePromise(value, what);
  return value;
}

/** Calls the code of the user; marks what that throws, unlike all other failures. */
function guard<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new ReactionFailure(error);
  }
}
