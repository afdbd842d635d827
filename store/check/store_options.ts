import {
  given,
  needObject,
  needOptionalFunctions,
  needOptionalMethods,
  needSignal,
} from "../base/given.ts";
import { rulesOf, upcastersOf } from "../event_rules.ts";
import type { SaveOptions } from "../options.ts";
import type { EventStoreOptions } from "../store.ts";

/**
 * Refuses options of another kind than every event store takes.
 *
 * @throws {TypeError} One is something else.
 */
export function checkStoreOptions(options: EventStoreOptions, what = "open the store"): void {
  const { broadcaster, upcasters = {}, events } = options;
  checkCodec(options, what);
  needOptionalMethods(broadcaster, ["publish"], what, "broadcaster", "an object with publish");
  needOptionalFunctions(options, ["onBroadcastError"], what);
  needObject(upcasters, what, "upcasters", "an object with the steps of each event type");
  for (const [eventType, steps] of Object.entries<unknown>(upcasters)) {
    const isSteps = Array.isArray(steps) && steps.every((step) => typeof step === "function");
    if (isSteps) continue;
    const of = `upcasters of ${JSON.stringify(eventType)}`;
    throw new TypeError(`Cannot ${what}: ${of} is ${given(steps)}, not an array of functions`);
  }
  upcastersOf(upcasters, rulesOf(events));
}

/**
 * Refuses options of a save that are of another kind.
 *
 * @throws {TypeError} One is something else.
 */
export function checkSaveOptions(options: SaveOptions): void {
  needObject(options, "save events", "options");
  needSignal(options.signal, "save events");
}

/**
 * Refuses a codec of another kind.
 *
 * @throws {TypeError} It is something else.
 */
export function checkCodec({ codec }: { readonly codec?: unknown }, what = "open the store"): void {
  const kind = "an object with encode and decode";
  needOptionalMethods(codec, ["encode", "decode"], what, "codec", kind);
}
