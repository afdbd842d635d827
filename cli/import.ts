import {
  type Codec,
  createEvent,
  type Event,
  type EventStore,
  isAetherError,
} from "../store/mod.ts";
import { messageOf } from "../store/base/text.ts";
import { type EventRules, eventRulesOf } from "../store/event_rules.ts";
import { versionProblem } from "../store/check/events.ts";
import { decodedData, type ExportedEvent, readLine } from "./event_json.ts";

/** Saves that are under way at once: enough to keep the server busy. */
const WINDOW = 256;
/** Events of one actor that one message surely holds, unless they are large. */
const SHORT = 32;
/** Events of one actor that are looked up to find out whether they are there already. */
const LOOK = 1_000;

/** Options for {@linkcode importEvents}. */
export interface ImportOptions {
  /** Checks all that can be checked, and saves nothing. @default {false} */
  readonly dryRun?: boolean;
  /**
   * Makes other events of each: one, several, or none (`undefined` or `[]`). Versions are counted
   * anew for each actor then, and the second event and those behind it get ids of their own.
   */
  readonly transform?: (event: Event) => unknown;
  /** The codec of the events whose data JSON cannot carry. */
  readonly codec?: Codec<Event>;
  /** Ends the import between two saves. */
  readonly signal?: AbortSignal;
  /** Told how many events are done. */
  readonly onProgress?: (done: number) => void;
}

/** What an import has done. */
export interface ImportResult {
  /** Events that were saved; with `dryRun`, that would be. */
  readonly saved: number;
  /** Events that were there already, with the same id at the same version. */
  readonly present: number;
  /** Commits that the server stored before an earlier one, as it had answered late: the store's order differs there. */
  readonly moved: number;
}

/** Thrown for a line that cannot be imported; nothing behind it was saved. */
export class ImportError extends Error {
  /** The line's number, from 1. */
  readonly line: number;

  /** Keeps the line. */
  constructor(line: number, reason: string, options?: ErrorOptions) {
    super(`Cannot import line ${line}: ${reason}`, options);
    this.name = "ImportError";
    this.line = line;
  }
}

/** Events that are saved together, with the line of the first. */
interface Group {
  readonly line: number;
  readonly events: Event[];
}

/**
 * Saves the events of exported lines with their ids, times, versions and order; those in a row with the
 * same commit together. Events that are there already are passed over, so that it can be run again
 * after it was ended.
 *
 * @throws {ImportError} A line holds no event, or its actor has another event at that version; what is
 * before it is saved.
 * @throws {StoreUnavailableError} The server does not answer.
 */
export async function importEvents(
  store: EventStore,
  lines: AsyncIterable<string> | Iterable<string>,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const { signal, onProgress } = options;
  const counts = { saved: 0, present: 0, moved: 0, last: 0 };
  const known = new Map<string, number>();
  let window: Group[] = [];
  const flush = async () => {
    await saveAll(store, window, known, counts, options.dryRun === true);
    window = [];
    onProgress?.(counts.saved + counts.present);
  };
  for await (const group of groupsOf(lines, options)) {
    signal?.throwIfAborted();
    window.push(group);
    if (window.length >= WINDOW) await flush();
  }
  await flush();
  const { last: _, ...result } = counts;
  return result;
}

/** The commits in the lines. */
async function* groupsOf(
  lines: AsyncIterable<string> | Iterable<string>,
  { transform, codec }: ImportOptions,
): AsyncGenerator<Group, void> {
  const versions = new Map<string, number>();
  let group: Group | undefined;
  let commit: string | undefined;
  let number = 0;
  for await (const line of lines) {
    number++;
    if (line.trim() === "") continue;
    const exported = readLine(line);
    const event = await eventIn(exported, number, codec);
    const made = transform === undefined
      ? [event]
      : transformed(event, transform, versions, number);
    if (transform === undefined) follow(event, versions, number);
    const own = exported!.commit;
    if (group !== undefined && (own === undefined || own !== commit)) {
      if (group.events.length > 0) yield group;
      group = undefined;
    }
    group ??= { line: number, events: [] };
    group.events.push(...made);
    commit = own;
  }
  if (group !== undefined && group.events.length > 0) yield group;
}

async function eventIn(
  exported: ExportedEvent | undefined,
  line: number,
  codec: Codec<Event> | undefined,
): Promise<Event> {
  if (exported === undefined) throw new ImportError(line, "it is no event in JSON");
  const { id, eventType, actorId, version, metadata, encoded } = exported;
  let { data } = exported;
  const timestamp = new Date(exported.timestamp);
  const problem = [id, eventType, actorId].some((it) => typeof it !== "string" || it === "")
    ? "its id, eventType or actorId is no text"
    : versionProblem(version) !== undefined
    ? versionProblem(version)
    : Number.isNaN(timestamp.getTime())
    ? "its timestamp is no time"
    : data === undefined
    ? "it has no data"
    : undefined;
  if (problem !== undefined) throw new ImportError(line, problem);
  try {
    if (encoded !== undefined) data = await decodedData(encoded, codec);
  } catch (cause) {
    throw new ImportError(line, messageOf(cause), { cause });
  }
  return { id, eventType, actorId, version, timestamp, data, ...(metadata && { metadata }) };
}

/** Holds that versions rise within the lines. */
function follow({ actorId, version }: Event, versions: Map<string, number>, line: number): void {
  const before = versions.get(actorId) ?? 0;
  if (version <= before) {
    throw new ImportError(line, `version ${version} of "${actorId}" comes behind ${before}`);
  }
  versions.set(actorId, version);
}

function transformed(
  event: Event,
  transform: (event: Event) => unknown,
  versions: Map<string, number>,
  line: number,
): Event[] {
  let made: unknown;
  try {
    made = transform({ ...event, timestamp: new Date(event.timestamp) });
  } catch (cause) {
    throw new ImportError(line, "the transform failed", { cause });
  }
  const list = made === undefined ? [] : Array.isArray(made) ? made : [made];
  return list.map((it, at) => {
    const id = at === 0 ? event.id : `${event.id}-${at + 1}`;
    const { eventType, actorId, data, metadata, timestamp } = { ...event, ...it as Partial<Event> };
    const version = (versions.get(actorId) ?? 0) + 1;
    versions.set(actorId, version);
    return {
      ...createEvent({ eventType, actorId, version, data, ...(metadata && { metadata }) }),
      ...{ id, timestamp },
    };
  });
}

/** Saves groups in their order, in flight together. */
async function saveAll(
  store: EventStore,
  groups: readonly Group[],
  known: Map<string, number>,
  counts: { saved: number; present: number; moved: number; last: number },
  dryRun: boolean,
): Promise<void> {
  const unknown = new Set(groups.flatMap(({ events }) => events.map(({ actorId }) => actorId)));
  for (const actorId of known.keys()) unknown.delete(actorId);
  if (unknown.size > 0) {
    for (const [actorId, version] of await store.getLatestVersions([...unknown])) {
      known.set(actorId, version);
    }
  }
  const fresh: Group[] = [];
  for (const group of groups) {
    const there = group.events.filter(({ actorId, version }) => version <= known.get(actorId)!);
    if (there.length === 0) {
      fresh.push(group);
      continue;
    }
    for (const event of there) await holdPresent(store, event, group.line);
    if (there.length < group.events.length) {
      throw new ImportError(group.line, "a part of its commit is stored, and a part is not");
    }
    counts.present += there.length;
  }
  if (dryRun) {
    for (const group of fresh) counts.saved += checkedCount(group, eventRulesOf(store));
    return;
  }
  for (const together of inOrder(fresh)) {
    const saves = await Promise.allSettled(together.map(({ events }) => store.saveEvents(events)));
    for (const [at, save] of saves.entries()) {
      const { line, events } = together[at]!;
      if (save.status === "rejected") {
        if (!isAetherError(save.reason)) throw save.reason;
        throw new ImportError(line, save.reason.message, { cause: save.reason });
      }
      const { duplicate, sequence } = save.value;
      counts[duplicate ? "present" : "saved"] += events.length;
      if (sequence < counts.last) counts.moved++;
      else counts.last = sequence;
    }
  }
}

/** How many events a group would save; they keep the rules of the store's definitions. */
function checkedCount({ line, events }: Group, rules: EventRules | undefined): number {
  for (const event of events) {
    try {
      rules?.toStore(event);
    } catch (cause) {
      throw new ImportError(line, messageOf(cause), { cause });
    }
  }
  return events.length;
}

/**
 * Commits that may be under way together and are stored in their order: those that are one message.
 * Others take several requests, and wait for those before.
 */
function inOrder(groups: readonly Group[]): Group[][] {
  const parts: Group[][] = [];
  let isOpen = false;
  for (const group of groups) {
    const [first] = group.events;
    const isShort = group.events.length <= SHORT &&
      group.events.every(({ actorId }) => actorId === first!.actorId);
    if (isOpen && isShort) parts.at(-1)!.push(group);
    else parts.push([group]);
    isOpen = isShort;
  }
  return parts;
}

/** Passes if the store has this very event. */
async function holdPresent(store: EventStore, event: Event, line: number): Promise<void> {
  const { actorId, version, id } = event;
  let found: Event | undefined;
  for await (
    const stored of store.readEvents(actorId, { fromVersion: version, limit: LOOK })
  ) {
    found = stored;
    break;
  }
  if (found?.version === version && found.id === id) return;
  throw new ImportError(
    line,
    `"${actorId}" has another event at version ${version} already; import into another namespace`,
  );
}
