import { jsonIn } from "../base/json.ts";
import { reasonOf } from "../base/reason.ts";
import { decodeToken } from "../base/token.ts";
import { isRecord } from "../base/json.ts";
import { isAetherError } from "../errors.ts";
import type { Event } from "../event.ts";
import { COMMAND, COUNT, EXPECT, EXPECT_SUBJECT, ID, NONE, OP } from "../format/headers.ts";
import { PREVIOUS, VERSION } from "../format/headers.ts";
import { asStreamSequence, type StreamSequence } from "../format/position.ts";
import { numberIn, type StoredMessage } from "../nats/stored_message.ts";
import type { StoredRun } from "../read/stored_run.ts";
import { type ActorTails, NO_TAIL, type Tail } from "./actor_tails.ts";
import type { Findings } from "./findings.ts";
import { IdWindow } from "./id_window.ts";
import { soundRun } from "./run_check.ts";
import type { VerifySource } from "./source.ts";

/** Requests for tails that are under way at once. */
const LOOKUPS = 64;

/** The parts that actor checks need. */
export interface ActorCheckParts {
  readonly source: VerifySource;
  readonly findings: Findings;
  readonly tails: ActorTails;
  /** How many ids are remembered at least. */
  readonly ids: number;
  /** Whether messages may be stored before the walk begins. */
  readonly looksBack: boolean;
  /** Told of each actor that is met, and whether its first event is. */
  readonly onActor: (actorId: string, isFirst: boolean) => void;
}

/** Counts of what was checked. */
export interface ActorCounts {
  readonly events: number;
  readonly receipts: number;
}

/** Whether the messages of actors are sound, and each follows on the one before of its actor. */
export class ActorCheck {
  readonly #parts: ActorCheckParts;
  readonly #ids: IdWindow;
  /** Tails that were looked up for the messages at hand. */
  #fetched = new Map<string, Tail>();
  #events = 0;
  #receipts = 0;

  /** Checks with `parts`. */
  constructor(parts: ActorCheckParts) {
    this.#parts = parts;
    this.#ids = new IdWindow(parts.ids);
  }

  /** The checks so far. */
  get counts(): ActorCounts {
    return { events: this.#events, receipts: this.#receipts };
  }

  /** Looks up, many at a time, where the actors of a page end that are not remembered. */
  async prepare(page: readonly StoredMessage[]): Promise<void> {
    const { source: { layout }, tails, looksBack } = this.#parts;
    this.#fetched = new Map();
    if (!looksBack && !tails.overflowed) return;
    const wanted = new Map<string, StoredMessage>();
    for (const message of page) {
      const actorId = layout.actorOf(message.subject);
      if (actorId === undefined || wanted.has(actorId) || tails.has(actorId)) continue;
      wanted.set(actorId, message);
    }
    const waiting = wanted.entries();
    const work = async () => {
      for (const [actorId, message] of waiting) {
        this.#fetched.set(actorId, await this.#lookUp(message));
      }
    };
    await Promise.all(Array.from({ length: LOOKUPS }, work));
  }

  /**
   * Takes the next message of an actor; its run if it has events and they can be distinguished.
   *
   * @param batchStart The first message of the batch that the message is in.
   */
  async see(
    message: StoredMessage,
    actorId: string,
    batchStart: StreamSequence | undefined,
  ): Promise<StoredRun | undefined> {
    const tail = await this.#tailOf(message, actorId);
    const { sequence } = message;
    if (message.header(VERSION) === "" || message.header(OP) === "") {
      const missing = message.header(OP) === "" ? OP : VERSION;
      this.#report("foreign-message", sequence, actorId, `has no ${missing} header`);
      this.#parts.tails.set(actorId, { version: tail.version, sequence });
      return undefined;
    }
    const isReceipt = message.header(ID) === "";
    const version = numberIn(message, VERSION);
    const run = soundRun(message, actorId, this.#parts.findings);
    const isFirst = !isReceipt && tail.version === 0;
    if (run !== undefined) this.#checkPlace(message, actorId, tail, batchStart);
    if (run !== undefined && isReceipt) await this.#checkReceipt(message, actorId, tail);
    this.#parts.onActor(actorId, isFirst);
    this.#parts.tails.set(actorId, { version: version ?? tail.version, sequence });
    if (run === undefined || isReceipt) return undefined;
    for (let index = 0; index < run.count; index++) await this.#checkEvent(run, index, actorId);
    return run;
  }

  #report(
    rule: Parameters<Findings["add"]>[0],
    sequence: StreamSequence,
    actorId: string,
    what: string,
  ): void {
    const message = `message ${sequence} of "${actorId}" ${what}`;
    this.#parts.findings.add(rule, { sequence, actorId }, message);
  }

  /** Whether it follows on the actor's message before it. */
  #checkPlace(
    message: StoredMessage,
    actorId: string,
    tail: Tail,
    batchStart: StreamSequence | undefined,
  ): void {
    const { sequence } = message;
    const report = (rule: "version-order" | "broken-chain" | "foreign-message", what: string) =>
      this.#report(rule, sequence, actorId, what);
    const [version, previous] = [numberIn(message, VERSION)!, numberIn(message, PREVIOUS)!];
    if (tail.version !== undefined && previous !== tail.version) {
      if (version <= tail.version && message.header(ID) !== "") {
        return report(
          "version-order",
          `has version ${version}, and version ${tail.version} is stored before it, in message ` +
            `${tail.sequence}`,
        );
      }
      const lost = previous > tail.version
        ? `: events of versions ${tail.version + 1} to ${previous} are missing`
        : "";
      return report(
        "broken-chain",
        `at version ${version} follows on version ${previous}, and version ${tail.version} is ` +
          `stored before it${lost}`,
      );
    }
    const expected = ownExpectation(message);
    if (expected === undefined) {
      if (batchStart !== undefined && tail.sequence >= batchStart) return;
      return report("foreign-message", `was saved without a condition on where the actor ends`);
    }
    if (expected !== tail.sequence) {
      report(
        "broken-chain",
        `was saved on the condition that the actor ends at message ${expected}, and it ends at ` +
          `message ${tail.sequence} before it`,
      );
    }
  }

  async #checkReceipt(message: StoredMessage, actorId: string, tail: Tail): Promise<void> {
    this.#receipts++;
    const { sequence } = message;
    const report = (what: string) => this.#report("receipt", sequence, actorId, what);
    const command = message.header(COMMAND);
    const version = numberIn(message, VERSION);
    if (command === "" || command.includes(" ") || command === NONE || !isToken(command)) {
      return report("has neither events nor the id of one command");
    }
    if (version !== numberIn(message, PREVIOUS) || message.header(COUNT) !== "0") {
      return report(`is the outcome of a command without events, and says that it has some`);
    }
    if (jsonIn(message.data) === undefined) {
      return report(`is the outcome of command "${command}", and its body is not JSON in UTF-8`);
    }
    if (version !== 0 || tail.sequence !== 0) return;
    if (!await this.#parts.source.isUnborn(actorId, sequence)) {
      report("is its first one and has no event, and nothing before it says that it may have none");
    }
  }

  async #checkEvent(run: StoredRun, index: number, actorId: string): Promise<void> {
    const { findings, source } = this.#parts;
    this.#events++;
    const { sequence } = run.message;
    const place = { sequence, index, actorId };
    const id = run.idAt(index);
    const name = `the event at version ${run.versionAt(index)} of "${actorId}"`;
    if (this.#ids.add(actorId, id)) {
      findings.add("duplicate-id", place, `${name} has id "${id}", as one before it has`);
    }
    let event: Event | undefined;
    try {
      const read = source.eventAt(run, index, actorId);
      event = read instanceof Promise ? await read : read;
    } catch (error) {
      // Its keys are out of reach, say: nothing is known to be wrong with it.
      if (isAetherError(error, "StoreUnavailableError")) throw error;
      const other = isAetherError(error, "CorruptEventError") ? bodyOf(run, index) : undefined;
      const mismatch = other && mismatchOf(run, index, actorId, other);
      if (mismatch !== undefined) {
        findings.add("body-mismatch", place, `the body of ${name} says ${mismatch}`);
        return;
      }
      const advice = isAetherError(error, "UnknownSchemaError")
        ? "deploy the upcasters of the newer code, then verify again"
        : undefined;
      findings.add("unreadable-event", place, `${name} cannot be read: ${reasonOf(error)}`, advice);
      return;
    }
    if (event.id === id && event.eventType === run.typeAt(index)) return;
    const mismatch = mismatchOf(run, index, actorId, { ...event });
    findings.add("body-mismatch", place, `the body of ${name} says ${mismatch}`);
  }

  async #tailOf(message: StoredMessage, actorId: string): Promise<Tail> {
    const { tails, looksBack } = this.#parts;
    const known = tails.get(actorId) ?? this.#fetched.get(actorId);
    // The fetched head holds for the actor's first message in the page only.
    this.#fetched.delete(actorId);
    if (known !== undefined) return known;
    return looksBack || tails.overflowed ? await this.#lookUp(message) : NO_TAIL;
  }

  /** The actor's end before `message`, as it is stored. */
  async #lookUp(message: StoredMessage): Promise<Tail> {
    const { source } = this.#parts;
    const { subject, sequence } = message;
    const expected = ownExpectation(message);
    // The server has checked that there was none.
    if (expected === 0) return NO_TAIL;
    if (expected !== undefined && expected < sequence) {
      const before = await source.at(asStreamSequence(expected));
      if (before?.subject === subject) return tailIn(before);
    }
    const before = await source.lastBefore(subject, sequence);
    return before === undefined ? NO_TAIL : tailIn(before);
  }
}

function tailIn(message: StoredMessage): Tail {
  return { version: numberIn(message, VERSION), sequence: message.sequence };
}

/** Where the actor had to end for the message to be stored; `undefined` without such a condition. */
function ownExpectation(message: StoredMessage): number | undefined {
  const expected = numberIn(message, EXPECT);
  const subject = message.header(EXPECT_SUBJECT);
  return subject === "" || subject === message.subject ? expected : undefined;
}

function isToken(text: string): boolean {
  try {
    decodeToken(text);
    return true;
  } catch {
    return false;
  }
}

/** The body of an event if it is JSON that looks like one. */
function bodyOf(run: StoredRun, index: number): Record<string, unknown> | undefined {
  const value = jsonIn(run.contentAt(index).data);
  return isRecord(value) && "actorId" in value && "version" in value ? value : undefined;
}

/** The difference between a body and its headers; `undefined` if it says the same. */
function mismatchOf(
  run: StoredRun,
  index: number,
  actorId: string,
  body: Readonly<Record<string, unknown>>,
): string | undefined {
  const facts = {
    id: run.idAt(index),
    eventType: run.typeAt(index),
    actorId,
    version: run.versionAt(index),
  };
  const wrong = Object.entries(facts).filter(([name, value]) => body[name] !== value);
  if (wrong.length === 0) return undefined;
  return wrong.map(([name, value]) =>
    `${name} ${JSON.stringify(body[name])}, its message ${JSON.stringify(value)}`
  ).join("; ");
}
