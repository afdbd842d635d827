import { lastIds } from "../check/repeats.ts";
import { CorruptEventError, type UnreadableEvent } from "../errors.ts";
import { COMMAND, ID, OP, PREVIOUS, VERSION } from "../format/headers.ts";
import { asStreamSequence, positionOf } from "../format/position.ts";
import { numberIn, type StoredMessage } from "../nats/stored_message.ts";
import type { Head } from "./heads.ts";

/** The error of a message that follows a version that is not older. */
export function notGrowing(
  message: StoredMessage,
  actorId: string,
  before: number,
): CorruptEventError {
  return new CorruptEventError(
    positionOf(message.sequence),
    `version ${versionIn(message)} of "${actorId}" follows version ${before}`,
  );
}

/** Says in an error which actor it is about, if that is known. */
export function aboutActor(
  actorId: string | undefined,
): { readonly event?: { readonly actorId: string } } {
  return actorId === undefined ? {} : { event: { actorId } };
}

/** The version of the actor's event before the one in `message`. */
export function previousOf(message: StoredMessage, actorId?: string): number {
  const previous = numberIn(message, PREVIOUS);
  if (previous === undefined) {
    const reason = `it has no ${PREVIOUS} header`;
    throw new CorruptEventError(positionOf(message.sequence), reason, aboutActor(actorId));
  }
  return previous;
}

/** The error of a message that follows version `previous`, and says that it follows another. */
export function missingBefore(
  message: StoredMessage,
  actorId: string,
  previous: number,
): CorruptEventError {
  return brokenChain(message, actorId, previous, ": events between them are lost");
}

/** The same where nothing is lost: something else wrote the message, and it can be set aside. */
export function notFollowing(
  message: StoredMessage,
  actorId: string,
  previous: number,
  event: UnreadableEvent,
): CorruptEventError {
  const rest = ", and nothing between them is lost: something else wrote it";
  return brokenChain(message, actorId, previous, rest, { event });
}

function brokenChain(
  message: StoredMessage,
  actorId: string,
  previous: number,
  rest: string,
  about: { readonly event?: UnreadableEvent } = {},
): CorruptEventError {
  return new CorruptEventError(
    positionOf(message.sequence),
    `version ${versionIn(message)} of "${actorId}" follows on version ${previousOf(message)}, ` +
      `but version ${previous} is stored before it${rest}`,
    about,
  );
}

/** The head of an actor without messages. */
export const NO_HEAD: Head = { version: 0, sequence: asStreamSequence(0) };

/** The head that an actor's last message gives. */
export function headIn(message: StoredMessage | undefined): Head {
  if (message === undefined) return NO_HEAD;
  return { version: versionIn(message), sequence: message.sequence, ids: idsIn(message) };
}

/** The ids of the last events of `message`; `undefined` if it holds none. */
export function idsIn(message: StoredMessage): string | undefined {
  const ids = lastIds(message.header(ID).split(" "));
  // Copied, because a part of a text keeps the whole text in memory.
  return ids === "" ? undefined : [...ids].join("");
}

/**
 * The version of the last event in `message`; of a receipt, the actor's.
 *
 * @throws {CorruptEventError} The message was not written by this library.
 */
export function versionIn(message: StoredMessage, actorId?: string): number {
  const version = numberIn(message, VERSION);
  // A receipt may say that the actor has no event yet.
  const least = version === 0 && message.header(COMMAND) !== "" ? 0 : 1;
  if (version === undefined || version < least) {
    throw new CorruptEventError(
      positionOf(message.sequence),
      `it has no ${VERSION} header, so something else wrote it to "${message.subject}"; ` +
        "revoke that writer's permission, read what is sound by getEventsWithErrors(), and go on " +
        "under another actor id: an event cannot be taken out of the stream",
      aboutActor(actorId),
    );
  }
  return version;
}

/** Whether `message` was written by the save `op`; its further messages may have `op-1` and so on. */
export function isOf(message: StoredMessage, op: string): boolean {
  const stored = message.header(OP);
  return stored === op || stored.startsWith(`${op}-`);
}
