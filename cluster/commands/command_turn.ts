import { withCalls } from "./call_chain.ts";
import { CommandSignal } from "./command_signal.ts";
import { CommandStore } from "./command_store.ts";
import type { CommandHandler, ReplyToDuplicate } from "./handler.ts";
import type { KnownCommands } from "./known_commands.ts";
import { type CommandAnswer, type CommandMessage, failureOf, refusalOf } from "./messages.ts";
import { decodeJson, encodeJson } from "../../store/base/json.ts";
import { jsonProblem } from "../../store/base/json_fidelity.ts";
import { messageOf } from "../../store/base/text.ts";
import { FencedError, isAetherError } from "../../store/errors.ts";
import type { LogPosition } from "../../store/fencing/log_position.ts";
import { backoff } from "../../store/nats/backoff.ts";
import { isForbidden } from "../../store/nats/failure.ts";
import type { RequestMux } from "../../store/nats/requests.ts";
import type { SaveReceipt } from "../../store/options.ts";
import type { EventStore } from "../../store/store.ts";

/** The parts that commands need. */
export interface CommandTurnParts {
  readonly requests: RequestMux;
  /** This node. */
  readonly nodeId: string;
  /** The handler; `undefined` until there is one. */
  readonly handler: () => CommandHandler | undefined;
  readonly onDuplicate: () => ReplyToDuplicate | undefined;
  /** The fenced store that marks its saves with the command's id. */
  readonly storeFor: (commandId: string) => EventStore;
  /** The node that the map gives the shard to, if it is another one and a member. */
  readonly otherOwner: (shard: number) => string | undefined;
  /** Proves, before an answer that saved nothing, that the shard still belongs to this node. */
  readonly confirm: (shard: number) => Promise<void>;
  /**
   * Told of each save of a command of the shard, and of the error if it failed, or if the actor's
   * commands could not be read.
   */
  readonly saved: (shard: number, failure?: { readonly error: unknown }) => void;
  /** Makes sure that nothing more is stored of what was sent for the shard until now. */
  readonly renew: (shard: number) => Promise<void>;
}

/** The actor of a command, as its turn sees it. */
export interface TurnActor {
  readonly actorId: string;
  readonly shard: number;
  /** Finds the commands that were handled before. */
  readonly commands: KnownCommands;
  /** Whether the shard has been served without a break since the actor became active. */
  readonly isPresent: () => boolean;
  /** Whether it is active still: not even for a moment has the shard been another node's. */
  readonly isActive: () => boolean;
  /** Aborted when the shard goes. */
  readonly going: () => AbortSignal;
}

/** The news that a turn passes on to other actors. */
export interface TurnHooks {
  /** Events of an actor that is not the command's are stored too. */
  readonly saved: (actorId: string, commandId: string, receipt: SaveReceipt) => void;
  /** Events of an actor may be stored, and nobody knows which. */
  readonly forget: (actorId: string) => void;
  /** The last event that a command has saved. */
  readonly stored: (landmark: LogPosition | undefined) => void;
}

/** The answer to a command, and what it rests on. */
export interface TurnResult {
  readonly answer: CommandAnswer;
  /** Whether stored events prove it. Any other answer rests on reads, and has to be confirmed. */
  readonly isProved: boolean;
}

/**
 * Runs one command of an actor, in its turn; answers it from its events if it was handled before. It
 * does not run after `due` (by the monotonic clock, in ms), as its sender has given up.
 */
export async function runTurn(
  parts: CommandTurnParts,
  hooks: TurnHooks,
  actor: TurnActor,
  message: CommandMessage,
  due: number,
): Promise<TurnResult> {
  const { shard, actorId, commands, isPresent } = actor;
  const { id, command } = message;
  const handler = parts.handler();
  if (handler === undefined) return unproved(retryFor("the node has no handler yet"));
  if (!isPresent()) return unproved(notHere(shard));
  if (performance.now() >= due) {
    return unproved(late());
  }
  if (await commands.has(message)) {
    const repeated = await repeat(parts, actor, message);
    if (repeated !== undefined) return repeated;
  }
  const store = new CommandStore(parts.storeFor(id), {
    check: () => checkPresent(parts, actor),
    failed: (error) => parts.saved(shard, { error }),
    saved: (savedId, receipt) => {
      parts.saved(shard);
      if (savedId === actorId) commands.add(id, receipt);
      else hooks.saved(savedId, id, receipt);
    },
  });
  const ends = new CommandSignal(due, actor.going);
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
  hooks.stored(store.landmark);
  const isDoubtful = store.saved.size > 0 || store.unknownSaves.length > 0;
  // A handler may have a time limit of its own, or hide the failure.
  const isOpen = store.unknownSaves.length > 0 &&
    !(result.status === "fulfilled" && store.saved.has(actorId));
  const answer = isOpen && (result.status === "fulfilled" || isPresent())
    ? await settle(parts, actor, store)
    : answerTo(parts, actor, result, ends);
  // Also if the handler has hidden it: the events may be there, so the actors are read again.
  for (const unknownId of store.unknownActors) {
    if (unknownId === actorId) commands.forget();
    else hooks.forget(unknownId);
  }
  return {
    answer: answer.kind === "retry" && isDoubtful ? { ...answer, isDoubtful } : answer,
    isProved: store.hasStored,
  };
}

/**
 * Checks, before an answer that no stored event proves, that the shard is still this node's: its
 * reads, and what its handler keeps in memory, may be outdated.
 */
export async function confirmed(
  { confirm }: Pick<CommandTurnParts, "confirm">,
  { shard, isActive }: Pick<TurnActor, "shard" | "isActive">,
  answer: CommandAnswer,
): Promise<CommandAnswer> {
  if (answer.kind === "retry") return answer;
  try {
    await confirm(shard);
  } catch (error) {
    return retryAfter(error);
  }
  // Other nodes may have had the shard since.
  return isActive() ? answer : notHere(shard);
}

/** The answer of a node that does not serve the shard. */
export function notHere(shard: number): CommandAnswer {
  return retryFor(`the node does not serve shard ${shard}`);
}

/** The answer to a command that its sender has given up before its end. */
function late(): CommandAnswer {
  return retryFor("its time was over before it was handled");
}

/** The answer by the outcome of the handler. */
function answerTo(
  { otherOwner }: CommandTurnParts,
  { actorId, shard, isPresent }: TurnActor,
  result: PromiseSettledResult<unknown>,
  ends: CommandSignal,
): CommandAnswer {
  if (result.status === "fulfilled") return replyOf(result.value);
  const error: unknown = result.reason;
  if (!isPresent()) return notHere(shard);
  // It has decided nothing: whoever still waits, or sends the command again, may have an answer.
  if (ends.isReason(error)) return late();
  if (isAetherError(error, "FencedError")) {
    if (error.shard === shard) return notHere(shard);
    // As long as the map is the same, no attempt ends otherwise: the sender has to know.
    const owner = otherOwner(error.shard);
    const { actorId: other = actorId } = error;
    return owner !== undefined
      ? { kind: "elsewhere", actorId: other, shard: error.shard, owner }
      : retryFor(error.message);
  }
  if (isElsewhere(error)) return retryAfter(error);
  return { kind: "failed", error: failureOf(error), ...refusalOf(error) };
}

/**
 * The answer to a command that was handled before, from its events; `undefined` if only a
 * receipt of its outcome is stored: its handler finds that itself.
 */
async function repeat(
  { onDuplicate }: CommandTurnParts,
  { commands }: TurnActor,
  { id, actorId }: CommandMessage,
): Promise<TurnResult | undefined> {
  const outcome = await commands.outcome(id);
  if (outcome === undefined) {
    const reason = "it was handled, and its events cannot be found";
    return proved({ kind: "retry", reason, isDoubtful: true });
  }
  if (outcome.events.length === 0) return undefined;
  const { events, sequence } = outcome;
  const makeReply = onDuplicate();
  if (makeReply === undefined) {
    return proved({ kind: "handled", receipt: { sequence, duplicate: true } });
  }
  try {
    return proved(replyOf(await makeReply(events, { actorId, commandId: id })));
  } catch (error) {
    if (!isElsewhere(error)) return proved({ kind: "failed", error: failureOf(error) });
    const reason = messageOf(error);
    return proved({ kind: "retry", reason, isDoubtful: true, ...refusalOf(error) });
  }
}

/**
 * The shard may have left and come back while a handler ran; another node may have handled its
 * command in the meantime, and the handler must not save under the present claim.
 */
function checkPresent(
  { nodeId }: CommandTurnParts,
  { actorId, shard, isPresent }: TurnActor,
): void {
  if (isPresent()) return;
  throw new FencedError(
    `save events in a command of "${actorId}"`,
    { shard, nodeId, actorId },
    `shard ${shard} has left node "${nodeId}" since the command began`,
  );
}

/**
 * How often to ask for a save's outcome, which takes about half a second, before its shard is
 * renewed.
 */
const OPEN = 8;
/** How often to renew the shard for a save that no fence refuses, over about four seconds. */
const RENEWALS = 2;

/**
 * Holds the actor's turn until the outcome of a save is known: until then, the same command run
 * again might save its events a second time. If even renewing the shard leaves the outcome open,
 * nothing else can settle it: then the turn is given up.
 */
async function settle(
  { requests, renew }: CommandTurnParts,
  { shard, isPresent }: TurnActor,
  { unknownSaves }: CommandStore,
): Promise<CommandAnswer> {
  const retry = backoff(Infinity);
  for (const save of unknownSaves) {
    let [attempts, renewals] = [0, 0];
    while (isPresent() && await save.settle().catch(() => "unknown") === "unknown") {
      if (!await retry(requests)) break;
      // After a break of the connection the outcome remains unknown, unless the fence refuses the
      // save.
      if (++attempts % OPEN !== 0) continue;
      if (renewals === RENEWALS) break;
      await renew(shard).then(() => renewals++, () => {});
    }
  }
  return retryFor("its outcome was unknown for a while");
}

/**
 * The answer with a reply, as JSON makes it at once: the object is the handler's, which may change it
 * for the next command.
 */
function replyOf(reply: unknown): CommandAnswer {
  if (reply === undefined) return { kind: "reply" };
  let problem: string | undefined;
  try {
    problem = jsonProblem(reply, "reply");
    if (problem === undefined) return { kind: "reply", reply: decodeJson(encodeJson(reply)) };
  } catch (error) {
    problem = messageOf(error); // A getter that throws.
  }
  const error = new TypeError(`it was handled, and its reply cannot be sent: ${problem}`);
  return { kind: "failed", error: failureOf(error) };
}

/**
 * Whether it is an error of a store out of reach, not of the actor's rules; or another node may do what
 * the server does not let this one do.
 */
function isElsewhere(error: unknown): boolean {
  return isAetherError(error, "StoreUnavailableError") || isForbidden(error);
}

function retryFor(reason: string): CommandAnswer {
  return { kind: "retry", reason };
}

/** The answer if something failed here that may succeed in another attempt, most often elsewhere. */
export function retryAfter(error: unknown): CommandAnswer {
  return { ...retryFor(messageOf(error)), ...refusalOf(error) };
}

function proved(answer: CommandAnswer): TurnResult {
  return { answer, isProved: true };
}

function unproved(answer: CommandAnswer): TurnResult {
  return { answer, isProved: false };
}
