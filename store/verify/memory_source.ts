import { utf8 } from "../base/utf8.ts";
import type { Event } from "../event.ts";
import { FORMAT, HASH, Layout } from "../format/layout.ts";
import {
  asStreamSequence,
  messageSequenceOf,
  positionOf,
  type StreamSequence,
} from "../format/position.ts";
import type { Run, RunSave } from "../format/runs.ts";
import type { MemoryParts } from "../memory/event_store.ts";
import type { KeptEvent, KeptReceipt } from "../memory/log.ts";
import { headerIn, headerNamesIn, type StoredMessage } from "../nats/stored_message.ts";
import { EventReader } from "../read/event_reader.ts";
import type { StoredRun } from "../read/stored_run.ts";
import { assemble } from "../save/messages.ts";
import type { VerifySource } from "./source.ts";

/** Messages of one page. */
const PAGE = 512;
/** Messages have no subjects in memory: any number of shards will do. */
const SHARDS = 1;

/** The events of a store in memory, as the messages that a stream would have. */
export class MemorySource implements VerifySource {
  readonly identity: string;
  readonly shards = SHARDS;
  readonly layout: Layout = new Layout("memory");
  readonly #log: MemoryParts["log"];
  readonly #reader: EventReader;

  /** Reads what `parts` keep. */
  constructor(identity: string, { log, decoder }: MemoryParts) {
    this.identity = identity;
    this.#log = log;
    this.#reader = new EventReader(decoder);
  }

  /** See {@linkcode VerifySource.end}. */
  end(): Promise<StreamSequence> {
    return Promise.resolve(messageSequenceOf(this.#log.end));
  }

  /** See {@linkcode VerifySource.pages}. */
  async *pages(
    after: StreamSequence,
    end: StreamSequence,
  ): AsyncGenerator<readonly StoredMessage[], void> {
    let page: StoredMessage[] = [];
    for (const message of this.#messages(after, end)) {
      page.push(message);
      if (page.length < PAGE) continue;
      yield page;
      page = [];
      // Other work of the process goes on meanwhile.
      await new Promise((resolve) => setTimeout(resolve));
    }
    if (page.length > 0) yield page;
  }

  /** See {@linkcode VerifySource.missed}. */
  async *missed(): AsyncGenerator<StoredMessage, void> {
    // All that is kept was given.
  }

  /** See {@linkcode VerifySource.isUnused}: one sequence behind a batch has no message. */
  isUnused(first: StreamSequence, last: StreamSequence): boolean {
    if (first !== last) return false;
    const { events } = this.#log;
    const before = events[this.#log.indexOf(positionOf(first)) - 1];
    return before !== undefined && messageSequenceOf(before.sequence) === first - 1;
  }

  /** See {@linkcode VerifySource.at}. */
  at(sequence: StreamSequence): Promise<StoredMessage | undefined> {
    const [message] = this.#messages(asStreamSequence(sequence - 1), sequence);
    return Promise.resolve(message);
  }

  /** See {@linkcode VerifySource.lastBefore}. */
  async lastBefore(
    subject: string,
    sequence: StreamSequence,
  ): Promise<StoredMessage | undefined> {
    const actorId = this.layout.actorOf(subject);
    if (actorId === undefined) return undefined;
    const end = this.#log.endBefore(actorId, positionOf(sequence));
    return end.sequence === 0 ? undefined : await this.at(asStreamSequence(end.sequence));
  }

  /** See {@linkcode VerifySource.isUnborn}: nothing has to say so in memory. */
  isUnborn(): Promise<boolean> {
    return Promise.resolve(true);
  }

  /** See {@linkcode VerifySource.eventAt}. */
  eventAt(run: StoredRun, index: number, actorId: string): Event | Promise<Event> {
    return this.#reader.eventAt(run, index, actorId);
  }

  *#messages(after: StreamSequence, end: StreamSequence): Generator<StoredMessage, void> {
    if (after < 1 && end >= 1) yield this.#genesis();
    const { events, receipts } = this.#log;
    const start = positionOf(asStreamSequence(after + 1));
    let at = this.#log.indexOf(start);
    let receiptAt = receipts.findIndex(({ sequence }) => sequence >= start);
    if (receiptAt < 0) receiptAt = receipts.length;
    for (;;) {
      const event = events[at];
      const receipt = receipts[receiptAt];
      const next = Math.min(event?.sequence ?? Infinity, receipt?.sequence ?? Infinity);
      if (next === Infinity || messageSequenceOf(next) > end) return;
      if (receipt?.sequence === next) {
        receiptAt++;
        yield this.#receipt(receipt);
        continue;
      }
      const kept: KeptEvent[] = [];
      const sequence = messageSequenceOf(next);
      for (; at < events.length && messageSequenceOf(events[at]!.sequence) === sequence; at++) {
        kept.push(events[at]!);
      }
      yield this.#run(kept, sequence);
    }
  }

  #genesis(): StoredMessage {
    const { identity, shards } = this;
    const body = utf8(JSON.stringify({ format: FORMAT, shards, hash: HASH, identity }));
    const subject = this.layout.genesis;
    return new KeptMessage(asStreamSequence(1), subject, "", body, 0);
  }

  #receipt({ actorId, sequence, version, commandId, body, time }: KeptReceipt): StoredMessage {
    const saves = [{ events: 0, count: 0, command: commandId }];
    const run = { actorId, events: [], index: 0, saves, receipt: { actorId, version, body } };
    return this.#message(run, messageSequenceOf(sequence), `receipt-${sequence}`, time);
  }

  #run(kept: readonly KeptEvent[], sequence: StreamSequence): StoredMessage {
    const [{ actorId, commit, time }] = kept as [KeptEvent];
    const saves: (RunSave & { events: number })[] = [];
    let op: string | undefined;
    for (const { commit, command } of kept) {
      if (commit.op !== op) saves.push({ events: 0, count: commit.count, command });
      op = commit.op;
      saves.at(-1)!.events++;
    }
    // Saves that are stored together are distinguished by a number behind the name of all.
    const name = saves.length === 1 ? commit.op : commit.op.slice(0, commit.op.lastIndexOf("."));
    return this.#message(
      { actorId, events: kept, index: commit.index, saves },
      sequence,
      name,
      time,
    );
  }

  #message(run: Run, sequence: StreamSequence, op: string, time: number): StoredMessage {
    const end = this.#log.endBefore(run.actorId, positionOf(sequence));
    const head = { version: end.version, sequence: asStreamSequence(end.sequence) };
    const subjectOf = (actorId: string) => this.layout.event(actorId, this.shards);
    const [message] = assemble([run], () => ({ op }), { get: () => head }, [], subjectOf);
    const { subject, headers, body } = message!;
    const text = decoder.decode((headers as unknown as { encode(): Uint8Array }).encode());
    return new KeptMessage(sequence, subject, text, body, time);
  }
}

const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { ignoreBOM: true });

/** The message that a stream would hold. */
class KeptMessage implements StoredMessage {
  readonly sequence: StreamSequence;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly #headers: string;
  readonly #time: number;

  constructor(
    sequence: StreamSequence,
    subject: string,
    headers: string,
    data: Uint8Array,
    time: number,
  ) {
    this.sequence = sequence;
    this.subject = subject;
    this.data = data;
    this.#headers = headers;
    this.#time = time;
  }

  get text(): string {
    return decoder.decode(this.data);
  }

  get time(): string {
    return new Date(this.#time).toISOString();
  }

  header(name: string): string {
    return headerIn(this.#headers, name);
  }

  headerNames(): string[] {
    return headerNamesIn(this.#headers);
  }
}
