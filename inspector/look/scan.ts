import type { RecordedEvent } from "../../store/event.ts";
import { asStreamSequence, messageSequenceOf, positionOf } from "../../store/format/position.ts";
import { isUnreadable, readArrivals } from "../../store/projection/arrival.ts";
import { type ReaderParts, readPages } from "../../store/read/pages.ts";
import { openRunFrom } from "../../store/read/run_filter.ts";
import { StoredRun } from "../../store/read/stored_run.ts";
import type { EventStore } from "../../store/store.ts";
import { sourceOf, type StoreSource } from "./source.ts";

/** The aim of a scan. */
export interface ScanOptions {
  /** The first position. */
  readonly from: number;
  /**
   * Whether the text of a message, the JSON of its events, may hold one that is wanted: a message whose text
   * does not pass is not decoded.
   */
  readonly mayHold: (text: string) => boolean;
  /** Ends it by throwing the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called with the position that is reached, and how many events were passed since the call before. */
  readonly onRead?: ((position: number, events: number) => void) | undefined;
}

/**
 * Reads the store from a position up to its end, and yields at least those events whose texts pass. It
 * looks at texts alone where it can, ten times as fast as a read, and passes over what cannot be read.
 */
export async function* scan(
  store: EventStore,
  options: ScanOptions,
): AsyncGenerator<RecordedEvent, void> {
  const source = sourceOf(store);
  const { reader } = source;
  if (reader?.events.isPlain) {
    yield* scanTexts(reader, source, options);
    return;
  }
  const { from, signal, onRead } = options;
  for await (
    const { event, sequence } of readArrivals(store, { from, ...(signal && { signal }) })
  ) {
    onRead?.(sequence, 1);
    if (event !== undefined) yield event;
  }
}

async function* scanTexts(
  reader: ReaderParts,
  source: StoreSource,
  { from, mayHold, signal, onRead }: ScanOptions,
): AsyncGenerator<RecordedEvent, void> {
  const end = messageSequenceOf(await source.lastEvent());
  const after = asStreamSequence(Math.max(0, messageSequenceOf(from) - 1));
  if (end <= after) return;
  const subject = reader.api.layout.events();
  for await (const page of readPages(reader, { subject, after, end, signal })) {
    for (const message of page) {
      try {
        onRead?.(positionOf(message.sequence), new StoredRun(message).count);
        if (!mayHold(message.text)) continue;
        const opened = openRunFrom(reader, message, from);
        if (opened === undefined) continue;
        const { run, actorId } = opened;
        for (let at = 0; at < run.count; at++) {
          const sequence = run.positionAt(at);
          if (sequence < from) continue;
          const event = await reader.events.eventAt(run, at, actorId);
          yield { ...event, sequence, commit: run.commitAt(at) };
        }
      } catch (error) {
        if (!isUnreadable(error)) throw error;
      }
    }
  }
}
