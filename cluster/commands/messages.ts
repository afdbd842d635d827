import { isError, messageOf, nameOf, textOf } from "../../store/base/text.ts";
import { type Call, callChainIn } from "./call_chain.ts";
import { encodeJson, isRecord, jsonIn } from "../../store/base/json.ts";
import { type CommandFailure, isAetherError, StoreRefusedError } from "../../store/errors.ts";
import { type LogPosition, logPositionIn } from "../../store/fencing/log_position.ts";
import type { SaveReceipt } from "../../store/options.ts";

/** A command on its way to the owner of its actor. */
export interface CommandMessage {
  /** The command's id; the same on every attempt. */
  readonly id: string;
  /** The actor of the command. */
  readonly actorId: string;
  /** The command, as JSON. */
  readonly command: unknown;
  /** How long the sender still waits, in ms, as of this attempt; for good if absent. */
  readonly within?: number | undefined;
  /** The commands whose handlers wait for this one, outermost first. */
  readonly calls?: readonly Call[] | undefined;
  /** The sender's span, as W3C trace context. */
  readonly trace?: Readonly<Record<string, string>>;
  /**
   * An event that was stored before this sender sent the command first, or the event that led to
   * the command: none of the events that came of it since can be at or before it. The same on every
   * attempt; left out if the sender knows of none.
   */
  readonly landmark?: LogPosition | undefined;
  /** A time before the command was first sent, in Unix ms, instead of a landmark. */
  readonly since?: number | undefined;
  /** Whether an earlier attempt may have been handled. */
  readonly isDoubtful?: boolean | undefined;
  /** Whether its id may be older than the landmark: another process may have sent it before. */
  readonly isGiven?: boolean | undefined;
}

/** A refusal of the server that would come again. */
export interface Refusal {
  readonly message: string;
  readonly advice: string;
  readonly serverCode?: number | undefined;
}

/** The outcome of a command at a node. */
export type CommandAnswer =
  /** It was handled, now or before. */
  | { readonly kind: "reply"; readonly reply?: unknown }
  /** Its handler has refused it. */
  | { readonly kind: "failed"; readonly error: CommandFailure; readonly refusal?: Refusal }
  /** Its handler would have to wait for a command that waits for this one; it did not run. */
  | { readonly kind: "cycle" }
  /** A save of it was refused, as the shard of one of the actors has another owner. */
  | {
    readonly kind: "elsewhere";
    readonly actorId: string;
    readonly shard: number;
    readonly owner: string;
  }
  /** It was handled before, and its reply is no longer known. */
  | { readonly kind: "handled"; readonly receipt: SaveReceipt }
  /**
   * This node did not finish it: another attempt, most often elsewhere, may. If `isDoubtful`,
   * events of it may be stored. `refusal` is what keeps the node from finishing it, if that lasts.
   */
  | {
    readonly kind: "retry";
    readonly reason: string;
    readonly isDoubtful?: boolean;
    readonly refusal?: Refusal;
  };

/** An answer as it travels. */
export type AnswerMessage = CommandAnswer & {
  /** An event that the answering node has stored recently. */
  readonly landmark?: LogPosition | undefined;
};

/** A command or an answer as it travels. */
export function encodeMessage(message: CommandMessage | AnswerMessage): Uint8Array {
  return encodeJson(message);
}

/** The command in `data`; `undefined` if there is none. */
export function decodeCommand(data: Uint8Array): CommandMessage | undefined {
  const message = jsonIn(data) as Partial<CommandMessage> | null | undefined;
  if (typeof message?.id !== "string" || typeof message.actorId !== "string") return undefined;
  const { id, actorId, command, trace, within, since, isDoubtful, isGiven } = message;
  const calls = callChainIn(message.calls);
  const landmark = logPositionIn(message.landmark);
  return {
    ...{ id, actorId, command },
    ...(typeof within === "number" && { within }),
    ...(calls.length > 0 && { calls }),
    ...(typeof trace === "object" && trace !== null && { trace }),
    ...(landmark !== undefined && { landmark }),
    ...(isTime(since) && { since }),
    ...(isDoubtful === true && { isDoubtful }),
    ...(isGiven === true && { isGiven }),
  };
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Math.abs(value) <= 8.64e15;
}

/** The answer in `data`; `undefined` if there is none. */
export function decodeAnswer(data: Uint8Array): AnswerMessage | undefined {
  const answer = jsonIn(data) as AnswerMessage | null | undefined;
  const kinds = ["reply", "failed", "cycle", "elsewhere", "handled", "retry"];
  if (!answer || !kinds.includes(answer.kind)) return undefined;
  const { landmark, ...rest } = answer;
  return landmark === undefined ? rest : { ...rest, landmark: logPositionIn(landmark) };
}

/** The part of a refusal that travels to other nodes; nothing if `error` is none. */
export function refusalOf(error: unknown): { readonly refusal?: Refusal } {
  if (!isAetherError(error, "StoreRefusedError")) return {};
  const { message, advice, serverCode } = error;
  return { refusal: { message, advice, serverCode } };
}

/** The error of a refusal at another node; `undefined` if `refusal` is none. */
export function refusedBy(refusal: unknown): StoreRefusedError | undefined {
  const { message, advice, serverCode } = isRecord(refusal) ? refusal : {};
  if (typeof message !== "string" || typeof advice !== "string") return undefined;
  return new StoreRefusedError(
    message,
    advice,
    typeof serverCode === "number" ? serverCode : undefined,
  );
}

/** The part of `error` that travels to other nodes. */
export function failureOf(error: unknown): CommandFailure {
  if (!isError(error)) return { name: "Error", message: textOf(error) };
  return { name: nameOf(error), message: messageOf(error), ...codeOf(error) };
}

function codeOf(error: Error): { readonly code?: string } {
  try {
    const { code } = error as { code?: unknown };
    return typeof code === "string" ? { code } : {};
  } catch {
    return {}; // A getter that throws.
  }
}
