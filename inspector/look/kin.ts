import type { RecordedEvent } from "../../store/event.ts";
import { readArrivals } from "../../store/projection/arrival.ts";
import type { EventStore } from "../../store/store.ts";
import { positionsOf } from "../../store/store_positions.ts";
import { scan } from "./scan.ts";

/** Events of which no more than their places are kept. */
const MOST_PLACES = 100_000;
/** How far the clocks of those that make ids may be ahead of the server's, in ms: a day. */
const SKEW = 24 * 60 * 60 * 1_000;

/** Options for {@linkcode findKin}. */
export interface KinOptions {
  /** Events that are kept at most. @default {Infinity} */
  readonly limit?: number;
  /** The event's position, if it is known. */
  readonly sequence?: number | undefined;
  /** Ends the search by throwing the signal's reason. */
  readonly signal?: AbortSignal;
  /** Called with the position that is reached, and how many events were passed since the call before. */
  readonly onRead?: (position: number, events: number) => void;
}

/** The events that belong together with one. */
export interface Kin {
  /** The event that was asked for. */
  readonly wanted: RecordedEvent;
  /** That event, its causes, and others as far as there is room, in the order of the store. */
  readonly members: readonly RecordedEvent[];
  /** Events that are left out, and how many of them follow from which one. */
  readonly omitted: number;
  readonly omittedBy: ReadonlyMap<string, number>;
}

/** The place of an event, and the event that it names as its cause. */
interface Place {
  readonly sequence: number;
  readonly cause: string | undefined;
}

/**
 * Finds the events that belong together with the event `id`: those with its correlation id, and what
 * they led to. Reads the store twice, from a day before the first of its ids was made where the ids say
 * when that was, else as a whole: what an event led to is stored behind it. Passes over events that
 * cannot be read.
 *
 * @returns `undefined` if there is no such event.
 */
export async function findKin(
  store: EventStore,
  id: string,
  options: KinOptions = {},
): Promise<Kin | undefined> {
  const { limit = Infinity, signal, onRead } = options;
  const wanted = await findEvent(store, id, options);
  if (wanted === undefined) return undefined;
  const { correlationId = id, causationId } = wanted.metadata ?? {};
  const ids = [id, correlationId, ...(causationId === undefined ? [] : [causationId])];
  const from = await positionBefore(store, ids);
  /** All of them, as far as there is room for their places. */
  const places = new Map<string, Place>();
  const kept = new Map<string, RecordedEvent>();
  let count = 0;
  const named = [...new Set(ids)].map(inJson);
  const mayHold = (text: string) =>
    named.some((id) => text.includes(id)) || causesIn(text).some((cause) => places.has(cause));
  for await (const event of scan(store, { from, mayHold, signal, onRead })) {
    const { correlationId: own, causationId: cause } = event.metadata ?? {};
    const isKin = event.id === id || event.id === correlationId || event.id === causationId ||
      own === correlationId || (cause !== undefined && places.has(cause));
    if (!isKin) continue;
    count++;
    if (limit === Infinity || places.size < MOST_PLACES || event.id === id) {
      places.set(event.id, { sequence: event.sequence, cause });
    }
    if (kept.size < limit) kept.set(event.id, event);
  }
  const members = await withCauses(store, wanted, places, kept, limit, signal);
  const omittedBy = new Map<string, number>();
  if (count > members.length) {
    const there = new Set(members.map((event) => event.id));
    for (const [own, { cause }] of places) {
      if (cause === undefined || there.has(own)) continue;
      omittedBy.set(cause, (omittedBy.get(cause) ?? 0) + 1);
    }
  }
  return { wanted, members, omitted: Math.max(0, count - members.length), omittedBy };
}

/** Makes room for the event and its causes, which may stand behind many others. */
async function withCauses(
  store: EventStore,
  wanted: RecordedEvent,
  places: ReadonlyMap<string, Place>,
  kept: Map<string, RecordedEvent>,
  limit: number,
  signal: AbortSignal | undefined,
): Promise<RecordedEvent[]> {
  const line = new Map<string, RecordedEvent>();
  for (let id: string | undefined = wanted.id; id !== undefined && line.size < limit;) {
    const place: Place | undefined = places.get(id);
    if (place === undefined || line.has(id)) break;
    const event: RecordedEvent | undefined = kept.get(id) ??
      (id === wanted.id ? wanted : await eventAt(store, place.sequence, signal));
    if (event === undefined) break;
    line.set(id, event);
    id = place.cause;
  }
  for (const [id, event] of kept) {
    if (line.size >= limit) break;
    line.set(id, event);
  }
  return [...line.values()].sort((one, other) => one.sequence - other.sequence);
}

/** An event by its id. */
async function findEvent(
  store: EventStore,
  id: string,
  { sequence, signal, onRead }: KinOptions,
): Promise<RecordedEvent | undefined> {
  if (sequence !== undefined) {
    const found = await eventAt(store, sequence, signal);
    if (found?.id === id) return found;
  }
  const from = await positionBefore(store, [id]);
  // Its id may lie about the time: then all are looked through.
  for (const start of from > 0 ? [from, 0] : [0]) {
    const mayHold = (text: string) => text.includes(inJson(id));
    for await (const event of scan(store, { from: start, mayHold, signal, onRead })) {
      if (event.id === id) return event;
    }
  }
  return undefined;
}

async function eventAt(
  store: EventStore,
  sequence: number,
  signal: AbortSignal | undefined,
): Promise<RecordedEvent | undefined> {
  for await (const arrival of readArrivals(store, { from: sequence, ...(signal && { signal }) })) {
    return arrival.event?.sequence === sequence ? arrival.event : undefined;
  }
  return undefined;
}

/** A text as it stands in JSON, between the quotes. */
function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}

/** The causes that a text of events names; data may name some too. */
function causesIn(text: string): string[] {
  if (!text.includes('"causationId":"')) return [];
  const quoted = text.matchAll(/"causationId":("(?:[^"\\]|\\.)*")/g);
  return Array.from(quoted, ([, cause]) => JSON.parse(cause!));
}

/** A position before the events with these ids, by the times in the ids; 0 if one has none. */
async function positionBefore(store: EventStore, ids: readonly string[]): Promise<number> {
  const times = ids.map(timeIn);
  if (times.some((time) => time === undefined)) return 0;
  const first = Math.min(...times as number[]) - SKEW;
  return first <= 0 ? 0 : await positionsOf(store).before(new Date(first));
}

/** When a UUID of version 7 was made, in ms since 1970; `undefined` for any other id. */
function timeIn(id: string): number | undefined {
  const isTimed = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.test(id);
  return isTimed ? parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : undefined;
}

/** An event in the order of a tree, behind its cause. */
export interface TreeNode {
  readonly event: RecordedEvent;
  /** Its cause, if that is one of the others. */
  readonly cause: RecordedEvent | undefined;
  /** Its effects. */
  readonly effects: readonly RecordedEvent[];
}

/** Events with their causes and effects: depth first, each once, also where causes go round. */
export function treeOf({ members }: Kin): TreeNode[] {
  const known = new Map(members.map((event) => [event.id, event]));
  const effects = new Map<string, RecordedEvent[]>();
  const roots: RecordedEvent[] = [];
  for (const event of members) {
    const cause = event.metadata?.causationId;
    if (cause === undefined || cause === event.id || !known.has(cause)) roots.push(event);
    else if (effects.has(cause)) effects.get(cause)!.push(event);
    else effects.set(cause, [event]);
  }
  const nodes: TreeNode[] = [];
  const done = new Set<string>();
  const visit = (root: RecordedEvent) => {
    const todo: { event: RecordedEvent; cause: RecordedEvent | undefined }[] = [
      { event: root, cause: undefined },
    ];
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const { event } = next;
      if (done.has(event.id)) continue;
      done.add(event.id);
      const below = (effects.get(event.id) ?? []).filter(({ id }) => !done.has(id));
      nodes.push({ ...next, effects: below });
      for (const effect of below.toReversed()) todo.push({ event: effect, cause: event });
    }
  };
  roots.forEach(visit);
  // Hostile events may be causes of each other: then one of them begins.
  members.forEach(visit);
  return nodes;
}
