import { reasonOf } from "../../store/base/reason.ts";
import { incarnationKey, type NodeIncarnation } from "../incarnation.ts";
import { Departures } from "./departures.ts";
import {
  type AnswerMessage,
  type CommandMessage,
  decodeAnswer,
  encodeMessage,
  refusedBy,
} from "./messages.ts";
import { unlessAborted } from "../../store/base/abort.ts";
import { jitteredWaits } from "../../store/base/jitter.ts";
import type { Notifier } from "../../store/base/notifier.ts";
import {
  ActorElsewhereError,
  CommandAlreadyHandledError,
  CommandCrashedOwnersError,
  CommandCycleError,
  CommandFailedError,
  CommandOutcomeUnknownError,
  type StoreRefusedError,
  StoreUnavailableError,
} from "../../store/errors.ts";
import type { CommandCause } from "../../store/command/pending_command.ts";
import { later, type LogPosition } from "../../store/fencing/log_position.ts";
import { failed } from "../../store/nats/failure.ts";
import { RequestError } from "../../store/nats/request_error.ts";
import type { RequestMux } from "../../store/nats/requests.ts";

/** A node that commands go to. */
export interface Destination extends NodeIncarnation {
  /** The subject on which it takes commands; `undefined` for this node itself. */
  readonly subject: string | undefined;
}

/** The parts that a router needs. */
export interface RouterParts {
  readonly requests: RequestMux;
  /** The owner of an actor, as far as is known here. */
  readonly ownerOf: (actorId: string) => Destination | undefined;
  /** Whether a node is a member, as far as is known here. */
  readonly isThere: (life: NodeIncarnation) => boolean;
  /** Whether a node that is no longer a member has left in good order. */
  readonly hasLeft: (life: NodeIncarnation) => boolean;
  /** The lasting refusal of the server that keeps shards without an owner. */
  readonly refusal: () => StoreRefusedError | undefined;
  /** Runs a command, as it travels, on this node. */
  readonly runHere: (message: Uint8Array) => Promise<AnswerMessage>;
  /** Aborted when this node takes no part any more: then no answer can come. */
  readonly signal: AbortSignal;
  /** Changes of owners and members. */
  readonly changed: Notifier;
  /** Commands that may be on their way at once. */
  readonly capacity: number;
  /** How long one attempt waits for its answer, in ms; the next attempt joins the one before. */
  readonly requestTimeout: number;
}

/** How one command is sent. */
export interface SendOptions {
  /**
   * How long to try, in ms.
   *
   * @default {30_000}
   */
  readonly timeout?: number;
  /** Ends the wait. @default {undefined} */
  readonly signal?: AbortSignal;
  /**
   * The command's id: give the same one when you send the command again, from any process, and its
   * events are stored once. At most 200 bytes when encoded. If you pass an id without a `cause`, an
   * owner new to the actor has to search its last 1,000 events for it. If you leave it out, the
   * owner knows where to start, and is faster.
   *
   * @default {a UUIDv7}
   */
  readonly commandId?: string;
  /**
   * The event that led to the command, or a time before it was sent first. The owner searches all
   * that the actor has stored since, however much that is, and nothing before. An event of a store
   * with another `identity` is no bound.
   *
   * @default {none}
   */
  readonly cause?: CommandCause | Date;
}

/** A command on its way. */
interface PendingSend {
  readonly maxBytes: number;
  /** When its sender gives up, by the monotonic clock, in ms. */
  readonly due: number;
  /** Ends the command: its time is over, or `signal` is aborted. */
  readonly over: AbortSignal;
  readonly signal: AbortSignal | undefined;
}

/**
 * How many owners may crash or hang while they have one command: one may crash by chance, and a
 * command that brings its owner down must not go from node to node until none is left.
 */
const MAX_CRASHES = 2;
/** The first wait between attempts and the longest, in ms. */
const WAITS = [5, 250] as const;

/**
 * Brings commands to the owners of their actors, over moves and crashes: sends a command until an
 * owner answers, always under the same id, so that it is handled once.
 */
export class Router {
  readonly #parts: RouterParts;
  readonly #departures: Departures;
  #underWay = 0;
  #landmark: LogPosition | undefined;

  /** Begins with nothing to send. */
  constructor(parts: RouterParts) {
    this.#parts = parts;
    this.#departures = new Departures(parts.changed, parts.isThere);
  }

  /** How many commands are on their way. */
  get underWay(): number {
    return this.#underWay;
  }

  /** The latest event that the owners' answers name. */
  get landmark(): LogPosition | undefined {
    return this.#landmark;
  }

  /** See {@linkcode Cluster.send}. */
  async send(
    message: CommandMessage,
    { timeout = 30_000, signal, maxBytes = Infinity }: SendOptions & { maxBytes?: number },
  ): Promise<unknown> {
    signal?.throwIfAborted();
    if (!(timeout >= 1 && timeout < 2 ** 31)) {
      throw new RangeError(
        `Cannot send the command: timeout is ${timeout}, not from 1 to 2^31 - 1`,
      );
    }
    const { length } = bodyOf({ ...message, within: timeout, isDoubtful: true }, maxBytes);
    if (length > maxBytes) {
      throw new RangeError(
        `Cannot send the command: it takes ${length} bytes, and the server takes ${maxBytes}`,
      );
    }
    const { capacity } = this.#parts;
    if (this.#underWay >= capacity) {
      throw new StoreUnavailableError(
        `Cannot send command "${message.id}" to "${message.actorId}": ${capacity} commands are ` +
          "on their way already; it was not sent",
      );
    }
    const due = performance.now() + timeout;
    const ends = new AbortController();
    const timer = setTimeout(() => ends.abort(), timeout);
    const over = signal === undefined ? ends.signal : AbortSignal.any([ends.signal, signal]);
    const leave = () => ends.abort();
    this.#parts.signal.addEventListener("abort", leave);
    this.#underWay++;
    try {
      return await this.#deliver(message, { maxBytes, due, over, signal });
    } finally {
      this.#underWay--;
      clearTimeout(timer);
      this.#parts.signal.removeEventListener("abort", leave);
    }
  }

  async #deliver(
    message: CommandMessage,
    { maxBytes, due, over, signal }: PendingSend,
  ): Promise<unknown> {
    const { id, actorId } = message;
    const nextWait = jitteredWaits(...WAITS);
    /** Whether an attempt that is lost may have run, or may still run. */
    let isDoubtful = false;
    let cause: unknown;
    const asked = new AskedOwners(this.#parts);
    /** Attempts of this node that go on, though nobody waits for them, or that may have run. */
    const here = new Set<Promise<AnswerMessage>>();
    const mayHaveRun = () => isDoubtful || here.size > 0;
    while (!over.aborted) {
      if (this.#parts.requests.closed) {
        cause ??= new Error("the connection is closed");
        break;
      }
      if (asked.crashed.length >= MAX_CRASHES) {
        throw new CommandCrashedOwnersError(id, actorId, asked.crashed, { cause });
      }
      const { count } = this.#parts.changed;
      const owner = this.#parts.ownerOf(actorId);
      let answer: AnswerMessage | undefined;
      if (owner === undefined) {
        cause = this.#parts.refusal() ?? new Error("its shard has no owner at the moment");
      } else {
        try {
          const within = Math.max(0, Math.round(due - performance.now()));
          const doubt = mayHaveRun() && { isDoubtful: true };
          const sent = bodyOf({ ...message, within, ...doubt }, maxBytes);
          answer = await unlessAborted(
            over,
            this.#departures.unlessGone(owner, this.#ask(owner, sent, over, here)),
          );
        } catch (error) {
          // A cause from before the deadline says more than that the time is over.
          if (!over.aborted || cause === undefined) cause = error;
          const isLost = over.aborted || (error instanceof RequestError && error.maybeSent);
          if (isLost) {
            if (owner.subject !== undefined) isDoubtful = true;
            asked.add(owner);
          }
          if (!(error instanceof RequestError)) {
            if (!over.aborted) throw error;
          } else if (error.failure === "denied") {
            cause = failed(`ask node "${owner.nodeId}"`, error);
            break;
          } else if (error.failure === "closed") break;
        }
      }
      if (answer !== undefined) asked.delete(owner!);
      this.#landmark = later(answer?.landmark, this.#landmark);
      if (answer?.kind === "cycle") {
        const chain = (message.calls ?? []).map((call) => call.actorId);
        cause = new CommandCycleError(id, [...chain, actorId]);
        // An attempt before may have been handled where nobody waited for it.
        if (!mayHaveRun()) throw cause;
        break;
      }
      switch (answer?.kind) {
        case "reply":
          return answer.reply;
        case "failed":
          throw new CommandFailedError(id, actorId, owner!.nodeId, answer.error, {
            cause: refusedBy(answer.refusal),
          });
        case "elsewhere":
          throw new ActorElsewhereError(id, answer);
        case "handled":
          throw new CommandAlreadyHandledError(id, answer.receipt);
        case "retry":
          if (answer.isDoubtful === true) isDoubtful = true;
          cause = refusedBy(answer.refusal) ?? new Error(answer.reason);
      }
      if (this.#parts.signal.aborted) break;
      await this.#parts.changed.wait(nextWait(), over, count);
    }
    if (this.#parts.signal.aborted) cause = this.#parts.signal.reason;
    if (signal?.aborted) cause = signal.reason;
    if (mayHaveRun()) throw new CommandOutcomeUnknownError(id, actorId, { cause });
    if (signal?.aborted) throw signal.reason;
    const reason = reasonOf(cause, "nobody has answered");
    throw new StoreUnavailableError(
      `Cannot send command "${id}" to "${actorId}": ${reason}; it was not handled`,
      { cause },
    );
  }

  async #ask(
    { nodeId, subject }: Destination,
    body: Uint8Array,
    over: AbortSignal,
    here: Set<Promise<AnswerMessage>>,
  ): Promise<AnswerMessage> {
    const { requests, requestTimeout } = this.#parts;
    if (subject === undefined) return await this.#askHere(nodeId, body, over, here);
    const { data } = await requests.request(subject, body, requestTimeout);
    const answer = decodeAnswer(data);
    if (answer === undefined) throw new RequestError("timeout", subject, true);
    return answer;
  }

  /**
   * Waits for this node as long as for any other: the shard may move meanwhile, away from a handler that
   * does not end.
   */
  async #askHere(
    nodeId: string,
    body: Uint8Array,
    over: AbortSignal,
    here: Set<Promise<AnswerMessage>>,
  ): Promise<AnswerMessage> {
    const { runHere, requestTimeout } = this.#parts;
    const answer = runHere(body);
    here.add(answer);
    const note = (end: AnswerMessage) => {
      const hasNotRun = end.kind === "cycle" || (end.kind === "retry" && end.isDoubtful !== true);
      if (hasNotRun) here.delete(answer);
    };
    answer.then(note, () => {}); // Its failure is the attempt's.
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => reject(new RequestError("timeout", `node ${nodeId}`, true)),
      requestTimeout,
    );
    const stop = () => clearTimeout(timer);
    over.addEventListener("abort", stop);
    try {
      return await Promise.race([answer, late]);
    } finally {
      stop();
      over.removeEventListener("abort", stop);
    }
  }
}

/** The owners that have a command and have not answered. */
class AskedOwners {
  readonly #parts: Pick<RouterParts, "hasLeft" | "isThere">;
  readonly #open = new Map<string, NodeIncarnation>();
  readonly #crashed: string[] = [];

  constructor(parts: Pick<RouterParts, "hasLeft" | "isThere">) {
    this.#parts = parts;
  }

  /** Takes note of an owner whose answer is missing. */
  add(owner: NodeIncarnation): void {
    this.#open.set(incarnationKey(owner), owner);
  }

  /** Takes note of an answer. */
  delete(owner: NodeIncarnation): void {
    this.#open.delete(incarnationKey(owner));
  }

  /** Those that are gone by now, and have not left in good order. */
  get crashed(): readonly string[] {
    for (const [key, owner] of this.#open) {
      if (this.#parts.isThere(owner)) continue;
      this.#open.delete(key);
      if (!this.#parts.hasLeft(owner)) this.#crashed.push(owner.nodeId);
    }
    return this.#crashed;
  }
}

/**
 * The body of a command. Leaves out what a command can do without if it does not fit: what bounds
 * its owner's search, which in doubt reads all of the actor then; how long its sender waits; and
 * the handlers that wait for it.
 */
function bodyOf(message: CommandMessage, maxBytes: number): Uint8Array {
  const body = encodeMessage(message);
  if (body.length <= maxBytes) return body;
  const { id, actorId, command, trace, since } = message;
  // Without the time since when it may have been sent before, all of the actor has to be read.
  const isDoubtful = message.isDoubtful ?? (since === undefined ? undefined : true);
  return encodeMessage({ id, actorId, command, ...(trace && { trace }), isDoubtful });
}
