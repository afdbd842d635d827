import { asStreamSequence, positionOf, type StreamSequence } from "../format/position.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { EventStore } from "../store.ts";
import { ActorCheck } from "./actor_check.ts";
import { ActorTails } from "./actor_tails.ts";
import { checkCheckpoints } from "./checkpoint_check.ts";
import { CommitCheck } from "./commit_check.ts";
import { FenceCheck } from "./fence_check.ts";
import { Findings } from "./findings.ts";
import { MessageCheck } from "./message_check.ts";
import type { VerifyProjection } from "./options.ts";
import type { VerifyProgress, VerifyReport } from "./report.ts";
import type { SnapshotCheck } from "./snapshot_check.ts";
import type { VerifySource } from "./source.ts";

/** Time and messages between two reports of progress, whichever comes first. */
const EVERY_MS = 250;
const EVERY_MESSAGES = 10_000;

/** The parts that a walk needs. */
export interface WalkOptions {
  /** The store itself, for replays. */
  readonly store: EventStore;
  readonly source: VerifySource;
  /** The first message. */
  readonly first: StreamSequence;
  readonly maxMessages: number;
  readonly limit: number;
  readonly cacheSize: number;
  readonly snapshots: readonly SnapshotCheck[];
  readonly projections: readonly VerifyProjection[];
  readonly signal: AbortSignal;
  readonly onProgress: (progress: VerifyProgress) => void;
}

/** One verification: walks through the messages in order and has each one checked. */
export class Walk {
  readonly #options: WalkOptions;
  readonly #findings: Findings;
  readonly #actors: ActorCheck;
  readonly #commits: CommitCheck;
  readonly #check: MessageCheck;
  readonly #begun = performance.now();
  #end = asStreamSequence(0);
  /** The last sequence that was checked, whether there is a message or not. */
  #last: StreamSequence;
  #next: StreamSequence;
  #messages = 0;
  #firsts = 0;
  #reported = { at: performance.now(), messages: 0 };

  /** Walks as `options` say. */
  constructor(options: WalkOptions) {
    const { source, first, limit, cacheSize, snapshots } = options;
    const looksBack = first > 1;
    const findings = new Findings(limit);
    const tails = new ActorTails(cacheSize);
    const onActor = (actorId: string, isFirst: boolean) => {
      if (isFirst) this.#firsts++;
      if (!isFirst && (!looksBack || tails.has(actorId))) return;
      for (const check of snapshots) check.meet(actorId);
    };
    this.#options = options;
    this.#findings = findings;
    this.#last = asStreamSequence(first - 1);
    this.#next = first;
    this.#actors = new ActorCheck({
      ...{ source, findings, tails, looksBack, onActor },
      ids: cacheSize,
    });
    this.#commits = new CommitCheck(findings, looksBack);
    const fences = new FenceCheck(source, findings, looksBack);
    const [actors, commits] = [this.#actors, this.#commits];
    this.#check = new MessageCheck({ source, findings, actors, commits, fences });
  }

  /** Goes to the end, as it is when the walk begins. */
  async run(): Promise<VerifyReport> {
    const { source, store, snapshots, projections, signal } = this.#options;
    signal.throwIfAborted();
    let end = this.#end = await source.end();
    let done = await this.#through(end);
    // The rest of a commit that is just being stored.
    while (done && this.#commits.isOpen) {
      const later = await source.end();
      if (later <= end) break;
      end = later;
      done = await this.#through(end);
    }
    let compared = 0;
    if (done) {
      this.#commits.end();
      this.#next = asStreamSequence(this.#last + 1);
      for (const check of snapshots) compared += await check.run(store, this.#findings, signal);
      for (const projection of projections) {
        await checkCheckpoints(projection, source, this.#findings, signal);
      }
    }
    this.#options.onProgress(this.#progress());
    const { problems, count } = this.#findings;
    return {
      ok: count === 0,
      identity: source.identity,
      ...this.#actors.counts,
      messages: this.#messages,
      actors: this.#firsts,
      snapshots: compared,
      problems,
      problemCount: count,
      next: positionOf(this.#next),
      done,
    };
  }

  /** Whether it has come to `end`, and not to the most messages that are wanted. */
  async #through(end: StreamSequence): Promise<boolean> {
    const { source, signal } = this.#options;
    for await (const page of source.pages(this.#last, end, signal)) {
      signal.throwIfAborted();
      await this.#actors.prepare(page);
      for (const message of page) {
        if (message.sequence <= this.#last) continue;
        const before = asStreamSequence(message.sequence - 1);
        if (this.#last < before) await this.#gap(before);
        await this.#see(message);
        if (this.#isEnough()) return this.#last >= this.#end;
      }
      signal.throwIfAborted();
    }
    if (this.#last < end) await this.#gap(end);
    return true;
  }

  #isEnough(): boolean {
    if (this.#commits.isOpen) return false;
    return this.#messages >= this.#options.maxMessages || this.#last >= this.#end;
  }

  /** Looks for messages that the pages left out up to `last`, and reports those that are missing. */
  async #gap(last: StreamSequence): Promise<void> {
    const first = asStreamSequence(this.#last + 1);
    for await (const message of this.#options.source.missed(first, last)) {
      this.#skip(asStreamSequence(message.sequence - 1));
      await this.#see(message);
    }
    this.#skip(last);
  }

  /** Goes on behind sequences that have no message. */
  #skip(last: StreamSequence): void {
    const first = asStreamSequence(this.#last + 1);
    if (last < first) return;
    if (!this.#options.source.isUnused(first, last)) {
      const what = first === last
        ? `message ${first} is missing`
        : `messages ${first} to ${last} are missing, ${last - first + 1} in all`;
      this.#findings.add("hole", { sequence: first }, what);
      if (first === 1) {
        this.#findings.add("genesis", { sequence: first }, "the genesis message is missing");
      }
    }
    this.#last = last;
  }

  async #see(message: StoredMessage): Promise<void> {
    this.#messages++;
    await this.#check.see(message);
    this.#last = message.sequence;
    if (!this.#commits.isOpen) this.#next = asStreamSequence(this.#last + 1);
    const { at, messages } = this.#reported;
    const now = performance.now();
    if (now - at < EVERY_MS && this.#messages - messages < EVERY_MESSAGES) return;
    this.#reported = { at: now, messages: this.#messages };
    this.#options.onProgress(this.#progress());
  }

  #progress(): VerifyProgress {
    const { events } = this.#actors.counts;
    const seconds = (performance.now() - this.#begun) / 1000;
    return {
      events,
      messages: this.#messages,
      position: positionOf(this.#last),
      end: positionOf(this.#end),
      next: positionOf(this.#next),
      rate: seconds > 0 ? events / seconds : 0,
      problemCount: this.#findings.count,
    };
  }
}
