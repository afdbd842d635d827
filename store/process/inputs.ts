import type { EventDraft } from "../append.ts";
import { freshCopy } from "../base/fresh.ts";
import { refusePromise } from "../base/hook.ts";
import { uuidv8 } from "../base/uuid.ts";
import type { Decider } from "../command/decider.ts";
import type { Event } from "../event.ts";
import {
  type CalledEffect,
  type DeadlineSetData,
  type EffectEnded,
  isLedgerType,
  type IssuedCommand,
  type Ledger,
  ledger,
  LedgerType,
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

/** A process as its history makes it up. */
export interface ProcessRecord<State> {
  readonly state: State;
  readonly ledger: Ledger;
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
}

/** Takes the inputs of a process, each into one commit. */
export type InputDecider<State, Input extends Event> = Decider<
  ProcessRecord<State>,
  Taking<Input>
>;

/** The decider that takes inputs; `checkTarget` throws for a command that can go nowhere. */
export function inputDecider<State, Input extends Event, Fact extends Event>(
  process: Process<State, Input, Fact>,
  checkTarget: (command: ProcessCommand | ProcessEffectCall) => void,
): InputDecider<State, Input> {
  return {
    initialState: () => ({
      state: guard(() => plain(process.initialState(), "initialState()")),
      ledger: ledger.initialState(),
    }),
    evolve: (record, event) =>
      isLedgerType(event.eventType) ? { ...record, ledger: ledger.evolve(record.ledger, event) } : {
        ...record,
        state: guard(() => plain(process.evolve(record.state, event as Fact), "evolve()")),
      },
    decide: (taking, { state, ledger: { open, effects, deadlines, parked, ended } }) => {
      const { input, id, now, isRetry } = taking;
      const taken: EventDraft[] = [];
      if (isReply(input)) {
        if (!open.has(input.commandId)) return [];
        taken.push({ eventType: LedgerType.settled, data: { id: input.commandId } });
      } else if (isEffect(input)) {
        const id = taking.effectId!;
        if (!effects.has(id)) return [];
        const { outcome, result, failure } = input;
        const data: EffectEnded = { id, outcome, result, ...(failure && { failure }) };
        taken.push({ eventType: LedgerType.effectEnded, data });
      } else if (isDeadline(input)) {
        // Another one of that name may have been set since.
        if (deadlines.get(input.name)?.version !== taking.setAt) return [];
        taken.push({ eventType: LedgerType.deadlineCleared, data: { name: input.name } });
      }
      if (ended !== undefined) return taken;
      if (parked !== undefined && !isRetry) throw new ProcessHeld(`"${id}" is parked`);
      const reaction = guard(() => {
        const given = freshCopy(input);
        return readReaction(process.react(state, given, { id, now }), checkTarget);
      });
      const isStanding = (name: string) =>
        deadlines.has(name) && !(isDeadline(input) && input.name === name);
      return draftsOf(taken, reaction, taking, isStanding);
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
  { facts, commands, effects, deadlines, done }: Required<ProcessReaction<Fact>>,
  taking: Taking<Input>,
  isStanding: (name: string) => boolean,
): readonly EventDraft[] | Promise<readonly EventDraft[]> {
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
  return Promise.all([issue(commands, taking), call(effects, taking)])
    .then(([issued, called]) => [...before, ...issued, ...called, ...after]);
}

/** The commands under ids that are the same whenever the same input is decided. */
async function issue<Input extends Event>(
  commands: readonly ProcessCommand[],
  { actorId: process, inputId }: Taking<Input>,
): Promise<EventDraft[]> {
  return await Promise.all(
    withKeys(commands).map(async ({ outgoing: { actorId, command, key: own }, key }) => {
      const id = await uuidv8(["process", process, inputId, actorId, key]);
      const named = own === undefined ? {} : { key: own };
      const data: IssuedCommand = { id, actorId, command, ...named };
      return { eventType: LedgerType.issued, data };
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

/** What the user's code gave, which must not be a promise. */
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
