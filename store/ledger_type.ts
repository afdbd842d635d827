/** The events of the library's own in the history of a process. Their names are a format that stays. */
export const LedgerType = {
  /** A command is to be sent: `IssuedCommand`. */
  issued: "CommandIssued",
  /** The outcome of a command was taken in: `{ id }`. */
  settled: "CommandSettled",
  /** An effect is to be run: `CalledEffect`. */
  called: "EffectCalled",
  /** It begins to run: `{ id }`. */
  started: "EffectStarted",
  /** It has ended, and that was taken in: `EffectEnded`. */
  effectEnded: "EffectEnded",
  /** A deadline is set: `{ name, at }`, with the time as ISO 8601. */
  deadlineSet: "DeadlineSet",
  /** It has come, or is not wanted any more: `{ name }`. */
  deadlineCleared: "DeadlineCleared",
  /** The process waits, because an input failed: `ParkedAt`. */
  parked: "ProcessParked",
  /** It goes on: `null`. */
  unparked: "ProcessUnparked",
  /** It has ended: `{ reason? }`. */
  ended: "ProcessEnded",
} as const;

const TYPES: ReadonlySet<string> = /* @__PURE__ */ new Set(Object.values(LedgerType));

/** Categories of processes begin with this. */
export const PROCESS_PREFIX = "process:";

/** Whether a name is one of an event of the library's own. */
export function isLedgerType(eventType: string): boolean {
  return TYPES.has(eventType);
}

/** Whether an event is one of the library's own, which no user has defined. */
export function isLedgerEvent(
  { actorId, eventType }: { readonly actorId: string; readonly eventType: string },
): boolean {
  return actorId.startsWith(PROCESS_PREFIX) && isLedgerType(eventType);
}
