import type { RecordedEvent } from "../../store/event.ts";
import { LedgerType } from "../../store/ledger_type.ts";
import type { IssuedCommand } from "../../store/process/ledger.ts";
import { isRecord } from "../../store/base/json.ts";
import { processOf } from "./actor.ts";
import { type Kin, treeOf } from "./kin.ts";
import type {
  CausationNode,
  CausationView,
  CausedEvent,
  OutsideCause,
} from "../views/causation.ts";

/** Nodes of one answer, and how many of them are events. */
export const [MOST_NODES, MOST_EVENTS] = [500, 450];

/** The tree around an event, for the page. */
export function causationView(kin: Kin): CausationView {
  const { wanted, members, omittedBy } = kin;
  const settled = new Set(members.flatMap(settledIn));
  const known = new Set(members.map(({ id }) => id));
  const outside = new Map<string, OutsideCause>();
  const events: CausedEvent[] = [];
  for (const { event, cause } of treeOf(kin)) {
    const named = event.metadata?.causationId;
    const isOutside = cause === undefined && named !== undefined && named !== event.id &&
      !known.has(named);
    const hasRoom = isOutside && (outside.has(named) || outside.size < MOST_NODES - MOST_EVENTS);
    if (hasRoom) outside.set(named, { kind: "outside", id: named, ...left(omittedBy, named) });
    const above = hasRoom ? named : cause?.id;
    events.push({
      ...nodeOf(event, settled),
      ...(above && { cause: above }),
      ...left(omittedBy, event.id),
    });
  }
  const nodes: CausationNode[] = [...outside.values(), ...events];
  return { eventId: wanted.id, nodes, omitted: kin.omitted };
}

function left(omittedBy: ReadonlyMap<string, number>, id: string): { omitted?: number } {
  const omitted = omittedBy.get(id);
  return omitted === undefined ? {} : { omitted };
}

function nodeOf(event: RecordedEvent, settled: ReadonlySet<string>): CausedEvent {
  const { id, sequence, eventType, actorId, version, timestamp, metadata } = event;
  const process = processOf(actorId);
  const issued = process && issuedIn(event);
  return {
    ...{ kind: "event", id, sequence, eventType, actorId, version },
    timestamp: timestamp.toISOString(),
    ...(metadata?.correlationId !== undefined && { correlationId: metadata.correlationId }),
    ...(process && { process }),
    ...(issued && {
      command: {
        ...{ id: issued.id, actorId: issued.actorId, command: issued.command },
        settled: issued.together === true || settled.has(issued.id),
        ...(issued.refused && { refused: issued.refused.message }),
      },
    }),
  };
}

function issuedIn({ eventType, data }: RecordedEvent): IssuedCommand | undefined {
  if (eventType !== LedgerType.issued || !isRecord(data)) return undefined;
  return typeof data.id === "string" && typeof data.actorId === "string"
    ? data as unknown as IssuedCommand
    : undefined;
}

/** The command that a process has settled by this event. */
function settledIn({ actorId, eventType, data }: RecordedEvent): string[] {
  const isSettled = eventType === LedgerType.settled && processOf(actorId) !== undefined;
  return isSettled && isRecord(data) && typeof data.id === "string" ? [data.id] : [];
}
