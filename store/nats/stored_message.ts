import type { Msg } from "@nats-io/nats-core";
import { asStreamSequence, type StreamSequence } from "../format/position.ts";

// Content begins in the middle of the decoded bytes, so a byte order mark there is content.
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { ignoreBOM: true });

/** The beginning of headers. */
const START = "NATS/1.0";

/** Their end. */
const END = "\r\n\r\n";

/** The most bytes of content that are decoded together with the headers. */
const TOGETHER = 4096;

/** The character code of 0. */
const ZERO = 48;

/** One message of the stream, however it was read. */
export interface StoredMessage {
  /** Its position in the stream. */
  readonly sequence: StreamSequence;
  /** The subject that it is stored on. */
  readonly subject: string;
  /** Its content. */
  readonly data: Uint8Array;
  /** Its content as text, with U+FFFD for bytes that are not UTF-8. */
  readonly text: string;
  /** When the server stored it, ISO 8601. */
  readonly time: string;
  /** The value of a header; `""` if there is none. */
  header(name: string): string;
  /** The names of all headers. */
  headerNames(): string[];
}

/** A message as `$JS.API.STREAM.MSG.GET` returns it; its data is decoded when asked for. */
export class FetchedMessage implements StoredMessage {
  readonly sequence: StreamSequence;
  readonly subject: string;
  readonly time: string;
  readonly #headers: string;
  /** In base64 until it is asked for. */
  #data: string | Uint8Array;

  /** Takes the `message` of the answer. */
  constructor(
    message: { seq: number; subject: string; hdrs?: string; data?: string; time?: string },
  ) {
    this.sequence = asStreamSequence(message.seq);
    this.time = message.time ?? "";
    this.subject = message.subject;
    this.#headers = atob(message.hdrs ?? "");
    this.#data = message.data ?? "";
  }

  get data(): Uint8Array {
    // Asked for once for each event in it.
    if (typeof this.#data === "string") {
      const chars = atob(this.#data);
      this.#data = new Uint8Array(chars.length);
      for (let at = 0; at < chars.length; at++) this.#data[at] = chars.charCodeAt(at);
    }
    return this.#data;
  }

  get text(): string {
    return decoder.decode(this.data);
  }

  header(name: string): string {
    return headerIn(this.#headers, name);
  }

  headerNames(): string[] {
    return headerNamesIn(this.#headers);
  }
}

/** A message as it came over the connection: the part that all kinds of them have in common. */
export abstract class ReceivedMessage implements StoredMessage {
  abstract readonly sequence: StreamSequence;
  abstract readonly subject: string;
  abstract readonly time: string;
  readonly #text: MessageText;

  /** Takes the parsed message. */
  constructor(text: MessageText) {
    this.#text = text;
  }

  /** The status that the server sends in place of a message; 0 for a message. */
  get status(): number {
    return this.#text.status;
  }

  get data(): Uint8Array {
    return this.#text.data;
  }

  get text(): string {
    return this.#text.content;
  }

  header(name: string): string {
    return headerIn(this.#text.headers, name);
  }

  headerNames(): string[] {
    return headerNamesIn(this.#text.headers);
  }
}

/** A message as `$JS.API.DIRECT.GET` returns it. */
export class DirectMessage extends ReceivedMessage {
  readonly sequence: StreamSequence;

  /** Takes one message of the answer. */
  constructor(text: MessageText) {
    super(text);
    this.sequence = asStreamSequence(Number(this.header("Nats-Sequence")));
  }

  get subject(): string {
    return this.header("Nats-Subject");
  }

  get time(): string {
    return this.header("Nats-Time-Stamp");
  }
}

/** `value`, if it is a message of the stream. */
export function asStoredMessage(value: unknown): StoredMessage | undefined {
  const isOne = value instanceof FetchedMessage || value instanceof ReceivedMessage;
  return isOne ? value : undefined;
}

/** How nats.js keeps a message, headers before content; its types leave that out. */
interface NatsInternals {
  readonly _rdata?: Uint8Array;
  readonly _msg?: { readonly hdr?: number };
}

/**
 * The headers of a message as they came, and its content: a replay reads four of a dozen headers,
 * and need not parse all of them. One call decodes both, unless the content is large or not text;
 * if nats.js keeps them otherwise, or they have another form, it lets nats.js parse them.
 */
export class MessageText {
  /** The headers, status line and blank line included; `""` if there are none. */
  readonly headers: string;
  readonly #message: Msg;
  readonly #content: string | undefined;

  /** Parses the message. */
  constructor(message: Msg) {
    this.#message = message;
    const { _rdata: bytes, _msg: { hdr: length = 0 } = {} } = message as NatsInternals;
    if (bytes instanceof Uint8Array && length >= START.length && length <= bytes.length) {
      const whole = bytes.length - length <= TOGETHER;
      const text = decoder.decode(whole ? bytes : bytes.subarray(0, length));
      if (text.startsWith(START) && text.startsWith(END, length - END.length)) {
        this.headers = text.slice(0, length);
        if (whole) this.#content = text.slice(length);
        return;
      }
    }
    const { headers } = message;
    const lines = headers?.keys().map((name) => `${name}: ${headers.get(name)}`) ?? [];
    this.headers = headers ? [`${START} ${headers.status}`, ...lines, "", ""].join("\r\n") : "";
  }

  /** The content. */
  get data(): Uint8Array {
    return this.#message.data;
  }

  /** The content as text, with U+FFFD for bytes that are not UTF-8. */
  get content(): string {
    return this.#content ?? decoder.decode(this.data);
  }

  /** The status; 0 if there is none. */
  get status(): number {
    const { headers } = this;
    if (headers.startsWith("\r\n", START.length)) return 0;
    return Number(headers.slice(START.length, headers.indexOf("\r\n")).trim().split(" ")[0]);
  }
}

/** The beginning of each header in the text of all, by name. */
const beginnings = new Map<string, string>();

/** The value of a header in the text of all; `""` if there is none. */
export function headerIn(headers: string, name: string): string {
  let beginning = beginnings.get(name);
  if (beginning === undefined) beginnings.set(name, beginning = `\r\n${name}:`);
  const at = headers.indexOf(beginning);
  if (at < 0) return "";
  return headers.slice(at + beginning.length, headers.indexOf("\r\n", at + 2)).trim();
}

/** The names of the headers in the text of all. */
export function headerNamesIn(headers: string): string[] {
  const names: string[] = [];
  for (let at = headers.indexOf("\r\n"); at >= 0;) {
    const end = headers.indexOf("\r\n", at + 2);
    const colon = headers.indexOf(":", at);
    if (end < 0 || colon < 0) break;
    if (colon < end) names.push(headers.slice(at + 2, colon));
    at = end;
  }
  return names;
}

/** A header's value as a safe integer of 0 or more; `undefined` if it is not one. */
export function numberIn(message: StoredMessage, name: string): number | undefined {
  const text = message.header(name);
  // By hand, because a replay does this often.
  let value = 0;
  for (let at = 0; at < text.length; at++) {
    const digit = text.charCodeAt(at) - ZERO;
    if (digit < 0 || digit > 9) return undefined;
    value = 10 * value + digit;
  }
  return text !== "" && Number.isSafeInteger(value) ? value : undefined;
}
