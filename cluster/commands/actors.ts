import { textOf } from "../../store/base/text.ts";
import { withCalls } from "./call_chain.ts";
import { CommandSignal, ShardSignals } from "./command_signal.ts";
import { CommandStore } from "./command_store.ts";
import { KnownCommands, type KnownCommandsParts } from "./known_commands.ts";
import { type CommandAnswer, type CommandMessage, failureOf } from "./messages.ts";
import { unlessAborted } from "../../store/base/abort.ts";
import { KeyedQueue } from "../../store/base/keyed_queue.ts";
import { FencedError, isAetherError } from "../../store/errors.ts";
import type { Event } from "../../store/event.ts";
import { later, type LogPosition } from "../../store/fencing/log_position.ts";
import { backoff } from "../../store/nats/backoff.ts";
import type { RequestMux } from "../../store/nats/requests.ts";
import type { SaveReceipt } from "../../store/options.ts";
import type { EventStore } from "../../store/store.ts";

/** What a handler gets beside the command. */
export interface CommandContext {
  /** The actor of the command. */
  readonly actorId: string;
  /** The command's id; the same when the command comes again. */
  readonly commandId: string;
  /**
   * The event store, fenced to the shards that this node owns; events that are saved through it
   * carry the command's id. It takes no saves after the handler's end.
   */
  readonly store: EventStore;
  /**
   * Aborted when what the handler does is no longer of use: the sender's time is over, or the shard
   * is about to go to another node, which handles the command then.
   */
  readonly signal: AbortSignal;
}

/** Handles the commands of the actors that this node owns, and returns the reply. */
export type CommandHandler = (command: unknown, context: CommandContext) => unknown;

/** Makes the reply of a command that was handled before, from the events that it led to. */
export type ReplyToDuplicate = (
  events: readonly Event[],
  context: { readonly actorId: string; readonly commandId: string },
) => unknown;

/** What the actors of a node work with. */
export interface ActorsParts extends KnownCommandsParts {
  readonly requests: RequestMux;
  /** This node. */
  readonly nodeId: string;
  /** The handler; `undefined` until there is one. */
  readonly handler: () => CommandHandler | undefined;
  readonly onDuplicate: () => ReplyToDuplicate | undefined;
  /** The fenced store that marks its saves with the command's id. */
  readonly storeFor: (commandId: string) => EventStore;
  /** A command's events after a sequence; none if they are too long ago. */
  readonly eventsOf: (actorId: string, commandId: string, after: number) => Promise<Event[]>;
  /** The shard of an actor. */
  readonly shardOf: (actorId: string) => number;
  /** Whether this node serves the shard. */
  readonly serves: (shard: number) => boolean;
  /** The node that the map gives the shard to, if it is another one and a member. */
  readonly otherOwner: (shard: number) => string | undefined;
  /** Proves, before a reply that saved nothing, that the shard still belongs to this node. */
  readonly confirm: (shard: number) => Promise<void>;
  /** Makes sure that nothing more is stored of what was sent for the shard until now. */
  readonly renew: (shard: number) => Promise<void>;
  /** How long an actor without commands stays active, in ms. */
  readonly idle: number;
  /** How many actors are active at most; the longest idle go first. */
  readonly capacity: number;
}

/** How many answers an active actor remembers, for commands that come again soon. */
const KEPT_ANSWERS = 128;

/** An actor while it is active. */
interface Active {
  readonly actorId: string;
  readonly shard: number;
  /** Commands that wait or run: each attempt of a command joins its first, however many wait. */
  readonly pending: Map<string, Promise<CommandAnswer>>;
  /** Recent answers, by command. */
  readonly answers: Map<string, CommandAnswer>;
  /** The key of its turns: a new one each time that the actor becomes active. */
  readonly turnKey: string;
  /** Finds the events of handled commands. */
  readonly commands: KnownCommands;
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
  readonly #turns = new KeyedQueue();
  #lastTurnKey = 0;
  #landmark: LogPosition | undefined;
  readonly #going = new ShardSignals();
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
    if (waits === true) return Promise.resolve({ kind: "cycle" });
    const known = actor.pending.get(id) ?? actor.answers.get(id);
    if (known !== undefined) return Promise.resolve(known);
    const answer = this.#turns.run([actor.turnKey], () => this.#turn(actor, message, due))
      .then((answer) => {
        // An outcome that another attempt may reach has to be tried there.
        if (answer.kind !== "retry") {
          actor.answers.set(id, answer);
          trim(actor.answers, KEPT_ANSWERS);
        }
        return answer;
      }, unread)
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
  }

  async #turn(actor: Active, message: CommandMessage, due: number): Promise<CommandAnswer> {
    const { shard, actorId } = actor;
    const { storeFor } = this.#parts;
    const { id, command } = message;
    const handler = this.#parts.handler();
    if (handler === undefined) return { kind: "retry", reason: "the node has no handler yet" };
    if (!this.#isPresent(actor)) return notHere(shard);
    if (performance.now() >= due) {
      return { kind: "retry", reason: "its time was over when its turn came" };
    }
    const receipt = await actor.commands.find(message);
    if (receipt !== undefined) return await this.#repeat(actor, message, receipt);
    const store = new CommandStore(storeFor(id), () => this.#checkPresent(actor));
    const ends = new CommandSignal(due, () => this.#going.of(shard));
    const context = {
      ...{ actorId, commandId: id, store },
      get signal() {
        return ends.signal;
      },
    };
    const calls = [...message.calls ?? [], { actorId, id }];
    const [result] = await Promise.allSettled([
      withCalls(calls, async () => await handler(command, context)),
    ]);
    ends.end();
    await store.end();
    this.#landmark = later(store.landmark, this.#landmark);
    const own = store.saved.get(actorId);
    if (own !== undefined) actor.commands.add(id, own.receipt);
    const answer = await this.#answer(actor, store, result);
    const isDoubtful = store.saved.size > 0 || store.unknownSaves.length > 0;
    return answer.kind === "retry" && isDoubtful ? { ...answer, isDoubtful } : answer;
  }

  /** The answer by the outcome of the handler and of its saves. */
  async #answer(
    actor: Active,
    store: CommandStore,
    result: PromiseSettledResult<unknown>,
  ): Promise<CommandAnswer> {
    const { actorId, shard } = actor;
    const isFulfilled = result.status === "fulfilled";
    if (!isFulfilled && !this.#isPresent(actor)) return notHere(shard);
    // A handler may have a time limit of its own, or hide the failure.
    if (store.unknownSaves.length > 0 && !(isFulfilled && store.saved.has(actorId))) {
      return await this.#settle(actor, store);
    }
    try {
      if (!isFulfilled) throw result.reason;
      if (store.saved.size === 0) {
        await this.#parts.confirm(shard);
        // Its reads may be outdated: other nodes may have had the shard since.
        if (this.#active.get(actorId) !== actor) return notHere(shard);
      }
      return { kind: "reply", ...(result.value !== undefined && { reply: result.value }) };
    } catch (error) {
      if (isAetherError(error, "FencedError")) {
        if (error.shard === shard) return notHere(shard);
        // As long as the map is the same, no attempt ends otherwise: the sender has to know.
        const owner = this.#parts.otherOwner(error.shard);
        const { actorId: other = actorId } = error;
        return owner !== undefined
          ? { kind: "elsewhere", actorId: other, shard: error.shard, owner }
          : { kind: "retry", reason: error.message };
      }
      // An error of a store out of reach, not of the actor's rules.
      if (isAetherError(error, "StoreUnavailableError")) {
        return { kind: "retry", reason: error.message };
      }
      return { kind: "failed", error: failureOf(error) };
    }
  }

  /** Whether the shard has been served without a break since the actor became active. */
  #isPresent(actor: Active): boolean {
    return this.#parts.serves(actor.shard) && this.#active.get(actor.actorId) === actor;
  }

  /**
   * The shard may have left and come back while a handler ran; another node may have handled its
   * command in the meantime, and the handler must not save under the present claim.
   */
  #checkPresent(actor: Active): void {
    if (this.#isPresent(actor)) return;
    const { actorId, shard } = actor;
    const { nodeId } = this.#parts;
    throw new FencedError(
      `save events in a command of "${actorId}"`,
      { shard, nodeId, actorId },
      `shard ${shard} has left node "${nodeId}" since the command began`,
    );
  }

  /** The answer to a command that was handled before; reads its events. */
  async #repeat(
    { commands }: Active,
    { id, actorId }: CommandMessage,
    receipt: SaveReceipt,
  ): Promise<CommandAnswer> {
    const makeReply = this.#parts.onDuplicate();
    if (makeReply === undefined) return { kind: "handled", receipt };
    const events = await this.#parts.eventsOf(actorId, id, commands.since);
    if (events.length === 0) return { kind: "handled", receipt };
    try {
      const reply = await makeReply(events, { actorId, commandId: id });
      return { kind: "reply", ...(reply !== undefined && { reply }) };
    } catch (error) {
      return { kind: "failed", error: failureOf(error) };
    }
  }

  /**
   * Holds the actor's turn until the outcome of a save is known: until then, the same command run
   * again might save its events a second time. If even renewing the shard leaves the outcome open,
   * nothing else can settle it: then the turn is given up.
   */
  async #settle(actor: Active, { unknownSaves }: CommandStore): Promise<CommandAnswer> {
    const { requests, renew } = this.#parts;
    const retry = backoff(Infinity);
    for (const save of unknownSaves) {
      let [attempts, renewals] = [0, 0];
      while (this.#isPresent(actor) && await save.settle().catch(() => "unknown") === "unknown") {
        if (!await retry(requests)) break;
        // After a break of the connection the outcome remains unknown, unless the fence refuses the
        // save.
        if (++attempts % OPEN !== 0) continue;
        if (renewals === RENEWALS) break;
        await renew(actor.shard).then(() => renewals++, () => {});
      }
    }
    actor.commands.forget(); // Read again: the events may be there.
    return { kind: "retry", reason: "its outcome was unknown for a while" };
  }

  #activate(actorId: string, shard: number): Active {
    let actor = this.#active.get(actorId);
    if (actor === undefined) {
      this.#makeRoom();
      const [pending, answers] = [new Map(), new Map()];
      const turnKey = String(++this.#lastTurnKey);
      const commands = new KnownCommands(this.#parts);
      actor = { actorId, shard, pending, answers, turnKey, commands, usedAt: 0 };
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
 * How often to ask for a save's outcome, which takes about half a second, before its shard is
 * renewed.
 */
const OPEN = 8;
/** How often to renew the shard for a save that no fence refuses, over about four seconds. */
const RENEWALS = 2;

/**
 * The answer if the actor's commands could not be read: another attempt helps only if that is
 * transient.
 */
function unread(error: unknown): CommandAnswer {
  const isLasting = isAetherError(error, "CorruptEventError") ||
    isAetherError(error, "StreamRegressedError");
  return isLasting
    ? { kind: "failed", error: failureOf(error) }
    : { kind: "retry", reason: textOf(error) };
}

function notHere(shard: number): CommandAnswer {
  return { kind: "retry", reason: `the node does not serve shard ${shard}` };
}

/** Drops the oldest entries if there are too many. */
function trim(map: Map<string, unknown>, capacity: number): void {
  if (map.size > capacity) map.delete(map.keys().next().value!);
}
