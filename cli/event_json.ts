import type { Event, RecordedEvent } from "../store/mod.ts";

/** An event as `export` writes it, one in a line. */
export interface ExportedEvent {
  readonly id: string;
  readonly eventType: string;
  readonly actorId: string;
  readonly version: number;
  /** ISO 8601. */
  readonly timestamp: string;
  readonly data: unknown;
  readonly metadata?: Readonly<Record<string, string | undefined>>;
  /** Its commit: events in a row with the same one are saved together. */
  readonly commit?: string;
  /** Position in the store that it comes from. */
  readonly sequence?: number;
}

/** An event in the form of a line, with its place in the store if it is known. */
export function exported(event: Event & Partial<RecordedEvent>): ExportedEvent {
  const { id, eventType, actorId, version, timestamp, data, metadata, commit, sequence } = event;
  return {
    ...{ id, eventType, actorId, version, timestamp: timestamp.toISOString(), data },
    ...(metadata !== undefined && { metadata }),
    ...(commit !== undefined && { commit: commit.op }),
    ...(sequence !== undefined && { sequence }),
  };
}

/** The same as a CloudEvent 1.0 in its JSON format. */
export function cloudEvent(event: ExportedEvent, source: string): Record<string, unknown> {
  const { id, eventType, actorId, version, timestamp, data, metadata, commit, sequence } = event;
  const { traceparent, tracestate, ...rest } = metadata ?? {};
  return {
    ...{ specversion: "1.0", id, source, type: eventType, subject: actorId, time: timestamp },
    ...{ datacontenttype: "application/json", data },
    // Names of extensions are lower case; values are texts and numbers.
    ...{ aetherversion: version, aethercommit: commit, aethersequence: String(sequence) },
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
  const { id, type, subject, time, data, aetherversion, aethercommit, aethermetadata } = found;
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
    ...(aethercommit !== undefined && { commit: aethercommit }),
  } as ExportedEvent;
}
