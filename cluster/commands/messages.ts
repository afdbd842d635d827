import { encodeJson, jsonIn } from "../../store/base/json.ts";
import type { CommandFailure } from "../../store/errors.ts";
import { type LogPosition, logPositionIn } from "../../store/fencing/log_position.ts";
import type { SaveReceipt } from "../../store/options.ts";

/** A command on its way to the owner of its actor. */
export interface CommandMessage {
  /** Names the command; stable over its tries. */
  readonly id: string;
  /** Whose command it is. */
  readonly actorId: string;
  /** What is asked; JSON carries it. */
  readonly command: unknown;
  /** The span of its sender, as W3C trace context. */
  readonly trace?: Readonly<Record<string, string>>;
  /**
   * What was stored before the command was sent at all: no event of it can be there or before. The
   * same over its tries; left out where the command may be older than its sender knows.
   */
  readonly landmark?: LogPosition | undefined;
  /** Whether a try before this one may have been handled. */
  readonly isDoubtful?: boolean | undefined;
}

/** What became of a command at a node. */
export type CommandAnswer =
  /** It was handled, now or before. */
  | { readonly kind: "reply"; readonly reply?: unknown }
  /** Its handler has refused it. */
  | { readonly kind: "failed"; readonly error: CommandFailure }
  /** It was handled before, and nobody knows the reply any more. */
  | { readonly kind: "handled"; readonly receipt: SaveReceipt }
  /**
   * It was not brought to an end here: another try, most often elsewhere, may. Where it is
   * doubtful, events of it may be stored.
   */
  | { readonly kind: "retry"; readonly reason: string; readonly isDoubtful?: boolean };

/** An answer as it travels. */
export type AnswerMessage = CommandAnswer & {
  /** What the node that answers has stored lately. */
  readonly landmark?: LogPosition | undefined;
};

/** A command or an answer as it travels. */
export function encodeMessage(message: CommandMessage | AnswerMessage): Uint8Array {
  return encodeJson(message);
}

/** The command in `data`; `undefined` where that is none. */
export function decodeCommand(data: Uint8Array): CommandMessage | undefined {
  const message = jsonIn(data) as Partial<CommandMessage> | null | undefined;
  if (typeof message?.id !== "string" || typeof message.actorId !== "string") return undefined;
  const { id, actorId, command, trace, isDoubtful } = message;
  const landmark = logPositionIn(message.landmark);
  return {
    ...{ id, actorId, command },
    ...(typeof trace === "object" && trace !== null && { trace }),
    ...(landmark !== undefined && { landmark }),
    ...(isDoubtful === true && { isDoubtful }),
  };
}

/** The answer in `data`; `undefined` where that is none. */
export function decodeAnswer(data: Uint8Array): AnswerMessage | undefined {
  const answer = jsonIn(data) as AnswerMessage | null | undefined;
  const kinds = ["reply", "failed", "handled", "retry"];
  if (!answer || !kinds.includes(answer.kind)) return undefined;
  const { landmark, ...rest } = answer;
  return landmark === undefined ? rest : { ...rest, landmark: logPositionIn(landmark) };
}

/** What is told of `error` to other nodes. */
export function failureOf(error: unknown): CommandFailure {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { name, message } = error;
  const { code } = error as { code?: unknown };
  return { name, message, ...(typeof code === "string" && { code }) };
}
