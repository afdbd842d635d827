import { asStreamSequence, type StreamSequence } from "../format/position.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import { numberIn } from "../nats/stored_message.ts";
import type { StoredRun } from "../read/stored_run.ts";
import type { Findings } from "./findings.ts";

/** An atomic batch of the server's. */
interface Batch {
  readonly id: string;
  /** Its first message. */
  readonly first: StreamSequence;
  /** How many of its messages were seen. */
  count: number;
  isCommitted: boolean;
}

/** A commit of which a part was seen, and not the rest. */
interface OpenCommit {
  readonly op: string;
  readonly first: StreamSequence;
  readonly actorId: string;
  /** Its events that were seen. */
  seen: number;
  /** Its events in all. */
  readonly count: number;
}

const RULE = "torn-commit";

/** Whether commits over several messages are stored as wholes: their parts follow each other. */
export class CommitCheck {
  readonly #findings: Findings;
  #batch: Batch | undefined;
  #open: OpenCommit | undefined;
  /** Whether the first message may be in the middle of a commit. */
  #mayJoin: boolean;

  /** `mayJoin`: whether the walk begins somewhere in the middle. */
  constructor(findings: Findings, mayJoin: boolean) {
    this.#findings = findings;
    this.#mayJoin = mayJoin;
  }

  /** Whether a commit is still without its end. */
  get isOpen(): boolean {
    return this.#open !== undefined || this.#batch?.isCommitted === false;
  }

  /** The first message of the batch that the last message is in; `undefined` if it is in none. */
  get batchStart(): StreamSequence | undefined {
    return this.#batch?.first;
  }

  /** Takes the next message of the stream, and its run if it has events. */
  see(message: StoredMessage, run: StoredRun | undefined, actorId: string | undefined): void {
    // A torn commit is reported once, not for each part that is left.
    const isTold = !this.#seeBatch(message);
    this.#seeCommit(message, run, actorId, isTold);
    this.#mayJoin = false;
  }

  /** The walk is over: commits that are open stay so. */
  end(): void {
    this.#endBatch("the stream ends");
    const open = this.#open;
    if (open !== undefined) this.#reportOpen(open, "the stream ends");
    this.#open = undefined;
  }

  /** Whether the message is in its place in its batch. */
  #seeBatch(message: StoredMessage): boolean {
    const { sequence } = message;
    const id = message.header("Nats-Batch-Id");
    const number = numberIn(message, "Nats-Batch-Sequence") ?? 1;
    const isCommitted = message.header("Nats-Batch-Commit") !== "";
    const batch = this.#batch;
    if (batch !== undefined && !batch.isCommitted) {
      if (batch.id === id && batch.count + 1 === number) {
        batch.count++;
        batch.isCommitted = isCommitted;
        return true;
      }
      this.#endBatch(`message ${sequence} follows, which is not the next one of it`);
      this.#batch = id === "" ? undefined : { id, first: sequence, count: number, isCommitted };
      return false;
    }
    this.#batch = undefined;
    if (id === "") return true;
    const first = asStreamSequence(this.#mayJoin ? Math.max(1, sequence - number + 1) : sequence);
    this.#batch = { id, first, count: number, isCommitted };
    if (number === 1 || this.#mayJoin) return true;
    this.#findings.add(
      RULE,
      { sequence },
      `message ${sequence} is number ${number} of an atomic batch, and the ones before it are not ` +
        "stored right before it",
    );
    return false;
  }

  #endBatch(why: string): void {
    const batch = this.#batch;
    if (batch === undefined || batch.isCommitted) return;
    this.#findings.add(
      RULE,
      { sequence: batch.first },
      `of the atomic batch that begins with message ${batch.first} ${batch.count} messages are ` +
        `stored and its end is not: ${why}`,
    );
    this.#batch = undefined;
  }

  #seeCommit(
    { sequence }: StoredMessage,
    run: StoredRun | undefined,
    actorId: string | undefined,
    isTold: boolean,
  ): void {
    const open = isTold ? undefined : this.#open;
    this.#open = undefined;
    if (run === undefined || actorId === undefined) {
      if (open !== undefined) this.#reportOpen(open, `message ${sequence} follows`);
      return;
    }
    const { op, index, events, count } = run.saves.at(-1)!;
    const seen = index + events;
    const isNext = open !== undefined && open.op === op && open.seen === index &&
      open.count === count;
    if (open !== undefined && !isNext) {
      const what = `message ${sequence} has event ${index + 1} of ${count} of save "${op}"`;
      this.#reportOpen(open, what);
    } else if (open === undefined && index > 0 && !this.#mayJoin && !isTold) {
      this.#findings.add(
        RULE,
        { sequence, actorId },
        `message ${sequence} begins with event ${index + 1} of ${count} of save "${op}", and the ` +
          "ones before it are not stored right before it",
      );
    }
    if (seen === count) return;
    if (isNext) {
      open.seen = seen;
      this.#open = open;
    } else this.#open = { op, first: sequence, actorId, seen, count };
  }

  #reportOpen({ op, first, actorId, seen, count }: OpenCommit, why: string): void {
    this.#findings.add(
      RULE,
      { sequence: first, actorId },
      `save "${op}" has ${count} events, and ${seen} of them are stored together: ${why}`,
    );
  }
}
