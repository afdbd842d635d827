import { headers } from "@nats-io/nats-core";
import { unlessAborted } from "../base/abort.ts";
import { decodeJson, encodeJson } from "../base/json.ts";
import { encodeToken } from "../base/token.ts";
import {
  type CommandLog,
  type CommandPlace,
  type CommandReceipt,
  type CommandSearch,
  SEARCHED_EVENTS,
  type StoredOutcome,
} from "../command_log.ts";
import { CorruptEventError } from "../errors.ts";
import type { Event } from "../event.ts";
import { COMMAND, EXPECT, PREVIOUS } from "../format/headers.ts";
import {
  asStreamSequence,
  indexOf,
  messageSequenceOf,
  positionOf,
  type StreamSequence,
} from "../format/position.ts";
import { backoff } from "../nats/backoff.ts";
import { attempt } from "../nats/retry.ts";
import { ApiError } from "../nats/stream_api.ts";
import { numberIn, type StoredMessage } from "../nats/stored_message.ts";
import type { SaveReceipt } from "../options.ts";
import type { Head } from "../read/heads.ts";
import { readPages } from "../read/pages.ts";
import { StoredRun } from "../read/stored_run.ts";
import type { SavePath, StoreInternals } from "../save/path.ts";
import type { SavePlanner } from "../save/planner.ts";

/** By how much the clocks of a caller and of the servers may differ, in ms. */
const CLOCKS = 60_000;
const BEGINNING = /* @__PURE__ */ asStreamSequence(0);

/** The command log of a store on JetStream. */
export class StreamCommandLog implements CommandLog {
  readonly #parts: StoreInternals;
  readonly #planner: SavePlanner;
  readonly #path: SavePath;

  /** Plans with `planner`, and saves by `path`. */
  constructor(parts: StoreInternals, planner: SavePlanner, path: SavePath) {
    this.#parts = parts;
    this.#planner = planner;
    this.#path = path;
  }

  /** See {@linkcode CommandLog.search}. */
  async search(actorId: string, after?: number | Date): Promise<CommandSearch> {
    const { headReader } = this.#parts;
    const { head, last } = await this.#attempt(actorId, () => headReader.readEnd(actorId));
    const { version, sequence } = head;
    const end = { version, sequence };
    if (after === undefined) return { end, last, ...await this.#searchLast(actorId, head) };
    const since = typeof after === "number"
      ? asStreamSequence(after)
      : await this.#startAt(actorId, head, after, last);
    const { found } = await this.#searchBehind(actorId, since, head);
    return { end, last, found, since };
  }

  /** See {@linkcode CommandLog.holds}. */
  async holds(sequence: number, id: string): Promise<boolean> {
    const { api, requestTimeout, timeout } = this.#parts;
    const what = `look for event "${id}" at position ${sequence}`;
    const query = { seq: messageSequenceOf(sequence) };
    const get = () => api.get(query, requestTimeout);
    const message = await attempt(api.requests, timeout, what, get);
    return message !== undefined && new StoredRun(message).hasIdAt(indexOf(sequence), id);
  }

  /** See {@linkcode CommandLog.outcome}. */
  async outcome(
    actorId: string,
    commandId: string,
    { messages }: CommandPlace,
  ): Promise<StoredOutcome> {
    const events: Event[] = [];
    let sequence = 0;
    for (const at of messages) {
      const { run } = await this.#runAt(actorId, at);
      for (const save of run.saves) {
        if (save.command !== commandId) continue;
        sequence = run.positionAt(Math.max(0, save.start + save.events - 1));
        if (run.count === 0) {
          return { events, sequence, outcome: decodeJson(run.message.data) };
        }
        for (let index = save.start; index < save.start + save.events; index++) {
          events.push(await this.#parts.events.eventAt(run, index, actorId));
        }
      }
    }
    return { events, sequence };
  }

  /** See {@linkcode CommandLog.record}. */
  async record(
    { actorId, commandId, end, outcome }: CommandReceipt,
    signal?: AbortSignal,
  ): Promise<SaveReceipt> {
    encodeToken(commandId);
    const plan = this.#planner.receipt(actorId, commandId, end, encodeJson(outcome), signal);
    if (end.version === 0) await unlessAborted(signal, this.#sayUnborn(actorId));
    return await this.#path.save(plan, []);
  }

  /** Looks through the messages that hold the actor's last 1,000 events. */
  async #searchLast(
    actorId: string,
    head: Head,
  ): Promise<{ readonly found: Map<string, CommandPlace>; readonly since: StreamSequence }> {
    const { headReader } = this.#parts;
    let { version } = head;
    // Versions may have gaps: the wider they are, the more are spanned.
    for (let width = SEARCHED_EVENTS;; width *= 4) {
      const from = version - width + 1;
      const start = from <= 1
        ? undefined
        : await this.#attempt(actorId, () => headReader.find(actorId, from, head));
      const since = start === undefined ? BEGINNING : asStreamSequence(start.sequence - 1);
      const { found, events, previous } = await this.#searchBehind(actorId, since, head);
      if (since === BEGINNING || events >= SEARCHED_EVENTS) return { found, since };
      version = previous;
    }
  }

  /** The commands behind `since`, how many events there are, and the version before those. */
  async #searchBehind(actorId: string, since: StreamSequence, { sequence: end }: Head): Promise<{
    readonly found: Map<string, CommandPlace>;
    readonly events: number;
    readonly previous: number;
  }> {
    const found = new Map<string, CommandPlace>();
    let events = 0;
    let previous: number | undefined;
    if (end <= since) return { found, events, previous: 0 };
    const query = { subject: this.#parts.headReader.subjectOf(actorId), after: since, end };
    for await (const page of readPages(this.#parts, query)) {
      for (const message of page) {
        previous ??= numberIn(message, PREVIOUS);
        events += note(found, message);
      }
    }
    return { found, events, previous: previous ?? 0 };
  }

  /** The stream sequence behind which messages are that were stored at a time or later. */
  async #startAt(
    actorId: string,
    head: Head,
    after: Date,
    last: StoredMessage | undefined,
  ): Promise<StreamSequence> {
    const { headReader, api, requestTimeout } = this.#parts;
    if (head.sequence === 0) return BEGINNING;
    const first = await this.#attempt(actorId, async () => {
      const time = new Date(after.getTime() - CLOCKS);
      const subject = headReader.subjectOf(actorId);
      const query = { start_time: time.toISOString(), next_by_subj: subject };
      const found = await api.get(query, requestTimeout);
      if (found === undefined && last !== undefined && Date.parse(last.time) >= time.getTime()) {
        throw new ApiError({ code: 503, description: "a deposed leader answers" });
      }
      return found;
    });
    return first === undefined ? head.sequence : asStreamSequence(first.sequence - 1);
  }

  async #runAt(actorId: string, sequence: number): Promise<{ run: StoredRun }> {
    const { api, requestTimeout } = this.#parts;
    for (const retry = backoff(performance.now() + requestTimeout);;) {
      const message = await this.#attempt(
        actorId,
        () => api.get({ seq: sequence }, requestTimeout),
      );
      if (message !== undefined) return { run: new StoredRun(message) };
      // A leader that was deposed just now may not have it.
      if (!await retry(api.requests)) break;
    }
    const position = positionOf(asStreamSequence(sequence));
    throw new CorruptEventError(position, "the message is lost that it was in");
  }

  /** Notes that the actor may have no events, before it has a message: see `Layout.unborn()`. */
  async #sayUnborn(actorId: string): Promise<void> {
    const { api, shards, requestTimeout } = this.#parts;
    const condition = headers();
    condition.set(EXPECT, "0"); // Once is enough: a refusal says that it is there.
    const subject = api.layout.unborn(actorId, shards);
    await this.#attempt(
      actorId,
      () => api.requests.request(subject, "", requestTimeout, condition),
    );
  }

  #attempt<T>(actorId: string, work: () => Promise<T>): Promise<T> {
    const { api, timeout } = this.#parts;
    return attempt(api.requests, timeout, `look for commands of "${actorId}"`, work);
  }
}

/**
 * Notes the commands that a message is the outcome of; its content is not looked at. Gives how many
 * events it has.
 */
function note(found: Map<string, CommandPlace>, message: StoredMessage): number {
  const run = new StoredRun(message);
  if (message.header(COMMAND) === "") return run.count;
  for (const { command, start, events } of run.saves) {
    if (command === undefined) continue;
    const before = found.get(command);
    const messages = [...before?.messages ?? [], message.sequence];
    const version = events === 0 ? run.version : run.versionAt(start + events - 1);
    found.delete(command);
    found.set(command, { messages, version, events: events + (before?.events ?? 0) });
  }
  return run.count;
}
