import type { Codec } from "../codec.ts";
import type { Event } from "../event.ts";
import { type Encoding, haveBodies } from "../format/encode.ts";
import { divide, membersOf } from "../format/runs.ts";
import { checkRoom, prepareEvents } from "./events.ts";

const NOTHING = /* @__PURE__ */ new Uint8Array();

/**
 * Throws what a save of `events` would throw before anything is sent. A codec is not called, as it may
 * make keys: what it refuses, and the size of its bytes, are not known.
 */
export function checkSave(events: readonly Event[], encoding: Encoding): void {
  const codec = encoding.codec && uncalled(encoding.codec);
  const checked = prepareEvents(events, { ...encoding, codec });
  if (!haveBodies(checked)) return;
  const { runs } = divide(membersOf([{ events: checked.length }], checked), encoding.maxBytes);
  const actors = [...new Set(checked.map(({ actorId }) => actorId))];
  checkRoom(checked.length, runs.length, { actors, expect: new Map() });
}

/** A codec with the same rules on data, which gives no bytes. */
function uncalled({ lenient = false }: Codec<Event>): Codec<Event> {
  const decode = () => {
    throw new TypeError("A codec that only checks has nothing to decode");
  };
  return { lenient, encode: () => NOTHING, decode };
}
