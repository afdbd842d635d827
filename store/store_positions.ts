import type { EventStore } from "./store.ts";
import { cacheOwnerOf } from "./store_view.ts";

/** The positions of a store and the time of its server. */
export interface StorePositions {
  /**
   * The last position that is taken; 0 in an empty store.
   *
   * @throws {StoreUnavailableError} The store could not be reached.
   */
  end(): Promise<number>;
  /**
   * The position before the first event that was stored at `time` or later; the end if there is
   * none.
   */
  before(time: Date): Promise<number>;
  /** A time that the server's clock has certainly reached by now, in ms since 1970. */
  now(): Promise<number>;
}

const kept = new WeakMap<EventStore, StorePositions>();

/** Keeps the positions of `store`, for {@linkcode positionsOf}. */
export function keepPositions(store: EventStore, positions: StorePositions): void {
  kept.set(store, positions);
}

/** The positions of `store`; for a user's own store, a read of all events finds them. */
export function positionsOf(store: EventStore): StorePositions {
  return keptPositionsOf(store) ?? readPositions(store);
}

/** The positions of `store`; `undefined` for a user's own store, which would have to be read. */
export function keptPositionsOf(store: EventStore): StorePositions | undefined {
  return kept.get(store) ?? kept.get(cacheOwnerOf(store));
}

function readPositions(store: EventStore): StorePositions {
  const before = async (time: number) => {
    let end = 0;
    for await (const { sequence, timestamp } of store.readAll()) {
      if (timestamp.getTime() >= time) return sequence - 1;
      end = sequence;
    }
    return end;
  };
  return {
    end: () => before(Infinity),
    before: (time) => before(time.getTime()),
    now: () => Promise.resolve(Date.now()),
  };
}
