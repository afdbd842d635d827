import type { Event } from "../event.ts";
import { COMMAND } from "../format/headers.ts";
import { asStreamSequence, type StreamSequence } from "../format/position.ts";
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
    for (const { run, save, command } of commandsIn(await this.#last(actorId))) {
      const before = found.get(command)?.events ?? [];
      const events = await this.#eventsOf(actorId, run, save);
      found.set(command, { events: [...before, ...events], receipt: receiptOf(run, save) });
    }
    return found;
  }

  #eventsOf(actorId: string, run: StoredRun, { start, events }: StoredSave): Promise<Event[]> {
    const { events: reader } = this.#parts;
    return Promise.all(
      Array.from({ length: events }, (_, at) => reader.eventAt(run, start + at, actorId)),
    );
  }

  /** The last messages. Versions may have gaps: the wider they are, the more are spanned. */
  async #last(actorId: string): Promise<readonly StoredMessage[]> {
    const { api, headReader, timeout } = this.#parts;
    const what = `read the commands of "${actorId}"`;
    const head = await attempt(api.requests, timeout, what, () => headReader.read(actorId));
    if (head.sequence === 0) return [];
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

  /** The messages behind `after`. */
  async #behind(
    actorId: string,
    after: StreamSequence,
    head: Head,
  ): Promise<StoredMessage[]> {
    const subject = this.#parts.headReader.subjectOf(actorId);
    const messages: StoredMessage[] = [];
    for await (const page of readPages(this.#parts, { subject, after, end: head.sequence })) {
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
