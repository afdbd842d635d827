import type { Msg } from "@nats-io/nats-core";

const decoder = new TextDecoder();

/** How headers begin. */
const START = "NATS/1.0";

/** Header of the sequence that the message's subject must be at: the compare-and-set. */
export const EXPECT = "Nats-Expected-Last-Subject-Sequence";
/** Header that names the subject for {@linkcode EXPECT} where it is another than the message's. */
export const EXPECT_SUBJECT = "Nats-Expected-Last-Subject-Sequence-Subject";

/** Headers of ours; their values are in token form. A format for ever: see docs/design.md. */
export const OP = "Aether-Op";
/** The event's id. */
export const ID = "Aether-Id";
/** The event's type. */
export const TYPE = "Aether-Type";
/** The event's version. */
export const VERSION = "Aether-Version";
/** The version of the actor's event before; 0 at the first. */
export const PREVIOUS = "Aether-Previous";
/** The schema of the event's data; 1 where it is left out. */
export const SCHEMA = "Aether-Schema";
/** Events in the commit. */
export const COUNT = "Aether-Count";

/** The command that the save was the outcome of. */
export const COMMAND = "Aether-Command";
/** Sequence of the fence that the event was saved under, by the owner of its shard. */
export const FENCE = "Aether-Fence";

/** One message of the stream, whichever request it came by. */
export interface StoredMessage {
  /** Its position in the stream. */
  readonly sequence: number;
  /** The subject that it is stored on. */
  readonly subject: string;
  /** Its content. */
  readonly data: Uint8Array;
  /** When the server stored it, ISO 8601. */
  readonly time: string;
  /** The value of a header; `""` where there is none. */
  header(name: string): string;
}

/** A message as `$JS.API.STREAM.MSG.GET` gives it; its data is decoded when asked for. */
export class FetchedMessage implements StoredMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly time: string;
  readonly #headers: string;
  readonly #data: string;

  /** Takes the `message` of the answer. */
  constructor(
    message: { seq: number; subject: string; hdrs?: string; data?: string; time?: string },
  ) {
    this.sequence = message.seq;
    this.time = message.time ?? "";
    this.subject = message.subject;
    this.#headers = atob(message.hdrs ?? "");
    this.#data = message.data ?? "";
  }

  get data(): Uint8Array {
    return Uint8Array.from(atob(this.#data), (char) => char.charCodeAt(0));
  }

  header(name: string): string {
    return headerIn(this.#headers, name);
  }
}

/** A message as `$JS.API.DIRECT.GET` gives it. */
export class DirectMessage implements StoredMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly #headers: string;

  /** Takes one message of the answer, and its {@linkcode headerText}. */
  constructor(message: Msg, headers: string) {
    this.data = message.data;
    this.#headers = headers;
    this.sequence = Number(this.header("Nats-Sequence"));
    this.subject = this.header("Nats-Subject");
  }

  get time(): string {
    return this.header("Nats-Time-Stamp");
  }

  header(name: string): string {
    return headerIn(this.#headers, name);
  }
}

/**
 * The headers of `message` as they came: a replay reads five of a dozen, and need not take all
 * of them apart. They lie right before the content, in the same buffer; where they do not, or
 * where nats.js does not tell the size, which its types leave out, it gives them one by one.
 */
export function headerText(message: Msg & { size?: () => number }): string {
  const { data, subject, reply = "" } = message;
  const length = (message.size?.() ?? 0) - data.length - subject.length - reply.length;
  if (length >= START.length && length <= data.byteOffset) {
    const bytes = new Uint8Array(data.buffer, data.byteOffset - length, length);
    const text = decoder.decode(bytes);
    if (text.startsWith(START) && text.endsWith("\r\n\r\n")) return text;
  }
  const { headers } = message;
  if (headers === undefined) return "";
  const lines = headers.keys().map((name) => `${name}: ${headers.get(name)}`);
  return [`${START} ${headers.status}`, ...lines, "", ""].join("\r\n");
}

/** The status in a {@linkcode headerText}; 0 where there is none. */
export function statusIn(headers: string): number {
  return Number(headers.slice(START.length, headers.indexOf("\r\n")).trim().split(" ")[0]);
}

/** The value of a header in a {@linkcode headerText}; `""` where there is none. */
export function headerIn(headers: string, name: string): string {
  const at = headers.indexOf(`\r\n${name}:`);
  if (at < 0) return "";
  const start = at + name.length + 3;
  return headers.slice(start, headers.indexOf("\r\n", start)).trim();
}

/** A header's value as a safe integer of 0 or more; `undefined` where it is none. */
export function numberIn(message: StoredMessage, name: string): number | undefined {
  const text = message.header(name);
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}
