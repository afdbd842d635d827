import type { Event } from "../event.ts";
import { attempt } from "../nats/retry.ts";
import type { StoredMessage } from "../nats/stored_message.ts";
import { missingBefore, notGrowing, previousOf, versionIn } from "./message_facts.ts";
import { type ReaderParts, readPages } from "./pages.ts";
import type { EventsWithErrors } from "../store.ts";
import { unreadable } from "../upcast.ts";

/** All events of the actor that can be read, beside the errors of what cannot. */
export async function salvage(parts: ReaderParts, actorId: string): Promise<EventsWithErrors> {
  const { api, timeout, headReader, events: reader } = parts;
  const found: EventsWithErrors = { events: [], errors: [] };
  const { events, errors } = found;
  const what = `read events of "${actorId}"`;
  const end = attempt(api.requests, timeout, what, () => headReader.last(actorId, false))
    .then((last) => last?.sequence ?? 0);
  let version = 0;
  const subject = headReader.subjectOf(actorId);
  for await (const page of readPages(parts, { subject, after: 0, end })) {
    for (const message of page) {
      const { sequence } = message;
      try {
        const previous = previousOf(message);
        const event: Event = await reader.eventIn(message, actorId);
        if (previous !== version) {
          errors.push({ sequence, error: missingBefore(message, actorId, version) });
        }
        if (event.version <= version) {
          const error = notGrowing(message, actorId, version);
          errors.push({ sequence, error });
          continue;
        }
        events.push(event);
        version = event.version;
      } catch (error) {
        errors.push({ sequence, error: unreadable(error) });
        version = chained(message, version);
      }
    }
  }
  return found;
}

/** The version to go on with behind a message that cannot be read. */
function chained(message: StoredMessage, version: number): number {
  try {
    return Math.max(version, versionIn(message));
  } catch {
    return version;
  }
}
