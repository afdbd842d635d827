import type { EventDraft } from "../append.ts";
import { textOf } from "../base/text.ts";
import type { Evolution } from "../command/decider.ts";
import type { CommandFailure } from "../errors.ts";
import { LedgerType } from "../ledger_type.ts";

/** The data of `CommandIssued`. */
export interface IssuedCommand {
  /** The id under which it is sent. */
  readonly id: string;
  /** The actor that gets it. */
  readonly actorId: string;
  /** The command. */
  readonly command: unknown;
  /** The key that `react` gave it, if any. */
  readonly key?: string;
  /** Whether its events are in this very commit: then it is not sent, and no reply comes back. */
  readonly together?: true;
  /** Why it was refused, if that is known already: then it is not sent, and this is the reply. */
  readonly refused?: CommandFailure;
}

/** The data of `ProcessParked`. */
export interface ParkedAt {
  /** Position of the event that failed, or of the `CommandIssued` whose outcome did. */
  readonly sequence: number;
  /** The id of that event. */
  readonly eventId: string;
  /** The error, as text. */
  readonly reason: string;
  /** Where the next retry begins, if the process may have missed events before the failed one. */
  readonly from?: number;
  /** Whether it takes events again, while a retry gives it those that it has missed until then. */
  readonly resuming?: true;
}

/** Where a retry of a process begins that is parked. */
export function retryStart({ from, sequence }: ParkedAt): number {
  return from ?? sequence;
}

/** An issued command whose outcome was not taken in yet. */
export interface OpenCommand extends IssuedCommand {
  /** When it was issued. */
  readonly since: Date;
}

/** The data of `EffectCalled`. */
export interface CalledEffect {
  /** The idempotency key. */
  readonly id: string;
  /** The effect's name. */
  readonly name: string;
  /** Its input. */
  readonly input: unknown;
  /** The key that `react` gave it, if any. */
  readonly key?: string;
}

/** The data of `EffectEnded`. */
export interface EffectEnded {
  readonly id: string;
  readonly outcome: "done" | "failed" | "unknown";
  readonly result?: unknown;
  readonly failure?: CommandFailure;
}

/** An effect that was called and has not ended. */
export interface OpenEffect extends CalledEffect {
  /** Whether it has begun to run: if its program died since, the outcome is unknown. */
  readonly started: boolean;
  /** When it was called. */
  readonly since: Date;
}

/** The data of `DeadlineSet`. */
export interface DeadlineSetData {
  readonly name: string;
  /** As ISO 8601. */
  readonly at: string;
}

/** A deadline that is set and has not come. */
export interface OpenDeadline {
  /** The name under which it was set. */
  readonly name: string;
  /** When it is due. */
  readonly at: Date;
  /** The version of the event that set it. */
  readonly version: number;
}

/** The state that the library's own events in the history of a process make up. */
export interface Ledger {
  /** By command id, in the order they were issued. */
  readonly open: ReadonlyMap<string, OpenCommand>;
  /** By id. */
  readonly effects: ReadonlyMap<string, OpenEffect>;
  /** By name. */
  readonly deadlines: ReadonlyMap<string, OpenDeadline>;
  readonly parked: (ParkedAt & { readonly since: Date }) | undefined;
  readonly ended: { readonly reason?: string } | undefined;
}

/** How the library's own events make up a ledger; facts leave it as it is. */
export const ledger: Evolution<Ledger> = {
  initialState: () => ({
    open: new Map(),
    effects: new Map(),
    deadlines: new Map(),
    parked: undefined,
    ended: undefined,
  }),
  evolve: (before, { eventType, data, timestamp, version }) => {
    switch (eventType) {
      case LedgerType.issued: {
        const command = data as IssuedCommand;
        if (command.together === true) return before;
        const open = new Map(before.open).set(command.id, { ...command, since: timestamp });
        return { ...before, open };
      }
      case LedgerType.settled: {
        const open = new Map(before.open);
        open.delete((data as { id: string }).id);
        return { ...before, open };
      }
      case LedgerType.called: {
        const called = { ...data as CalledEffect, started: false, since: timestamp };
        return { ...before, effects: new Map(before.effects).set(called.id, called) };
      }
      case LedgerType.started: {
        const called = before.effects.get((data as { id: string }).id);
        if (called === undefined) return before;
        const effects = new Map(before.effects).set(called.id, { ...called, started: true });
        return { ...before, effects };
      }
      case LedgerType.effectEnded: {
        const effects = new Map(before.effects);
        effects.delete((data as EffectEnded).id);
        return { ...before, effects };
      }
      case LedgerType.deadlineSet: {
        const { name, at } = data as DeadlineSetData;
        const deadline = { name, at: new Date(at), version };
        return { ...before, deadlines: new Map(before.deadlines).set(name, deadline) };
      }
      case LedgerType.deadlineCleared: {
        const deadlines = new Map(before.deadlines);
        deadlines.delete((data as { name: string }).name);
        return { ...before, deadlines };
      }
      case LedgerType.parked:
        return { ...before, parked: { ...data as ParkedAt, since: timestamp } };
      case LedgerType.unparked:
        return { ...before, parked: undefined };
      case LedgerType.ended:
        return {
          ...{ ...before, deadlines: new Map(), parked: undefined },
          ended: data as { reason?: string },
        };
      default:
        return before;
    }
  },
};

/** A change of a process by hand, or after a failure. */
export type LedgerChange =
  /**
   * With `ifEarlier` it stays parked where it is, if that is before `at`. A retry that began at
   * `retriedFrom` has given it all events from there up to `at`.
   */
  | {
    readonly kind: "park";
    readonly at: ParkedAt;
    readonly ifEarlier?: true;
    readonly retriedFrom?: number | undefined;
  }
  /** It is to take events again, unless it is parked at another event than this one by now. */
  | { readonly kind: "resume"; readonly eventId: string; readonly from: number }
  /** Unless anything but the resuming of this event, from there, is at hand by now. */
  | { readonly kind: "unpark"; readonly eventId: string; readonly from: number }
  | { readonly kind: "start"; readonly id: string }
  | { readonly kind: "end"; readonly reason?: string };

/** Changes ledgers; needs no state of the user's, whose code may be what fails. */
export const ledgerDecider = {
  ...ledger,
  decide: (change: LedgerChange, { effects, parked, ended }: Ledger): readonly EventDraft[] => {
    if (change.kind === "start") {
      const { id } = change;
      return effects.get(id)?.started === false
        ? [{ eventType: LedgerType.started, data: { id } }]
        : [];
    }
    switch (change.kind) {
      case "park":
        if (parked === undefined) return [{ eventType: LedgerType.parked, data: change.at }];
        if (change.ifEarlier && retryStart(parked) <= change.at.sequence) return [];
        return parkedAgain(change.at, parked, change.retriedFrom);
      case "resume": {
        if (parked?.eventId !== change.eventId || parked.resuming) return [];
        const { sequence, eventId, reason } = parked;
        const data: ParkedAt = { sequence, eventId, reason, from: change.from, resuming: true };
        return [{ eventType: LedgerType.parked, data }];
      }
      case "unpark":
        return parked?.eventId !== change.eventId || parked.from !== change.from
          ? []
          : [{ eventType: LedgerType.unparked, data: null }];
      case "end": {
        if (ended !== undefined && parked === undefined) return [];
        const { reason } = change;
        return [{ eventType: LedgerType.ended, data: reason === undefined ? {} : { reason } }];
      }
    }
  },
};

/** The fact that a process fails again that is parked already; none if that says nothing new. */
function parkedAgain(
  at: ParkedAt,
  { resuming, ...parked }: ParkedAt,
  retriedFrom = Infinity,
): readonly EventDraft[] {
  const isKnown = !resuming && parked.eventId === at.eventId && parked.reason === at.reason;
  if (isKnown) return [];
  const start = retryStart(parked);
  // Unless a retry has given it those before, it still lacks them.
  const lacksEarlier = start < Math.min(at.sequence, retriedFrom);
  return [{ eventType: LedgerType.parked, data: lacksEarlier ? { ...at, from: start } : at }];
}

/** Thrown where the code of a process threw its `cause`. */
export class ReactionFailure extends Error {
  /** Keeps what was thrown. */
  constructor(cause: unknown) {
    super(textOf(cause), { cause });
  }
}

/** Thrown for an input of a process that is parked: it is not taken. */
export class ProcessHeld extends Error {
  /** Where it is parked. */
  readonly parked: ParkedAt;

  /** Keeps where it is parked. */
  constructor(id: string, parked: ParkedAt) {
    super(`"${id}" is parked`);
    this.parked = parked;
  }
}
