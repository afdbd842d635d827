import { encodeToken, tokenProblem } from "../base/token.ts";
import { CorruptEventError } from "../errors.ts";
import { positionOf } from "../format/position.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { ReaderParts } from "./pages.ts";
import { StoredRun } from "./stored_run.ts";

/**
 * The events of a message, and whose they are.
 *
 * @throws {CorruptEventError} This library writes no such message.
 */
function openRun(
  { headReader }: Pick<ReaderParts, "headReader">,
  message: StoredMessage,
): { readonly run: StoredRun; readonly actorId: string } {
  const { sequence, subject } = message;
  const actorId = headReader.actorOf(subject);
  if (actorId === undefined) {
    const reason = `its subject "${subject}" is not one that this library writes`;
    throw new CorruptEventError(positionOf(sequence), reason);
  }
  return { run: new StoredRun(message, actorId), actorId };
}

/**
 * The same for a reader that begins at position `from`: `undefined` if it has passed over the
 * message on purpose, which is unreadable as a whole.
 */
export function openRunFrom(
  parts: Pick<ReaderParts, "headReader">,
  message: StoredMessage,
  from: number,
): { readonly run: StoredRun; readonly actorId: string } | undefined {
  if (positionOf(message.sequence) >= from) {
    const opened = openRun(parts, message);
    // A lone event is checked when it is read. Without events it is a receipt, or no message of ours.
    if (opened.run.count !== 1) opened.run.checkWhole();
    return opened;
  }
  try {
    const opened = openRun(parts, message);
    opened.run.checkWhole();
    return opened;
  } catch {
    return undefined;
  }
}

/**
 * Whether an event is of one of these types. The message's headers say so, so that an event of
 * another type may be anything: saved by newer code, or one that an upcaster does not know.
 */
export function typeFilter(
  eventTypes: readonly string[] | undefined,
): (run: StoredRun, index: number) => boolean {
  if (eventTypes === undefined) return () => true;
  const possible = eventTypes.filter((type) => tokenProblem(type) === undefined);
  const tokens = new Set(possible.map(encodeToken));
  return (run, index) => tokens.has(run.typeTokenAt(index));
}
