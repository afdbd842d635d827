import { freshCopy } from "../base/fresh.ts";
import { refusePromise } from "../base/hook.ts";
import type { Evolution } from "./decider.ts";
import { StreamRegressedError } from "../errors.ts";
import type { Event } from "../event.ts";
import type { EventStore } from "../store.ts";
import type { InnerReadOptions } from "../command_log.ts";

/** The most events after a known version that are held in memory at once. */
const TAIL = 200;

/** The state of an actor at one version, from which a later load or save goes on. */
export interface ActorState<State = unknown, E extends Event = Event> {
  /** The rules that the state was folded by. */
  readonly evolution: Evolution<State, E>;
  readonly state: State;
  /** Version of the last event in it; 0 when there is none. */
  readonly version: number;
  /** Id of that event, if it was seen. */
  readonly lastId: string | undefined;
}

/** The state before the first event. */
export function initial<State, E extends Event>(
  evolution: Evolution<State, E>,
): ActorState<State, E> {
  // A copy, as it may be the same object at each call.
  const given = evolution.initialState();
  refusePromise(given, "initialState()");
  const state = freshCopy(given);
  return { evolution, state, version: 0, lastId: undefined };
}

/** Options for {@linkcode advance}. */
export interface AdvanceOptions {
  readonly signal?: AbortSignal | undefined;
  /** The version at which it stops. @default {the end} */
  readonly toVersion?: number | undefined;
  /** See {@linkcode InnerReadOptions.last}. */
  readonly last?: object | undefined;
}

/**
 * The state with all events folded in that are stored by now, or those up to `toVersion`. Reads from the last event that is
 * in it already, to notice if the history has lost that event.
 *
 * @throws {StreamRegressedError} That event is not stored any more.
 */
export async function advance<State, E extends Event>(
  store: EventStore,
  actorId: string,
  from: ActorState<State, E>,
  options: AdvanceOptions = {},
): Promise<ActorState<State, E>> {
  const { evolution } = from;
  let { state, version, lastId } = from;
  let isJoined = version === 0;
  for await (const event of eventsFrom<E>(store, actorId, version, options)) {
    const { version: next, id } = event;
    if (isJoined) {
      state = evolution.evolve(state, event);
      refusePromise(state, "evolve()");
    } else if (next !== version || (lastId !== undefined && id !== lastId)) {
      break;
    }
    isJoined = true;
    [version, lastId] = [next, id];
  }
  if (isJoined) return { ...from, state, version, lastId };
  const latest = await store.getLatestVersion(actorId, { fresh: true });
  const reason = latest < from.version
    ? `they end at ${latest}, though a state or snapshot of version ${from.version} is kept; the ` +
      "stream lost its tail or was restored"
    : `the event at ${from.version} is not the one that the kept state or snapshot ends with; the ` +
      "stream was restored";
  throw new StreamRegressedError(`the versions of "${actorId}"`, from.version, latest, reason);
}

/**
 * The events at `version` and above, ascending. Usually few events follow a known version, and
 * reading back from the end of the history finds them soonest.
 */
async function* eventsFrom<E extends Event>(
  store: EventStore,
  actorId: string,
  version: number,
  { signal, toVersion, last }: AdvanceOptions,
): AsyncGenerator<E, void> {
  const options: InnerReadOptions = {
    fromVersion: version,
    ...(signal && { signal }),
    ...(toVersion !== undefined && { toVersion }),
  };
  if (version > 0 && toVersion === undefined) {
    const direction = "backwards";
    const tail: E[] = [];
    const wanted = { ...options, direction, limit: TAIL } as const;
    for await (const event of store.readEvents<E>(actorId, wanted)) tail.push(event);
    if (tail.length < TAIL) return yield* tail.reverse();
  }
  const inner: InnerReadOptions = last === undefined ? options : { ...options, last };
  yield* store.readEvents<E>(actorId, inner);
}
