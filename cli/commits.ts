import { type Codec, createEvent, type Event, FORGOTTEN } from "../store/mod.ts";
import { refusePromise } from "../store/base/hook.ts";
import { isRecord } from "../store/base/json.ts";
import { describe } from "../store/base/token.ts";
import { messageOf } from "../store/base/text.ts";
import { versionProblem } from "../store/check/events.ts";
import { decodedData, type ExportedEvent, readLine } from "./event_json.ts";

/** The parts of an event that a transform makes; one of them at least. */
const PARTS = ["eventType", "actorId", "data", "metadata", "timestamp"];

/** How lines are read. */
export interface ReadingOptions {
  /** Makes other events of each. */
  readonly transform?: (event: Event) => unknown;
  /** Reads the data that JSON cannot carry. */
  readonly codec?: Codec<Event>;
}

/**
 * Thrown for a line that cannot be imported. The commits before it are saved, and nothing behind it is,
 * so the repaired lines can be imported again.
 */
export class ImportError extends Error {
  /** The line's number, from 1; of a commit that is refused as a whole, its first line's. */
  readonly line: number;

  /** Keeps the line. */
  constructor(line: number, reason: string, options?: ErrorOptions) {
    super(`Cannot import line ${line}: ${reason}`, options);
    this.name = "ImportError";
    this.line = line;
  }
}

/** Events that are saved together, with the line of the first. */
export interface Commit {
  readonly line: number;
  readonly events: Event[];
  /** How many more it had, which are forgotten as a whole. */
  forgotten: number;
}

/** The commits in the lines. */
export async function* commitsOf(
  lines: AsyncIterable<string> | Iterable<string>,
  { transform, codec }: ReadingOptions,
): AsyncGenerator<Commit, void> {
  const versions = new Map<string, number>();
  let open: Commit | undefined;
  let name: string | undefined;
  let number = 0;
  for await (const line of lines) {
    number++;
    if (line.trim() === "") continue;
    const exported = readLine(line);
    // A line that says nothing may be one of the open commit, which is then not whole.
    const own = exported === undefined ? name : exported.commit;
    if (open !== undefined && (own === undefined || own !== name)) {
      yield open;
      open = undefined;
    }
    const event = await eventIn(exported, number, codec);
    const isForgotten = event.data === FORGOTTEN;
    if (transform === undefined) follow(event, versions, number);
    const made = isForgotten
      ? []
      : transform === undefined
      ? [event]
      : transformed(event, transform, versions, number);
    open ??= { line: number, events: [], forgotten: 0 };
    open.events.push(...made);
    if (isForgotten) open.forgotten++;
    name = own;
  }
  if (open !== undefined) yield open;
}

async function eventIn(
  exported: ExportedEvent | undefined,
  line: number,
  codec: Codec<Event> | undefined,
): Promise<Event> {
  if (exported === undefined) throw new ImportError(line, "it is no event in JSON");
  const { id, eventType, actorId, version, metadata, encoded, forgotten } = exported;
  let data = forgotten === true ? FORGOTTEN : exported.data;
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
  try {
    const made = transform({ ...event, timestamp: new Date(event.timestamp) });
    refusePromise(made, "it");
    const list: unknown[] = made === undefined ? [] : Array.isArray(made) ? made : [made];
    return list.map((it, at) => {
      refusePromise(it, "it");
      if (!isRecord(it) || !PARTS.some((part) => part in it)) {
        throw new TypeError(`it gave ${describe(it)}, not an event`);
      }
      const id = at === 0 ? event.id : `${event.id}-${at + 1}`;
      const { eventType, actorId, data, metadata, timestamp } = { ...event, ...it };
      const version = (versions.get(actorId) ?? 0) + 1;
      versions.set(actorId, version);
      return {
        ...createEvent({ eventType, actorId, version, data, ...(metadata && { metadata }) }),
        ...{ id, timestamp },
      };
    });
  } catch (cause) {
    throw new ImportError(line, `the transform failed: ${messageOf(cause)}`, { cause });
  }
}
