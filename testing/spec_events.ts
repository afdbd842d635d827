import type { EventDraft } from "../store/append.ts";
import { freshCopy } from "../store/base/fresh.ts";
import type { Event, RecordedEvent } from "../store/event.ts";
import type { EventFilter } from "../store/options.ts";
import { asStreamSequence, positionOf } from "../store/format/position.ts";
import { isOfActor } from "../store/subscription.ts";
import { plain } from "./plain.ts";
import type { SpecEvent } from "./spec_draft.ts";

/** The drafts as a store would give them back: each actor's versions count up from 1. */
export function recorded<E extends Event>(
  drafts: readonly SpecEvent<E>[],
): (E & RecordedEvent)[] {
  const versions = new Map<string, number>();
  return (drafts as readonly (EventDraft & Partial<Event>)[]).map((draft, at) => {
    const { eventType, data, metadata, actorId = "given", timestamp = new Date(0) } = draft;
    const version = (versions.get(actorId) ?? 0) + 1;
    versions.set(actorId, version);
    const event: RecordedEvent = {
      ...{ id: draft.id ?? `given-${at + 1}`, eventType, actorId, version },
      ...{ data: freshCopy(plain(data)), timestamp: new Date(timestamp) },
      ...(metadata !== undefined && { metadata: { ...metadata } }),
      ...{
        sequence: positionOf(asStreamSequence(at + 1)),
        commit: { op: `given-${at + 1}`, index: 0, count: 1 },
      },
    };
    return event as E & RecordedEvent;
  });
}

/** Drafts as they are at the call, whatever the caller does with its objects afterwards. */
export function draftsAsGiven<E extends Event>(
  drafts: readonly SpecEvent<E>[],
): readonly SpecEvent<E>[] {
  return recorded(drafts) as readonly SpecEvent[] as readonly SpecEvent<E>[];
}

/** Whether an event meets the filter. */
export function isWanted({ actorId, eventType }: Event, filter: EventFilter = {}): boolean {
  const { eventTypes } = filter;
  return isOfActor(filter, actorId) && (eventTypes === undefined || eventTypes.includes(eventType));
}
