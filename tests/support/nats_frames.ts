/**
 * Cuts a stream of bytes into the frames of NATS's client protocol.
 *
 * @module
 */

/** One frame as it went over the wire, in either direction. */
export interface Frame {
  /** The operation in upper case: `PUB`, `HPUB`, `MSG`, `HMSG`, `SUB`, `INFO`, `PING`, `+OK`, … */
  readonly verb: string;
  /** The rest of the verb's line, trimmed: the JSON of an `INFO`. */
  readonly line: string;
  /** Subject of a message or a subscription, else `""`. */
  readonly subject: string;
  /** The subject on which a message asks for its reply. */
  readonly replyTo?: string;
  /** Headers of an `HPUB` or `HMSG` by their names as written; a name given twice keeps its last value. */
  readonly headers?: ReadonlyMap<string, string>;
  /** Body of a message without its headers; empty for other frames. */
  readonly payload: Uint8Array;
  /** All bytes of the frame, line ends included. */
  readonly raw: Uint8Array;
}

/** JetStream's answer to a publish that it stored, as far as tests look at it. */
export interface PublishAck {
  readonly stream: string;
  readonly seq: number;
  readonly duplicate?: boolean;
}

const MESSAGES = new Set(["PUB", "HPUB", "MSG", "HMSG"]);
const LF = 10;

/** Takes chunks cut anywhere; gives whole frames. */
export class FrameParser {
  #rest: Uint8Array = new Uint8Array();

  /** Bytes of a frame that has not ended yet. */
  get pending(): number {
    return this.#rest.length;
  }

  /** Takes the next chunk and yields the frames that end in it. */
  *push(chunk: Uint8Array): Generator<Frame, void> {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
    }
    let at = 0;
    try {
      for (let frame = parse(bytes); frame; frame = parse(bytes.subarray(at))) {
        at += frame.raw.length;
        yield frame;
      }
    } finally {
      this.#rest = bytes.subarray(at);
    }
  }
}

/** The frame that `bytes` begin with, if all of it is there. */
function parse(bytes: Uint8Array): Frame | undefined {
  const lineEnd = bytes.indexOf(LF);
  if (lineEnd === -1) return undefined;
  const text = decode(bytes.subarray(0, lineEnd)).trim();
  const verb = (/^\S*/.exec(text)?.[0] ?? "").toUpperCase();
  const line = text.slice(verb.length).trim();
  const empty = new Uint8Array();
  const start = lineEnd + 1;
  if (!MESSAGES.has(verb)) {
    const subject = verb === "SUB" ? line.split(/\s+/)[0]! : "";
    return { verb, line, subject, payload: empty, raw: bytes.subarray(0, start) };
  }
  // Subject, then the subscription's id (from the server only), a reply subject if any, and sizes.
  const words = line.split(/\s+/);
  const total = Number(words.pop());
  const headerSize = verb.startsWith("H") ? Number(words.pop()) : 0;
  if (!Number.isSafeInteger(total) || !Number.isSafeInteger(headerSize)) {
    throw new SyntaxError(`Cannot parse frame "${text}": its size is no integer`);
  }
  const end = start + total + 2;
  if (bytes.length < end) return undefined;
  const replyTo = words[verb.endsWith("MSG") ? 2 : 1];
  return {
    verb,
    line,
    subject: words[0] ?? "",
    ...(replyTo !== undefined && { replyTo }),
    ...(headerSize > 0 && { headers: parseHeaders(bytes.subarray(start, start + headerSize)) }),
    payload: bytes.subarray(start + headerSize, end - 2),
    raw: bytes.subarray(0, end),
  };
}

/** Headers of a block that begins with a line `NATS/1.0`, with a status at times, kept as `Status`. */
function parseHeaders(block: Uint8Array): Map<string, string> {
  const [first = "", ...lines] = decode(block).split("\r\n");
  const headers = new Map<string, string>();
  const status = /^NATS\/1\.0\s+(\d+.*)$/.exec(first)?.[1];
  if (status !== undefined) headers.set("Status", status.trim());
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return headers;
}

/** The ack that `frame` carries, if it acknowledges a stored publish; a refusal does not. */
export function publishAck(frame: Frame): PublishAck | undefined {
  if (!frame.verb.endsWith("MSG") || frame.payload[0] !== 0x7b) return undefined;
  try {
    const body = JSON.parse(decode(frame.payload));
    const acks = typeof body.stream === "string" && body.seq > 0 && !body.error && !body.type;
    return acks ? body : undefined;
  } catch {
    return undefined; // a message that only looks like JSON
  }
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
