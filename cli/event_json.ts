import { isRecord } from "../store/base/json.ts";
import { jsonProblem } from "../store/base/json_fidelity.ts";
import { type Codec, type Event, FORGOTTEN, type RecordedEvent } from "../store/mod.ts";
import { decodeBase64, encodeBase64 } from "../store/sealing/base64.ts";

/** An event as `export` writes it, one in a line. */
export interface ExportedEvent {
  readonly id: string;
  readonly eventType: string;
  readonly actorId: string;
  readonly version: number;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly data: unknown;
  /** The event by the store's codec, in base64, if JSON cannot carry its data. */
  readonly encoded?: string;
  /** `true` if the event is forgotten as a whole; else the places in its data that are, and are left out. */
  readonly forgotten?: true | readonly string[];
  readonly metadata?: Readonly<Record<string, string | undefined>>;
  /** Its commit: events in a row with the same one are saved together. */
  readonly commit?: string;
  /** Position in the store that it comes from. */
  readonly sequence?: number;
}

/** An event in the form of a line, with its place in the store if it is known. */
export function exported(event: Event & Partial<RecordedEvent>): ExportedEvent {
  const { id, eventType, actorId, version, timestamp, data, metadata, commit, sequence } = event;
  const places = forgottenIn(data);
  return {
    ...{ id, eventType, actorId, version, timestamp: timestamp.toISOString(), data },
    ...(places.length > 0 && { forgotten: data === FORGOTTEN ? true : places }),
    ...(metadata !== undefined && { metadata }),
    ...(commit !== undefined && { commit: commit.op }),
    ...(sequence !== undefined && { sequence }),
  };
}

/**
 * The places in a value that are forgotten, such as `address` and `names.0`; of all of it the empty text.
 *
 * @param seen The objects so far: what a lenient codec carries may have circles.
 */
function forgottenIn(value: unknown, place = "", seen = new Set<unknown>()): string[] {
  if (value === FORGOTTEN) return [place];
  if ((!isRecord(value) && !Array.isArray(value)) || seen.has(value)) return [];
  seen.add(value);
  const inner = (name: string) => place === "" ? name : `${place}.${name}`;
  return Object.entries(value).flatMap(([name, part]) => forgottenIn(part, inner(name), seen));
}

/** A line that carries what JSON cannot: `data` is left out, and the event by the codec is beside it. */
export async function encodedLine(
  line: ExportedEvent,
  event: Event,
  codec: Codec<Event> | undefined,
): Promise<ExportedEvent> {
  if (line.forgotten === true) return line;
  if (codec?.lenient !== true || jsonProblem(event.data, "data") === undefined) return line;
  return { ...line, data: null, encoded: encodeBase64(await codec.encode(event)) };
}

/**
 * The data of a line that {@linkcode encodedLine} has made.
 *
 * @throws {TypeError} There is no codec, or it gives no event.
 */
export async function decodedData(
  encoded: string,
  codec: Codec<Event> | undefined,
): Promise<unknown> {
  if (codec === undefined) {
    throw new TypeError("its data is encoded; let --app export the codec that it was stored with");
  }
  const bytes = decodeBase64(encoded);
  const event = bytes && await codec.decode(bytes);
  if (typeof event === "object" && event.data !== undefined) return event.data;
  throw new TypeError("the codec finds no event in it");
}

/** The same as a CloudEvent 1.0 in its JSON format. */
export function cloudEvent(event: ExportedEvent, source: string): Record<string, unknown> {
  const { id, eventType, actorId, version, timestamp, data, metadata, commit, sequence, encoded } =
    event;
  const { forgotten } = event;
  const { traceparent, tracestate, ...rest } = metadata ?? {};
  return {
    ...{ specversion: "1.0", id, source, type: eventType, subject: actorId, time: timestamp },
    ...(encoded === undefined
      ? { datacontenttype: "application/json", data }
      : { datacontenttype: "application/octet-stream", data_base64: encoded }),
    // Names of extensions are lower case; values are texts and numbers.
    ...{ aetherversion: version, aethercommit: commit, aethersequence: String(sequence) },
    ...(forgotten !== undefined && { aetherforgotten: forgotten === true || forgotten.join() }),
    ...(traceparent !== undefined && { traceparent }),
    ...(tracestate !== undefined && { tracestate }),
    ...(Object.keys(rest).length > 0 && { aethermetadata: JSON.stringify(rest) }),
  };
}

/** The event in a line of either form; `undefined` if it is none. */
export function readLine(line: string): ExportedEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const found = value as Record<string, unknown>;
  return found.specversion === undefined ? found as unknown as ExportedEvent : fromCloud(found);
}

function fromCloud(found: Record<string, unknown>): ExportedEvent | undefined {
  const { id, type, subject, time, aetherversion, aethercommit, aethermetadata } = found;
  const { data_base64: encoded, data = encoded === undefined ? undefined : null } = found;
  let own: Record<string, string> = {};
  try {
    if (typeof aethermetadata === "string") own = JSON.parse(aethermetadata);
  } catch {
    return undefined;
  }
  const { traceparent, tracestate } = found as Record<string, string>;
  const metadata = {
    ...own,
    ...(traceparent !== undefined && { traceparent }),
    ...(tracestate !== undefined && { tracestate }),
  };
  return {
    ...{ id, eventType: type, actorId: subject, version: aetherversion, timestamp: time, data },
    ...(Object.keys(metadata).length > 0 && { metadata }),
    ...(encoded !== undefined && { encoded }),
    ...(found.aetherforgotten === true && { forgotten: true }),
    ...(aethercommit !== undefined && { commit: aethercommit }),
  } as ExportedEvent;
}
