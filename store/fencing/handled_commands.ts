import type { Event } from "../event.ts";
import type { LogPosition } from "./log_position.ts";
import { COMMAND } from "../format/headers.ts";
import {
  asStreamSequence,
  indexOf,
  messageSequenceOf,
  type StreamSequence,
} from "../format/position.ts";
import { attempt } from "../nats/retry.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { SaveReceipt } from "../options.ts";
import type { Head } from "../read/heads.ts";
import { previousOf } from "../read/message_facts.ts";
import { StoredRun, type StoredSave } from "../read/stored_run.ts";
import { readPages } from "../read/pages.ts";
import type { StoreInternals } from "../save/path.ts";

/** Messages of an actor that are looked through for commands: those stored last. */
const LAST = 1000;

/** Commands that an actor's stored events name. */
export interface HandledReceipts {
  /** By command, in the order they were handled, where the last event of each is. */
  readonly receipts: Map<string, SaveReceipt>;
  /** All are there that have a message behind the one of this position, of the last 1,000. */
  readonly since: number;
}

/**
 * Finds the commands that stored events are the outcome of. Complete up to all that the store was
 * told is stored.
 */
export class HandledCommands {
  readonly #parts: StoreInternals;

  /** Looks through the stream of `parts`. */
  constructor(parts: StoreInternals) {
    this.#parts = parts;
  }

  /**
   * The commands that the actor's last 1,000 messages are the outcome of, in the order they were
   * handled, each with its events.
   *
   * @throws {CorruptEventError} An event of a command cannot be read.
   */
  async commands(actorId: string): Promise<Map<string, HandledCommand>> {
    const found = new Map<string, HandledCommand>();
    const { messages } = await this.#messages(actorId, 0);
    for (const { run, save, command } of commandsIn(messages)) {
      const before = found.get(command)?.events ?? [];
      const events = await this.#eventsOf(actorId, run, save);
      found.set(command, { events: [...before, ...events], receipt: receiptOf(run, save) });
    }
    return found;
  }

  /**
   * Where the events of commands are, of those behind the message of position `after`: one
   * request if there are none. What is in that message was stored along with the position. The events themselves are not looked at. The store knows the actor's version then.
   */
  async receipts(actorId: string, after: number): Promise<HandledReceipts> {
    const { messages, since } = await this.#messages(actorId, after);
    const receipts = new Map<string, SaveReceipt>();
    for (const { run, save, command } of commandsIn(messages)) {
      receipts.set(command, receiptOf(run, save));
    }
    return { receipts, since };
  }

  /**
   * The events of one command behind the message of position `after`.
   *
   * @throws {CorruptEventError} One of them cannot be read.
   */
  async events(actorId: string, commandId: string, after: number): Promise<Event[]> {
    const { messages } = await this.#messages(actorId, after);
    const events: Event[] = [];
    for (const { run, save, command } of commandsIn(messages)) {
      if (command === commandId) events.push(...await this.#eventsOf(actorId, run, save));
    }
    return events;
  }

  /** Whether the stream has the event of a log position where it is said to be. */
  async holds({ sequence, id }: LogPosition): Promise<boolean> {
    const { api, requestTimeout, timeout } = this.#parts;
    const place = messageSequenceOf(sequence);
    if (place < 1) return false;
    const what = `look for event "${id}" at position ${sequence}`;
    const message = await attempt(
      api.requests,
      timeout,
      what,
      () => api.get({ seq: place }, requestTimeout),
    );
    return message !== undefined && new StoredRun(message).hasIdAt(indexOf(sequence), id);
  }

  #eventsOf(actorId: string, run: StoredRun, { start, events }: StoredSave): Promise<Event[]> {
    const { events: reader } = this.#parts;
    return Promise.all(
      Array.from({ length: events }, (_, at) => reader.eventAt(run, start + at, actorId)),
    );
  }

  /** The actor's messages behind `after`, of many the last ones. */
  async #messages(
    actorId: string,
    after: number,
  ): Promise<{ readonly messages: readonly StoredMessage[]; readonly since: number }> {
    const { api, headReader, timeout } = this.#parts;
    const what = `read the commands of "${actorId}"`;
    const head = await attempt(api.requests, timeout, what, () => headReader.read(actorId));
    const before = messageSequenceOf(after);
    if (head.sequence <= before) return { messages: [], since: after };
    if (after > 0) {
      const messages = await this.#behind(actorId, before, head, LAST + 1);
      if (messages.length <= LAST) return { messages, since: after };
    }
    return { messages: await this.#last(actorId, head), since: 0 };
  }

  /** The last messages. Versions may have gaps: the wider they are, the more are spanned. */
  async #last(actorId: string, head: Head): Promise<readonly StoredMessage[]> {
    const { api, headReader, timeout } = this.#parts;
    const what = `read the commands of "${actorId}"`;
    for (let span = LAST;; span *= 8) {
      const version = head.version - span + 1;
      const start = version <= 1
        ? undefined
        : await attempt(api.requests, timeout, what, () => headReader.find(actorId, version, head));
      const before = asStreamSequence((start?.sequence ?? 1) - 1);
      const messages = await this.#behind(actorId, before, head);
      const [first] = messages;
      const isAll = first === undefined || previousOf(first) === 0;
      if (isAll || messages.length >= LAST) return messages.slice(-LAST);
    }
  }

  /** The messages behind `after`, or so many of them at least. */
  async #behind(
    actorId: string,
    after: StreamSequence,
    head: Head,
    limit = Infinity,
  ): Promise<StoredMessage[]> {
    const subject = this.#parts.headReader.subjectOf(actorId);
    const messages: StoredMessage[] = [];
    for await (
      const page of readPages(this.#parts, { subject, after, end: head.sequence, limit })
    ) {
      messages.push(...page);
    }
    return messages;
  }
}

/** The saves of messages that are the outcome of commands and have events. */
function* commandsIn(messages: readonly StoredMessage[]): Generator<{
  readonly run: StoredRun;
  readonly save: StoredSave;
  readonly command: string;
}, void> {
  for (const message of messages) {
    if (message.header(COMMAND) === "") continue;
    const run = new StoredRun(message);
    for (const save of run.saves) {
      const { command, events } = save;
      if (command !== undefined && events > 0) yield { run, save, command };
    }
  }
}

function receiptOf(run: StoredRun, { start, events }: StoredSave): SaveReceipt {
  return { sequence: run.positionAt(start + events - 1), duplicate: true };
}

/** A command whose events are stored. */
export interface HandledCommand {
  /** Its events of the actor, in order. */
  readonly events: readonly Event[];
  /** Where the last of them is. */
  readonly receipt: SaveReceipt;
}
