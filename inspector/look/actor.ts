import { categoryOf } from "../../store/actor.ts";
import type { Event, RecordedEvent } from "../../store/event.ts";
import type { StoredRun as Run } from "../../store/read/stored_run.ts";
import { StoredRun } from "../../store/read/stored_run.ts";
import { MAX_RUN } from "../../store/format/position.ts";
import { messageOf } from "../../store/base/text.ts";
import type { EventStore } from "../../store/store.ts";
import { plainJson } from "../http/plain_json.ts";
import type { ActorMessages, StoreSource } from "./source.ts";
import type { ActorView, EventView, StoredView } from "../views/actor.ts";

/** Bytes of bodies from which on a page takes no further event. */
const MOST_BYTES = 2 * 1024 * 1024;
/** Characters of a body that is no JSON. */
const MOST_TEXT = 4_096;
/** Steps over gaps between versions that one page takes. */
const STEPS = 16;

/** Which events of an actor are wanted. */
export interface ActorRange {
  readonly actorId: string;
  readonly from: number;
  readonly to: number;
  readonly backwards: boolean;
  readonly limit: number;
}

/** Events in ascending order, and the version that the first message follows on. */
interface Part {
  readonly events: EventView[];
  readonly bytes: number;
  /** Whether all events up to the bound are there. */
  readonly isWhole: boolean;
  /** The highest version of them. */
  readonly last: number;
  readonly previous: number | undefined;
}

/** A page of an actor's events. */
export async function actorView(
  store: EventStore,
  source: StoreSource,
  range: ActorRange,
  deciders: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ActorView> {
  const { actorId } = range;
  const { messages } = source;
  const version = await (messages?.latest(actorId, signal) ??
    store.getLatestVersion(actorId, { fresh: true }));
  const category = categoryOf(actorId);
  const page = messages === undefined
    ? await pageOfContract(store, range, signal)
    : range.backwards
    ? await pageBackwards(messages, range, version, signal)
    : await pageForwards(messages, range, version, signal);
  const process = processOf(actorId);
  return {
    ...{ actorId, category, version, hasStates: deciders.has(category) },
    ...(process && { process }),
    ...page,
  };
}

/** The process whose history an actor is; `undefined` if it is none. */
export function processOf(actorId: string): { name: string; id: string } | undefined {
  const [, name, id] = /^process:([^-:]+)-([^]+)$/.exec(actorId) ?? [];
  return name === undefined || id === undefined ? undefined : { name, id };
}

type Page = Pick<ActorView, "events" | "next">;

async function pageForwards(
  messages: ActorMessages,
  { actorId, from, to, limit }: ActorRange,
  version: number,
  signal: AbortSignal,
): Promise<Page> {
  const { events, isWhole, last } = await partOf(messages, actorId, { from, to, limit }, signal);
  const next = last + 1;
  return { events, ...(!isWhole && next <= Math.min(to, version) && { next }) };
}

async function pageBackwards(
  messages: ActorMessages,
  { actorId, from, to: end, limit }: ActorRange,
  version: number,
  signal: AbortSignal,
): Promise<Page> {
  const events: EventView[] = [];
  let to = Math.min(end, version);
  let bytes = 0;
  for (let step = 0; step < STEPS && to >= from && to > 0; step++) {
    const left = limit - events.length;
    if (left === 0 || bytes >= MOST_BYTES) break;
    const start = Math.max(from, to - left + 1, 1);
    const wanted = { from: start, to, limit: left };
    const part = await partOf(messages, actorId, wanted, signal, Infinity);
    events.push(...part.events.reverse());
    bytes += part.bytes;
    // Versions may have gaps: a wide one is jumped over.
    to = Math.min(start - 1, part.previous ?? 0);
  }
  return { events, ...(to >= from && to > 0 && { next: to }) };
}

/** The events of a range, in ascending order. */
async function partOf(
  messages: ActorMessages,
  actorId: string,
  { from, to, limit }: Pick<ActorRange, "from" | "to" | "limit">,
  signal: AbortSignal,
  mostBytes = MOST_BYTES,
): Promise<Part> {
  const events: EventView[] = [];
  let bytes = 0;
  let previous: number | undefined;
  let last = from - 1;
  /** The last version that was passed over; `undefined` if none was. */
  let passed: number | undefined;
  const part = (isWhole: boolean): Part => ({ events, bytes, isWhole, last, previous });
  for await (const page of messages.from(actorId, from, limit + MAX_RUN, signal)) {
    for (const message of page) {
      let run: Run;
      try {
        run = new StoredRun(message, actorId);
        run.checkWhole();
      } catch (error) {
        // On the page of the event before it.
        if ((passed ?? last) >= from - 1) events.push(unreadable(message, actorId, error));
        continue;
      }
      if (run.version < from) {
        passed = run.version;
        continue;
      }
      passed = undefined;
      previous ??= run.count > 0 && run.versionAt(0) < from ? from - 1 : run.previous;
      for (let at = 0; at < run.count; at++) {
        const version = run.versionAt(at);
        if (version < from) continue;
        if (version > to) return part(true);
        if (events.length >= limit || bytes >= mostBytes) {
          return part(false);
        }
        const view = await eventViewAt(messages, run, at, actorId);
        bytes += view.stored!.bytes;
        events.push(view);
        last = version;
      }
    }
  }
  return part(true);
}

/** An event of a message, readable or not. */
async function eventViewAt(
  messages: ActorMessages,
  run: Run,
  index: number,
  actorId: string,
): Promise<EventView> {
  const { start, command, ...commit } = run.saves.length === 1
    ? run.saves[0]!
    : run.saves.find(({ start, events }) => index < start + events)!;
  const version = run.versionAt(index);
  const facts = {
    sequence: run.positionAt(index) as number,
    commit: { op: commit.op, index: commit.index + index - start, count: commit.count },
    ...(command !== undefined && { commandId: command }),
  };
  try {
    const event = await messages.eventAt(run, index, actorId);
    return { ...shown(event), ...facts, stored: storedView(messages, run, index, event) };
  } catch (error) {
    const [id, eventType] = [run.idAt(index), run.typeAt(index)];
    const stored = storedView(messages, run, index, undefined);
    return { id, eventType, actorId, version, error: messageOf(error), ...facts, stored };
  }
}

/** An event by itself. */
export function viewOf(event: Event & Partial<RecordedEvent>): EventView {
  const { id, eventType, actorId, version, timestamp, data, metadata, sequence, commit } = event;
  return {
    ...(sequence !== undefined && { sequence }),
    ...{ id, eventType, actorId, version, timestamp: timestamp.toISOString(), data },
    ...(metadata !== undefined && { metadata: metadata as Record<string, string> }),
    ...(commit !== undefined && { commit }),
  };
}

/** An event by itself as JSON; without its data if they contain themselves. */
export function jsonOfView(view: EventView): string {
  try {
    return plainJson(view);
  } catch (error) {
    const { data: _data, ...rest } = view;
    return plainJson({ ...rest, error: messageOf(error) });
  }
}

/** The same as a value: one event that cannot be shown leaves the others of its page. */
function shown(event: Event & Partial<RecordedEvent>): EventView {
  return JSON.parse(jsonOfView(viewOf(event)));
}

function storedView(
  messages: ActorMessages,
  run: Run,
  index: number,
  event: Event | undefined,
): StoredView {
  const { message } = run;
  const content = run.contentAt(index);
  const schema = run.schemaAt(index);
  return {
    ...{ schema, newest: messages.newestOf(run.typeAt(index)), bytes: content.data.length },
    ...bodyOf(content.text, run.idAt(index), event),
    ...(message.time !== "" && { at: message.time }),
    ...{ message: message.sequence as number, subject: message.subject },
  };
}

/** The body, unless it says what the event says. */
function bodyOf(
  text: string,
  id: string,
  event: Event | undefined,
): Pick<StoredView, "data" | "text"> {
  try {
    const value = JSON.parse(text);
    if (value.id === id && "data" in value) {
      const { data } = value;
      const isSame = event !== undefined && plainJson(data) === plainJson(event.data);
      return isSame ? {} : { data };
    }
  } catch {
    // A codec may write anything.
  }
  return { text: text.slice(0, MOST_TEXT) };
}

/** A message that cannot be read as a whole. */
function unreadable(
  { sequence, subject, time, data }: Run["message"],
  actorId: string,
  error: unknown,
): EventView {
  return {
    ...{ id: "", eventType: "", actorId, version: 0, error: messageOf(error) },
    stored: {
      ...{ schema: 0, newest: 0, bytes: data.length, at: time, message: sequence as number },
      subject,
    },
  };
}

/** A page of a store that shows no messages. */
async function pageOfContract(
  store: EventStore,
  { actorId, from, to, backwards, limit }: ActorRange,
  signal: AbortSignal,
): Promise<Page> {
  const events: EventView[] = [];
  const range = { fromVersion: from, ...(to < Infinity && { toVersion: to }) };
  const direction = backwards ? "backwards" as const : "forwards" as const;
  const options = { ...range, direction, limit: limit + 1, signal };
  for await (const event of store.readEvents(actorId, options)) events.push(shown(event));
  const next = events.length > limit ? events.pop()!.version : undefined;
  return { events, ...(next !== undefined && { next }) };
}
