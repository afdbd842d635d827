import { decodeToken, encodeToken } from "../base/token.ts";
import { CorruptEventError } from "../errors.ts";
import { ID, OP, PREVIOUS, SCHEMA, VERSION } from "../format/headers.ts";
import { numberIn, type StoredMessage } from "../nats/stored_message.ts";
import type { Head } from "./heads.ts";

/** `message` stands behind a version that is not older. */
export function notGrowing(
  message: StoredMessage,
  actorId: string,
  before: number,
): CorruptEventError {
  return new CorruptEventError(
    message.sequence,
    `version ${versionIn(message)} of "${actorId}" stands behind version ${before}`,
  );
}

/** The schema that the event in `message` was saved with. */
export function schemaIn(message: StoredMessage): number {
  const schema = message.header(SCHEMA) === "" ? 1 : numberIn(message, SCHEMA);
  if (schema === undefined || schema < 1) {
    throw new CorruptEventError(message.sequence, `its ${SCHEMA} header is no schema`);
  }
  return schema;
}

/** The version of the actor's event before the one in `message`. */
export function previousOf(message: StoredMessage): number {
  const previous = numberIn(message, PREVIOUS);
  if (previous === undefined) {
    throw new CorruptEventError(message.sequence, `it has no ${PREVIOUS} header`);
  }
  return previous;
}

export function textIn(message: StoredMessage, name: string): string {
  try {
    return decodeToken(message.header(name));
  } catch (cause) {
    throw new CorruptEventError(message.sequence, `its ${name} header is no text`, { cause });
  }
}

/** What stands before `message` is version `previous`, and that is not what it follows on. */
export function missingBefore(
  message: StoredMessage,
  actorId: string,
  previous: number,
): CorruptEventError {
  return new CorruptEventError(
    message.sequence,
    `version ${versionIn(message)} of "${actorId}" follows on version ${previousOf(message)}, ` +
      `but version ${previous} is what stands before it: events between them are lost`,
  );
}

/** The head that an actor's last message stands for. */
export function headIn(message: StoredMessage | undefined): Head {
  if (message === undefined) return { version: 0, sequence: 0 };
  return { version: versionIn(message), sequence: message.sequence };
}

/**
 * The version of the event in `message`.
 *
 * @throws {CorruptEventError} The message was not written by this library.
 */
export function versionIn(message: StoredMessage): number {
  const version = numberIn(message, VERSION);
  if (version === undefined || version < 1) {
    throw new CorruptEventError(
      message.sequence,
      `it has no ${VERSION} header, so something else wrote it to "${message.subject}"; ` +
        "revoke that writer's permission, read what is sound by getEventsWithErrors(), and go on " +
        "under another actor id: an event cannot be taken out of the stream",
    );
  }
  return version;
}

/** Whether `message` holds the event with this id. */
export function hasId(message: StoredMessage, id: string): boolean {
  return message.header(ID) === encodeToken(id);
}

/** Whether `message` was written by the save `op`. */
export function isOf(message: StoredMessage, op: string): boolean {
  return message.header(OP) === op;
}
