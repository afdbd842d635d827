/** The events of an actor, newest first: a window that grows backwards in the background. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { ActorQuery, ActorView, EventView } from "../answers.ts";
import { inWords } from "../api.ts";
import { useShared } from "../hooks.ts";

/** Events of the first page, which is there at once. */
const FIRST = 100;
/** Events that are kept. */
const MOST = 20_000;
/** How often new events are asked for, in ms. */
const EVERY = 500;

/** Events of one actor. */
export interface Timeline {
  /** The actor; absent until the first answer. */
  readonly actor?: Omit<ActorView, "events" | "next">;
  /** Newest first. */
  readonly events: readonly EventView[];
  /** Whether older ones are on their way. */
  readonly isLoading: boolean;
  /** Whether there are newer ones than the first. */
  readonly hasNewer: boolean;
  /** Whether there are older ones than the last that will not be loaded by themselves. */
  readonly hasOlder: boolean;
  readonly problem?: string;
}

const NOTHING: Timeline = { events: [], isLoading: true, hasNewer: false, hasOlder: false };

/**
 * The events of an actor. All of them while they are at most 20,000; of more, those up to version `top`,
 * or up to the newest one. It follows what is new while it has the newest one.
 */
export function useTimeline(actorId: string, top: number | undefined): Timeline {
  const { api, about } = useShared();
  const [timeline, setTimeline] = useState<Timeline>(NOTHING);
  const newest = useRef(0);
  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    let timer = 0;
    const ask = (query: Omit<ActorQuery, "actorId">): Promise<ActorView> =>
      api.post<ActorView>("actor", { actorId, ...query }, { signal });
    const load = async (): Promise<void> => {
      setTimeline(({ actor }) => ({ ...NOTHING, ...(actor && { actor }) }));
      let events: EventView[] = [];
      let next: number | undefined = top ?? Number.MAX_SAFE_INTEGER;
      let hasNewer = false;
      while (next !== undefined && events.length < MOST) {
        const limit: number = events.length === 0 ? FIRST : about.limits.events;
        const page: ActorView = await ask({ direction: "backwards", toVersion: next, limit });
        const { events: older, next: further, ...actor } = page;
        const newestHere = (events[0] ?? older[0])?.version ?? 0;
        hasNewer = next !== Number.MAX_SAFE_INTEGER && newestHere < actor.version;
        if (hasNewer && events.length === 0 && actor.version <= MOST) {
          next = Number.MAX_SAFE_INTEGER; // all of them fit: begin at the newest
          continue;
        }
        events = [...events, ...older];
        next = further;
        newest.current = Math.max(newest.current, actor.version);
        const isLoading = next !== undefined && events.length < MOST;
        setTimeline({
          ...{ actor, events, isLoading, hasNewer },
          hasOlder: !isLoading && next !== undefined,
        });
      }
      if (!hasNewer) timer = setTimeout(poll, EVERY);
    };
    const poll = async (): Promise<void> => {
      try {
        if (!document.hidden) {
          const fromVersion = newest.current + 1;
          const { events, next, ...actor } = await ask({ fromVersion, limit: about.limits.events });
          if (events.length > 0) {
            newest.current = events.at(-1)!.version;
            setTimeline((last) => ({
              ...last,
              actor,
              events: [...events.toReversed(), ...last.events],
            }));
          }
          if (next !== undefined) return await poll();
        }
        timer = setTimeout(poll, EVERY);
      } catch (error) {
        if (signal.aborted) return;
        timer = setTimeout(poll, 4 * EVERY);
        setTimeline((last) => ({ ...last, problem: inWords(error) }));
      }
    };
    newest.current = 0;
    load().catch((error) => {
      if (signal.aborted) return;
      setTimeline((last) => ({ ...last, isLoading: false, problem: inWords(error) }));
    });
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [actorId, top]);
  return timeline;
}

/** The index of the newest event that is not newer than `version`, in events newest first. */
export function indexAt(events: readonly EventView[], version: number): number {
  let [low, high] = [0, events.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (events[middle]!.version > version) low = middle + 1;
    else high = middle;
  }
  return Math.min(low, events.length - 1);
}
