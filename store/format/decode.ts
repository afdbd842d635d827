import { copyBytes } from "../base/bytes.ts";
import { freshCopy } from "../base/fresh.ts";
import { isThenable } from "../base/hook.ts";
import { isRecord } from "../base/json.ts";
import { reasonOf } from "../base/reason.ts";
import { textOf } from "../base/text.ts";
import { describe } from "../base/token.ts";
import { type Codec, FORGOTTEN } from "../codec.ts";
import {
  CorruptEventError,
  isAetherError,
  StoreUnavailableError,
  type UnreadableEvent,
} from "../errors.ts";
import type { Event, EventMetadata } from "../event.ts";
import type { EventRules } from "../event_rules.ts";
import type { Position } from "./position.ts";
import { schemaOf, upcast, type Upcasters } from "../upcast.ts";
import { CODEC_TIMEOUT, TimelyCodec } from "./timely_codec.ts";

const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { ignoreBOM: true });
const strict = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The body of a stored event. */
export interface Content {
  readonly data: Uint8Array;
  /** The same as text, with U+FFFD for what is no UTF-8. */
  readonly text: string;
}

/** The facts about a stored event beside its body. */
export interface StoredFacts {
  /** Its position; asked for when something is wrong. */
  readonly sequence: Position;
  readonly actorId: string;
  readonly version: number;
  /** The schema it was saved with. */
  readonly schema: number;
  /** The event that is left when its content is forgotten. */
  readonly rest: () => Pick<Event, "id" | "eventType" | "timestamp">;
}

/** The parts that a decoder works with. */
export interface DecoderParts {
  readonly codec: Codec<Event> | undefined;
  readonly upcasters: Upcasters;
  readonly rules?: EventRules | undefined;
  /** How long the codec may take, in ms. @default {10_000} */
  readonly timeout?: number | undefined;
}

/** Makes events of stored bytes: decodes, checks, and brings them up to date. */
export class EventDecoder {
  readonly #codec: TimelyCodec<Event> | undefined;
  readonly #upcasters: Upcasters;
  /** The rules that events have to keep when they are read. */
  readonly #rules: EventRules | undefined;

  /** Decodes JSON unless there is a codec. */
  constructor({ codec, upcasters, rules, timeout = CODEC_TIMEOUT }: DecoderParts) {
    this.#codec = TimelyCodec.of(codec, timeout);
    this.#upcasters = upcasters;
    this.#rules = rules?.checksReads ? rules : undefined;
  }

  /**
   * The event in `content`; a promise only where the codec takes its time.
   *
   * @throws {CorruptEventError} `content` is not an event, or another than `facts` say, or its rules
   * refuse it.
   * @throws {UnknownSchemaError} It was saved by newer code.
   * @throws {StoreUnavailableError} The codec needs something that is out of reach.
   */
  decode(content: Content, facts: StoredFacts): Event | Promise<Event> {
    if (this.#codec === undefined) return this.#finish(parse(content, facts), facts);
    let decoded: ReturnType<Codec<Event>["decode"]>;
    let isLater: boolean;
    try {
      decoded = this.#codec.decode(copyBytes(content.data)); // The codec's own, to do with as it likes.
      isLater = isThenable(decoded);
    } catch (cause) {
      throw undecodable(facts, cause);
    }
    if (!isLater) return this.#finish(copied(decoded, facts), facts);
    const event = Promise.resolve(decoded).then(
      (value) => this.#finish(copied(value, facts), facts),
      (cause) => Promise.reject(undecodable(facts, cause)),
    );
    event.catch(() => {}); // Awaited by the reader, unless another event of its page fails first.
    return event;
  }

  /** Ends the decoding that is under way, and what begins later: the store is disposed. */
  end(): void {
    this.#codec?.end();
  }

  /** Whether bodies are JSON as it is: there is no codec. */
  get isPlain(): boolean {
    return this.#codec === undefined;
  }

  /** The newest schema of this type that is known here. */
  newestOf(eventType: string): number {
    return schemaOf(this.#upcasters, eventType);
  }

  /**
   * The event in `content` as it was saved, to give copies of; `undefined` if there is a codec: what
   * that makes of the same bytes may be another event each time.
   */
  original(content: Content, facts: StoredFacts): Event | undefined {
    return this.#codec === undefined ? checked(parse(content, facts), facts) : undefined;
  }

  /**
   * A copy of an original, brought up to date.
   *
   * @throws {UnknownSchemaError} It was saved by newer code.
   * @throws {CorruptEventError} Its rules refuse it.
   */
  copyOf(original: Event, facts: Pick<StoredFacts, "sequence" | "schema">): Event {
    const { data, timestamp, metadata } = original;
    const event = { ...original, data: freshCopy(data), timestamp: new Date(timestamp) };
    if (metadata !== undefined) (event as { metadata: EventMetadata }).metadata = { ...metadata };
    return this.#newest(event, facts);
  }

  /** The event in its newest shape, which its rules have not refused. */
  #newest(stored: Event, facts: Pick<StoredFacts, "sequence" | "schema">): Event {
    const event = upcast(this.#upcasters, stored, facts.schema, facts);
    const problem = this.#rules?.problemOf(event);
    if (problem === undefined) return event;
    const { actorId, version, id, eventType } = event;
    throw new CorruptEventError(facts.sequence, problem, {
      event: { actorId, version, id, eventType },
    });
  }

  #finish(value: unknown, facts: StoredFacts): Event {
    if (value === FORGOTTEN) {
      const { actorId, version } = facts;
      return { ...facts.rest(), actorId, version, data: FORGOTTEN };
    }
    const event = checked(value, facts);
    return event.data === FORGOTTEN ? event : this.#newest(event, facts);
  }
}

/**
 * The event from a codec may be frozen, or be the same object twice; a getter or a trap in it may
 * throw.
 */
function copied(value: unknown, facts: StoredFacts): unknown {
  try {
    return typeof value === "object" && value !== null ? { ...value } : value;
  } catch (cause) {
    throw undecodable(facts, cause);
  }
}

/** Errors of codecs: they may ask others, such as a keeper of keys, who may be back later. */
const codecFailures = new WeakSet<object>();

/** Whether a codec has failed: unlike what is wrong with the bytes, that may pass. */
export function isCodecFailure(error: unknown): boolean {
  return typeof error === "object" && error !== null && codecFailures.has(error);
}

/** Errors of reads whose codec has to wait for something. */
const waitingCodecs = new WeakSet<object>();

/** Whether a read failed because its codec needs something that is out of reach. */
export function isCodecWaiting(error: unknown): boolean {
  return typeof error === "object" && error !== null && waitingCodecs.has(error);
}

function undecodable(
  facts: StoredFacts,
  cause: unknown,
): CorruptEventError | StoreUnavailableError {
  if (isAetherError(cause, "StoreUnavailableError")) {
    const what = `Cannot read the event at sequence ${facts.sequence}`;
    const message = `${what}: the codec has to wait: ${reasonOf(cause)}`;
    const waiting = new StoreUnavailableError(message, { cause });
    waitingCodecs.add(waiting);
    return waiting;
  }
  const error = corrupt(facts, `the codec failed: ${reasonOf(cause)}`, cause);
  codecFailures.add(error);
  return error;
}

function corrupt(facts: StoredFacts, reason: string, cause?: unknown): CorruptEventError {
  const options = { event: knownOf(facts), ...(cause !== undefined && { cause }) };
  return new CorruptEventError(facts.sequence, reason, options);
}

/** The facts in the headers about an event whose body cannot be read. */
function knownOf(facts: StoredFacts): UnreadableEvent {
  const { actorId, version } = facts;
  try {
    const { id, eventType } = facts.rest();
    return { actorId, version, id, eventType };
  } catch {
    return { actorId, version };
  }
}

/** The content in `data`; as text only if it is asked for. */
export function contentOf(data: Uint8Array): Content {
  return {
    data,
    get text() {
      return decoder.decode(data);
    },
  };
}

function parse(content: Content, facts: StoredFacts): unknown {
  try {
    // The lenient decoder is three times as fast; if it replaced anything, the strict one says
    // what.
    const { text } = content;
    return JSON.parse(text.includes("\uFFFD") ? strict.decode(content.data) : text);
  } catch (cause) {
    throw corrupt(facts, "its body is not JSON in UTF-8", cause);
  }
}

function checked(value: unknown, facts: StoredFacts): Event {
  if (typeof value !== "object" || value === null) {
    throw corrupt(facts, `its body is ${describe(value)}, not an event`);
  }
  const { actorId, version } = facts;
  const event = value as Record<string, unknown>;
  const timestamp = timestampIn(event.timestamp);
  const wrong = typeof event.id !== "string"
    ? "id"
    : typeof event.eventType !== "string"
    ? "eventType"
    : event.actorId !== actorId
    ? "actorId"
    : event.data === undefined
    ? "data"
    : timestamp === undefined || Number.isNaN(timestamp.getTime())
    ? "timestamp"
    : event.metadata !== undefined && (typeof event.metadata !== "object" || !event.metadata)
    ? "metadata"
    : undefined;
  if (wrong !== undefined) {
    throw corrupt(facts, `it is not an event of ${describe(actorId)}: its ${wrong} is wrong`);
  }
  if (event.version !== version) {
    throw corrupt(facts, `its body says version ${textOf(event.version)}, its header ${version}`);
  }
  if (isCoded(event)) {
    throw corrupt(
      facts,
      "a part of its data is for a codec to read; open the store with its codec",
    );
  }
  event.timestamp = timestamp;
  return value as Event;
}

/**
 * Whether a stored value is one that `sealedCodec()` or `richJsonCodec()` has written, and has not read:
 * without its codec a part of the data would be missing.
 */
export function isCoded({ sealed, rich }: Readonly<Record<string, unknown>>): boolean {
  return Array.isArray(sealed) || isRecord(rich);
}

/** A codec may give what JSON makes of a date, or a date: `null` and numbers would pass for 1970. */
function timestampIn(value: unknown): Date | undefined {
  const isTime = typeof value === "string" || timestampProblem(value) === undefined;
  return isTime ? new Date(value as string | Date) : undefined;
}

/** The problem with `timestamp`; `undefined` if it has none. */
export function timestampProblem(timestamp: unknown): string | undefined {
  if (!isDate(timestamp)) return `timestamp is ${describe(timestamp)}, not a Date`;
  return Number.isNaN(timestamp.getTime()) ? "timestamp is no valid date" : undefined;
}

/** Also true for a `Date` of another realm, for which `instanceof` fails; a look-alike throws. */
function isDate(value: unknown): value is Date {
  try {
    Date.prototype.getTime.call(value);
    return true;
  } catch {
    return false;
  }
}
