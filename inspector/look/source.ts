import { FencedEventStore, plainStoreOf } from "../../store/fencing/fenced_store.ts";
import type { Event } from "../../store/event.ts";
import { JetStreamEventStore, readerOf } from "../../store/jetstream/event_store.ts";
import { InMemoryEventStore, memoryPartsOf } from "../../store/memory/event_store.ts";
import type { StoredMessage } from "../../store/nats/stored_message.ts";
import { attempt } from "../../store/nats/retry.ts";
import { asStreamSequence, messageSequenceOf } from "../../store/format/position.ts";
import type { Head } from "../../store/read/heads.ts";
import { isUnreadable } from "../../store/projection/arrival.ts";
import { headIn, NO_HEAD } from "../../store/read/message_facts.ts";
import { type ReaderParts, readPages } from "../../store/read/pages.ts";
import { StoredRun } from "../../store/read/stored_run.ts";
import { lastPositionIn } from "../../store/read/live_source.ts";
import { positionsOf } from "../../store/store_positions.ts";
import type { EventStore } from "../../store/store.ts";
import { cacheOwnerOf } from "../../store/store_view.ts";
import type { StoreMetrics } from "../../store/telemetry/metrics.ts";
import { MemorySource } from "../../store/verify/memory_source.ts";

/** Messages of a page that is read for no certain number of events. */
const PAGE = 512;

/** The parts of a store below its contract that an inspector looks at; only some stores have them. */
export interface StoreSource {
  readonly kind: "jetstream" | "memory" | "other";
  readonly namespace: string | undefined;
  readonly stream: string | undefined;
  /** How a store on JetStream reads. */
  readonly reader: ReaderParts | undefined;
  /** The position of the last event, about: marks of the library's own behind it do not count. */
  lastEvent(): Promise<number>;
  /** The counts of the store object. */
  metrics(): StoreMetrics | undefined;
  /** An actor's messages; `undefined` for a store that shows none. */
  readonly messages: ActorMessages | undefined;
}

/** The messages of actors, as they are stored. */
export interface ActorMessages {
  /** The actor's latest version. */
  latest(actorId: string, signal: AbortSignal): Promise<number>;
  /**
   * The actor's messages, from the first one with an event at `version` or above on, or from one
   * before it if the history is damaged; no more of them than `most` events need.
   */
  from(
    actorId: string,
    version: number,
    most: number,
    signal: AbortSignal,
  ): AsyncIterable<readonly StoredMessage[]>;
  /** The newest schema of this type that the store's upcasters know. */
  newestOf(eventType: string): number;
  /** The event with this index in a message. */
  eventAt(run: StoredRun, index: number, actorId: string): Event | Promise<Event>;
}

/** The parts of `store` that can be seen. */
export function sourceOf(store: EventStore): StoreSource {
  const own = cacheOwnerOf(store);
  const plain = own instanceof FencedEventStore ? plainStoreOf(own) : own;
  if (plain instanceof JetStreamEventStore) {
    const reader = readerOf(plain);
    return {
      ...{ kind: "jetstream", namespace: plain.namespace, stream: plain.stream, reader },
      lastEvent: () => lastEventOn(reader),
      metrics: () => plain.metrics,
      messages: messagesOn(reader),
    };
  }
  const metrics = () => (store as { readonly metrics?: StoreMetrics }).metrics;
  const none = { namespace: undefined, stream: undefined, reader: undefined };
  if (plain instanceof InMemoryEventStore) {
    const { log } = memoryPartsOf(plain);
    const lastEvent = () => Promise.resolve(log.events.at(-1)?.sequence ?? 0);
    return { kind: "memory", ...none, lastEvent, metrics, messages: messagesInMemory(plain) };
  }
  const lastEvent = () => positionsOf(store).end();
  return { kind: "other", ...none, lastEvent, metrics, messages: undefined };
}

async function lastEventOn({ api, timeout, requestTimeout }: ReaderParts): Promise<number> {
  const last = await attempt(
    ...[api.requests, timeout, "look for the last event"] as const,
    () => api.get({ last_by_subj: api.layout.events() }, requestTimeout),
  );
  return last === undefined ? 0 : lastPositionIn(last);
}

function messagesOn(reader: ReaderParts): ActorMessages {
  const { api, timeout, headReader } = reader;
  const attempted = <T>(actorId: string, work: () => Promise<T>) =>
    attempt(api.requests, timeout, `read events of "${actorId}"`, work);
  const lastOf = (actorId: string) => attempted(actorId, () => headReader.last(actorId, true));
  /** The place before the first message with an event at `version` or above. */
  const before = async (actorId: string, version: number, head: Head) => {
    const found = await attempted(actorId, () => headReader.find(actorId, version, head));
    return asStreamSequence((found?.sequence ?? head.sequence + 1) - 1);
  };
  return {
    async latest(actorId, signal) {
      const last = await lastOf(actorId);
      try {
        return headIn(last).version;
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        return await latestReadable(this.from(actorId, 1, Infinity, signal));
      }
    },
    async *from(actorId, version, most, signal) {
      const last = await lastOf(actorId);
      if (last === undefined) return;
      let [after, limit] = [NO_HEAD.sequence, most];
      try {
        const head = headIn(last);
        if (head.version < version) return;
        if (version > 1) after = await before(actorId, version, head);
      } catch (error) {
        // A damaged history is read as a whole.
        if (!isUnreadable(error)) throw error;
        limit = Infinity;
      }
      const subject = headReader.subjectOf(actorId);
      const few = limit < PAGE ? { first: limit, limit, weigh: eventsIn } : {};
      yield* readPages(reader, { subject, after, end: last.sequence, ...few, signal });
    },
    newestOf: (eventType) => reader.events.newestOf(eventType),
    eventAt: (run, index, actorId) => reader.events.eventAt(run, index, actorId),
  };
}

function messagesInMemory(store: InMemoryEventStore): ActorMessages {
  const parts = memoryPartsOf(store);
  const source = new MemorySource(store.identity, parts);
  return {
    latest: (actorId) => store.getLatestVersion(actorId),
    async *from(actorId, version) {
      const end = messageSequenceOf(parts.log.end);
      for await (const page of source.pages(NO_HEAD.sequence, end)) {
        const own = page.filter((message) =>
          source.layout.actorOf(message.subject) === actorId &&
          new StoredRun(message).version >= version
        );
        if (own.length > 0) yield own;
      }
    },
    newestOf: (eventType) => parts.decoder.newestOf(eventType),
    eventAt: (run, index, actorId) => source.eventAt(run, index, actorId),
  };
}

/** Events that a message surely holds. */
function eventsIn(message: StoredMessage): number {
  try {
    return new StoredRun(message).count;
  } catch {
    return 0;
  }
}

/** The highest version that messages name. */
async function latestReadable(pages: AsyncIterable<readonly StoredMessage[]>): Promise<number> {
  let latest = 0;
  for await (const page of pages) {
    for (const message of page) {
      try {
        latest = Math.max(latest, new StoredRun(message).version);
      } catch {
        // It is shown as it is.
      }
    }
  }
  return latest;
}
