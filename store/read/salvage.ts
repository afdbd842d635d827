import type { Event } from "../event.ts";
import { positionOf } from "../format/position.ts";
import { attempt } from "../nats/retry.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import type { EventsWithErrors } from "../store.ts";
import { unreadable } from "../upcast.ts";
import { missingBefore, NO_HEAD, notGrowing, previousOf, versionIn } from "./message_facts.ts";
import { type ReaderParts, readPages } from "./pages.ts";
import { StoredRun } from "./stored_run.ts";

/** All events of the actor that can be read, beside the errors of those that cannot. */
export async function salvage(parts: ReaderParts, actorId: string): Promise<EventsWithErrors> {
  const { api, timeout, headReader } = parts;
  const found: EventsWithErrors = { events: [], errors: [] };
  const what = `read events of "${actorId}"`;
  const end = attempt(api.requests, timeout, what, () => headReader.last(actorId, false))
    .then((last) => last?.sequence ?? NO_HEAD.sequence);
  let version = 0;
  const subject = headReader.subjectOf(actorId);
  for await (const page of readPages(parts, { subject, after: NO_HEAD.sequence, end })) {
    for (const message of page) {
      version = await salvageMessage(parts, message, actorId, version, found);
    }
  }
  return found;
}

/** Takes what can be read of one message; gives the version to go on with. */
async function salvageMessage(
  { events: reader }: ReaderParts,
  message: StoredMessage,
  actorId: string,
  before: number,
  { events, errors }: EventsWithErrors,
): Promise<number> {
  const sequence = positionOf(message.sequence);
  let version = before;
  try {
    const run = new StoredRun(message);
    run.check();
    if (run.previous !== version) {
      errors.push({ sequence, error: missingBefore(message, actorId, version) });
    }
    if (run.count > 0 && run.version <= version) {
      errors.push({ sequence, error: notGrowing(message, actorId, version) });
      return version;
    }
    for (let at = 0; at < run.count; at++) {
      if (run.versionAt(at) <= version) continue;
      version = run.versionAt(at);
      try {
        const event: Event = await reader.eventAt(run, at, actorId);
        events.push(event);
      } catch (error) {
        errors.push({ sequence: run.positionAt(at), error: unreadable(error) });
      }
    }
    return version;
  } catch (error) {
    errors.push({ sequence, error: unreadable(error) });
    return versionBehind(message, version);
  }
}

/** The version to go on with behind a message that cannot be read. */
function versionBehind(message: StoredMessage, version: number): number {
  try {
    previousOf(message);
    return Math.max(version, versionIn(message));
  } catch {
    return version;
  }
}
