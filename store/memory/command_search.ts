import {
  type ActorEnd,
  type CommandPlace,
  type CommandSearch,
  SEARCHED_EVENTS,
} from "../command_log.ts";
import { messageSequenceOf } from "../format/position.ts";
import type { MemoryLog } from "./log.ts";

/** Looks for commands as a store on JetStream does; see `CommandLog.search()`. */
export function searchLog(log: MemoryLog, actorId: string, after?: number | Date): CommandSearch {
  const end = log.endOf(actorId);
  const entries = entriesOf(log, actorId);
  const since = typeof after === "number" ? after : startOf(entries, end, after);
  const found = new Map<string, CommandPlace>();
  for (const { command, sequence, version, events } of entries) {
    const message = messageSequenceOf(sequence);
    if (command === undefined || message <= since) continue;
    const before = found.get(command);
    const messages = [...before?.messages.filter((it) => it !== message) ?? [], message];
    found.delete(command);
    found.set(command, { messages, version, events: events + (before?.events ?? 0) });
  }
  return { end, found, since };
}

/** The stream sequence behind which a search begins. */
function startOf(entries: readonly Entry[], end: ActorEnd, after: Date | undefined): number {
  if (after === undefined) {
    const first = entries.filter(({ events }) => events > 0).at(-SEARCHED_EVENTS);
    return first === undefined ? 0 : messageSequenceOf(first.sequence) - 1;
  }
  const first = entries.find(({ time }) => time >= after.getTime());
  return first === undefined ? end.sequence : messageSequenceOf(first.sequence) - 1;
}

/** An event or a receipt, by what matters here. */
interface Entry {
  readonly sequence: number;
  readonly time: number;
  readonly version: number;
  readonly command: string | undefined;
  /** How many events it is. */
  readonly events: number;
}

function entriesOf(log: MemoryLog, actorId: string): Entry[] {
  const receipts = log.receiptsOf(actorId).map(({ commandId, ...rest }) => ({
    ...rest,
    command: commandId,
    events: 0,
  }));
  const events = log.historyOf(actorId).map((event) => ({ ...event, events: 1 }));
  return [...events, ...receipts].sort((one, other) => one.sequence - other.sequence);
}
