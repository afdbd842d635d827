import { ShardSignals } from "./command_signal.ts";
import {
  type CommandTurnParts,
  confirmed,
  notHere,
  retryAfter,
  runTurn,
  type TurnActor,
  type TurnHooks,
  type TurnResult,
} from "./command_turn.ts";
import { KnownCommands } from "./known_commands.ts";
import { type CommandAnswer, type CommandMessage, failureOf } from "./messages.ts";
import { RecentAnswers } from "./recent_answers.ts";
import { unlessAborted } from "../../store/base/abort.ts";
import { KeyedQueue } from "../../store/base/keyed_queue.ts";
import type { CommandLog } from "../../store/command_log.ts";
import { isAetherError } from "../../store/errors.ts";
import { later, type LogPosition } from "../../store/fencing/log_position.ts";

/** The parts that the actors of a node need. */
export interface ActorsParts extends CommandTurnParts {
  /** Finds the commands that stored events are the outcome of. */
  readonly log: CommandLog;
  /** The shard of an actor. */
  readonly shardOf: (actorId: string) => number;
  /** Whether this node serves the shard. */
  readonly serves: (shard: number) => boolean;
  /** How long an actor without commands stays active, in ms. */
  readonly idle: number;
  /** How many actors are active at most; the longest idle go first. */
  readonly capacity: number;
}

/** An actor while it is active. */
interface Active extends TurnActor {
  /** Commands that wait or run: each attempt of a command joins its first, however many wait. */
  readonly pending: Map<string, Promise<CommandAnswer>>;
  /** The key of its turns: a new one each time that the actor becomes active. */
  readonly turnKey: string;
  usedAt: number;
}

/**
 * The actors that a node serves: one command of an actor at a time, in the order they came, and
 * each command once. An actor becomes active with its first command: then it reads the ids of the
 * commands that this one may be among from the actor's events. Idle actors are dropped.
 */
export class Actors {
  readonly #parts: ActorsParts;
  readonly #active = new Map<string, Active>();
  /** The same by shard: shards and actors may be many. */
  readonly #byShard = new Map<number, Set<Active>>();
  readonly #answers = new RecentAnswers();
  readonly #turns = new KeyedQueue();
  #lastTurnKey = 0;
  #landmark: LogPosition | undefined;
  readonly #going = new ShardSignals();
  readonly #hooks: TurnHooks = {
    saved: (actorId, commandId, receipt) =>
      this.#active.get(actorId)?.commands.add(commandId, receipt),
    forget: (actorId) => this.#active.get(actorId)?.commands.forget(),
    stored: (landmark) => this.#landmark = later(landmark, this.#landmark),
  };
  readonly #timer: ReturnType<typeof setInterval>;

  /** Begins with no active actor. */
  constructor(parts: ActorsParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#passivate(), Math.max(10, parts.idle / 2));
  }

  /** Active actors, and how many commands they have under way. */
  get load(): { readonly actors: number; readonly commands: number } {
    let commands = 0;
    for (const { pending } of this.#active.values()) commands += pending.size;
    return { actors: this.#active.size, commands };
  }

  /** The last event that a command of these actors has saved. */
  get landmark(): LogPosition | undefined {
    return this.#landmark;
  }

  /**
   * Handles a command, in turn. A command that is under way or was answered does not run again; one
   * whose turn comes after `due` (by the monotonic clock, in ms) does not run, as its sender has
   * given up.
   */
  run(message: CommandMessage, due = Infinity): Promise<CommandAnswer> {
    const { actorId, id } = message;
    const shard = this.#parts.shardOf(actorId);
    if (!this.#parts.serves(shard)) return Promise.resolve(notHere(shard));
    const actor = this.#activate(actorId, shard);
    const waits = message.calls?.some((call) =>
      call.actorId === actorId && actor.pending.has(call.id)
    );
    if (waits === true) {
      // At a former owner a handler may go on that its caller no longer waits for.
      return this.#confirmed(actor, { answer: { kind: "cycle" }, isProved: false });
    }
    const pending = actor.pending.get(id);
    if (pending !== undefined) return pending;
    const known = this.#answers.get(actor.turnKey, id);
    if (known !== undefined) return this.#confirmed(actor, known);
    const answer = this.#turns.run([actor.turnKey], () => this.#turn(actor, message, due))
      .catch((error) => {
        this.#parts.saved(shard, { error });
        return unread(error);
      })
      .finally(() => {
        actor.pending.delete(id);
        actor.usedAt = performance.now();
      });
    actor.pending.set(id, answer);
    return answer;
  }

  /** Drops the actors of a shard, whose events others may write from now on. */
  forget(shard: number): void {
    this.#going.abort(shard);
    for (const actor of this.#byShard.get(shard) ?? []) this.#drop(actor);
  }

  /**
   * Tells the handlers of the shard to end; resolves when no command of it is under way.
   * `undefined` if none is.
   */
  drained(shard: number): Promise<void> | undefined {
    this.#going.abort(shard);
    const actors = [...this.#byShard.get(shard) ?? []].filter(({ pending }) => pending.size > 0);
    const keys = actors.map(({ turnKey }) => turnKey);
    return keys.length > 0 ? this.#turns.run(keys, () => Promise.resolve()) : undefined;
  }

  /**
   * Resolves when no command is under way or `over` is aborted, and drops everything: a late
   * command can save nothing more.
   */
  async close(over?: AbortSignal): Promise<void> {
    clearInterval(this.#timer);
    this.#going.abortAll();
    await unlessAborted(over, this.#turns.idle()).catch(() => {});
    this.#active.clear();
    this.#byShard.clear();
    this.#answers.clear();
  }

  async #turn(actor: Active, message: CommandMessage, due: number): Promise<CommandAnswer> {
    const result = await runTurn(this.#parts, this.#hooks, actor, message, due);
    const answer = await this.#confirmed(actor, result);
    // An outcome that another attempt may reach has to be tried there, or when the map is another.
    if (answer.kind !== "retry" && answer.kind !== "elsewhere") {
      this.#answers.add(actor.turnKey, message.id, result);
    }
    return answer;
  }

  /** Confirms an answer, also one that was given before, unless stored events prove it. */
  async #confirmed(actor: Active, { answer, isProved }: TurnResult): Promise<CommandAnswer> {
    return isProved ? answer : await confirmed(this.#parts, actor, answer);
  }

  #activate(actorId: string, shard: number): Active {
    let actor = this.#active.get(actorId);
    if (actor === undefined) {
      this.#makeRoom();
      const pending = new Map();
      const turnKey = String(++this.#lastTurnKey);
      const commands = new KnownCommands(this.#parts.log, actorId);
      const isActive = () => this.#active.get(actorId)?.turnKey === turnKey;
      const isPresent = () => this.#parts.serves(shard) && isActive();
      actor = {
        ...{ actorId, shard, pending, turnKey, commands, isActive, isPresent },
        going: () => this.#going.of(shard, isPresent()),
        usedAt: 0,
      };
      const others = this.#byShard.get(shard);
      if (others === undefined) this.#byShard.set(shard, new Set([actor]));
      else others.add(actor);
    } else {
      this.#active.delete(actorId);
    }
    this.#active.set(actorId, actor);
    actor.usedAt = performance.now();
    return actor;
  }

  /** Drops the actors that are too many beside a new one: the longest idle first. */
  #makeRoom(): void {
    let looked = 0;
    for (const actor of this.#active.values()) {
      if (this.#active.size < this.#parts.capacity || ++looked > MOST_LOOKED_AT) return;
      if (actor.pending.size === 0) this.#drop(actor);
    }
  }

  #drop(actor: Active): void {
    const { actorId, shard } = actor;
    this.#active.delete(actorId);
    const others = this.#byShard.get(shard);
    others?.delete(actor);
    if (others?.size === 0) this.#byShard.delete(shard);
  }

  /** Drops idle actors: those that were idle for long, and as many as are too many. */
  #passivate(): void {
    const { idle, capacity } = this.#parts;
    const since = performance.now() - idle;
    for (const actor of this.#active.values()) {
      if (actor.pending.size > 0) continue;
      if (actor.usedAt > since && this.#active.size <= capacity) return;
      this.#drop(actor);
    }
  }
}

/** How many actors are looked at to make room for one: the rest is for later. */
const MOST_LOOKED_AT = 32;
/**
 * The answer if the actor's commands could not be read: another attempt helps only if that is
 * transient.
 */
function unread(error: unknown): CommandAnswer {
  const isLasting = isAetherError(error, "CorruptEventError") ||
    isAetherError(error, "StreamRegressedError");
  return isLasting ? { kind: "failed", error: failureOf(error) } : retryAfter(error);
}
