import { attempt } from "../store/attempt.ts";
import { previousOf } from "../store/event_reader.ts";
import { headIn } from "../store/head_reader.ts";
import type { Head } from "../store/heads.ts";
import { readPages } from "../store/pages.ts";
import type { StoreParts } from "../store/save_path.ts";
import { COMMAND, type StoredMessage } from "../store/stored_message.ts";
import { decodeToken } from "../store/token.ts";
import type { HandledCommand } from "./command_store.ts";

/** Events of an actor that are looked through for commands: those stored last. */
const LAST = 1000;

/**
 * The commands that the last 1,000 events of an actor are the outcome of, in the order they were
 * handled, each with its events. Complete up to all that the store was told is stored.
 *
 * @throws {CorruptEventError} An event of a command cannot be read.
 */
export async function handledCommands(
  parts: StoreParts,
  actorId: string,
): Promise<Map<string, HandledCommand>> {
  const found = new Map<string, HandledCommand>();
  for (const message of await lastMessages(parts, actorId)) {
    const token = message.header(COMMAND);
    if (token === "") continue;
    const commandId = decodeToken(token);
    const before = found.get(commandId)?.events ?? [];
    const event = await parts.events.eventIn(message, actorId);
    const receipt = { sequence: message.sequence, duplicate: true };
    found.set(commandId, { events: [...before, event], receipt });
  }
  return found;
}

/** The actor's last messages. Versions may have gaps: the wider they are, the more are spanned. */
async function lastMessages(parts: StoreParts, actorId: string): Promise<StoredMessage[]> {
  const { api, reader, timeout } = parts;
  const what = `read the commands of "${actorId}"`;
  const last = await attempt(api.wire, timeout, what, () => reader.last(actorId, false));
  const head = headIn(last);
  for (let span = LAST;; span *= 8) {
    const messages = await messagesFrom(parts, actorId, head.version - span + 1, head);
    const [first] = messages;
    const isAll = first === undefined || previousOf(first) === 0;
    if (isAll || messages.length >= LAST) return messages.slice(-LAST);
  }
}

async function messagesFrom(
  parts: StoreParts,
  actorId: string,
  version: number,
  head: Head,
): Promise<StoredMessage[]> {
  const { api, reader, timeout } = parts;
  if (head.version === 0) return [];
  const what = `read the commands of "${actorId}"`;
  const start = version <= 1
    ? undefined
    : await attempt(api.wire, timeout, what, () => reader.find(actorId, version, head));
  const subject = reader.subjectOf(actorId);
  const after = (start?.sequence ?? 1) - 1;
  const messages: StoredMessage[] = [];
  for await (const page of readPages(parts, { subject, after, end: head.sequence })) {
    messages.push(...page);
  }
  return messages;
}
