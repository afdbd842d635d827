import {
  type ActorEnd,
  type CommandLog,
  type CommandPlace,
  SEARCHED_EVENTS,
} from "../command_log.ts";

/** Commands of an actor that are remembered at most, beside those that a search has found. */
const KEPT = 1000;

/**
 * The commands of one actor that are known to be handled, and where the actor ended when that was
 * known. A save that names that end is refused if anything was stored since; so nothing has to be
 * read again between two saves.
 */
export class KnownCommands {
  readonly #log: CommandLog;
  readonly #actorId: string;
  #found = new Map<string, CommandPlace>();
  /** The events of all that are found. */
  #events = 0;
  #since = Infinity;
  /** Whether it was looked for commands of which nothing says how old they are. */
  #isDeep = false;
  #end: ActorEnd | undefined;
  /** The message at the end, if a search has just read it. */
  #last: object | undefined;
  /** How many are kept: none that a caller has just searched for may be dropped. */
  #most = KEPT;

  /** Nothing is known to begin with. */
  constructor(log: CommandLog, actorId: string) {
    this.#log = log;
    this.#actorId = actorId;
  }

  /** Where the actor ended when it was looked at last. */
  get end(): ActorEnd {
    return this.#end ?? { version: 0, sequence: 0 };
  }

  /** All commands are known that have a message behind this stream sequence. */
  get since(): number {
    return this.#since;
  }

  /** Where the outcome of a command is; `undefined` if it is not known to be handled. */
  get(commandId: string): CommandPlace | undefined {
    return this.#found.get(commandId);
  }

  /**
   * Makes sure that all commands behind `after` are known. Gives the stream sequence behind which they are:
   * as long as {@linkcode KnownCommands.since} is no later, they still are.
   */
  async reach(after: number | Date | undefined): Promise<number> {
    if (typeof after === "number" && this.#since <= after) return after;
    if (after === undefined && this.#isDeep) return this.#since;
    const { found, since, end, last } = await this.#log.search(this.#actorId, after);
    if (after === undefined) this.#isDeep = true;
    if (since >= this.#since) return since; // All behind it is known.
    // A place that became known here meanwhile is newer.
    this.#found = new Map([...found, ...this.#found]);
    this.#events = 0;
    for (const { events } of this.#found.values()) this.#events += events;
    this.#since = since;
    if (this.#end === undefined || end.sequence > this.#end.sequence) {
      this.#end = end;
      this.#last = last;
    }
    this.#most = Math.max(this.#most, this.#found.size + KEPT);
    return since;
  }

  /** The message at the end, if a search has just read it. */
  get last(): object | undefined {
    return this.#last;
  }

  /** The same; forgets it, for it may be large. */
  takeLast(): object | undefined {
    const last = this.#last;
    this.#last = undefined;
    return last;
  }

  /** Learns what was stored since; true if that was anything. */
  async refresh(): Promise<boolean> {
    const before = this.end.sequence;
    const { found, end } = await this.#log.search(this.#actorId, before);
    this.#last = undefined;
    this.#trim();
    for (const [id, place] of found) this.#add(id, place);
    this.#end = end;
    this.#since = Math.min(this.#since, before);
    return end.sequence !== before;
  }

  /** Nothing is known any more. */
  forget(): void {
    this.#found.clear();
    this.#events = 0;
    this.#since = Infinity;
    this.#isDeep = false;
    this.#end = undefined;
    this.#last = undefined;
    this.#most = KEPT;
  }

  /** Commands were handled here, the last of them at `end`. */
  add(commands: ReadonlyMap<string, CommandPlace>, end: ActorEnd): void {
    for (const [id, place] of commands) this.#add(id, place);
    this.#end = end;
    this.#last = undefined;
    this.#trim();
  }

  #add(id: string, place: CommandPlace): void {
    const before = this.#found.get(id);
    const messages = [...new Set([...before?.messages ?? [], ...place.messages])];
    const events = Math.max(before?.events ?? 0, place.events);
    this.#events += events - (before?.events ?? 0);
    this.#found.delete(id);
    this.#found.set(id, { ...place, messages, events });
  }

  /** Drops the oldest ones if there are too many: commands at or before them are not known then. */
  #trim(): void {
    for (const [id, { messages, events }] of this.#found) {
      if (this.#found.size <= this.#most) return;
      this.#found.delete(id);
      this.#events -= events;
      // Outcomes without events can be many behind one event: a deep search would find this one.
      if (this.#events < SEARCHED_EVENTS) this.#isDeep = false;
      this.#since = Math.max(this.#since, messages.at(-1)!);
    }
  }
}
