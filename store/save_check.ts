import type { Event } from "./event.ts";

/** What a store tells of saves without making them. */
export interface SaveChecks {
  /** Whether it encodes events by a codec, which may take its time. */
  readonly hasCodec: boolean;
  /** Throws what a save of `events` would throw, as far as that is known without the codec and the server. */
  check(events: readonly Event[]): void;
}

const kept = new WeakMap<object, SaveChecks>();

/** Keeps the checks of `store`, for {@linkcode saveChecksOf}. */
export function keepSaveChecks(store: object, checks: SaveChecks | undefined): void {
  if (checks !== undefined) kept.set(store, checks);
}

/** The checks of `store`; `undefined` if it is not one of ours. */
export function saveChecksOf(store: object): SaveChecks | undefined {
  return kept.get(store);
}
