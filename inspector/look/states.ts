import { categoryOf } from "../../store/actor.ts";
import { refusePromise } from "../../store/base/hook.ts";
import { textOf } from "../../store/base/text.ts";
import type { EventStore } from "../../store/store.ts";
import { changesBetween, plain } from "./changes.ts";
import { Refusal } from "../http/refusal.ts";
import type { StateStep, StatesView } from "../views/states.ts";

/** Steps of one answer at most. */
export const MOST_STATES = 20_000;
/** Characters of the steps of one answer, about. */
const MOST_TEXT = 4 * 1024 * 1024;
/** Steps between two looks at the clock, and the time that an answer may take to be made, in ms. */
const [STRIDE, MOST_TIME] = [50, 2_000];

/** The part of a decider that folds a state. */
export interface StateFold {
  /** The state before the first event. */
  initialState(): unknown;
  /** The state after an event; leaves the one before as it is. */
  evolve(state: never, event: never): unknown;
}

/** The states of an actor over a range of versions. */
export async function statesView(
  store: EventStore,
  deciders: Readonly<Record<string, StateFold>>,
  { actorId, from, to }: { actorId: string; from: number; to: number },
  signal: AbortSignal,
): Promise<StatesView> {
  const category = categoryOf(actorId);
  const decider = Object.hasOwn(deciders, category) ? deciders[category] : undefined;
  if (decider === undefined) {
    throw new Refusal(404, "No decider is registered for the category of this actor");
  }
  const version = await store.getLatestVersion(actorId, { fresh: true });
  const steps: StateStep[] = [];
  const begun = performance.now();
  let state = decider.initialState();
  refusePromise(state, "initialState()");
  let initial = plain(state);
  let [size, next, last] = [0, undefined as number | undefined, 0];
  const options = { signal, ...(Number.isFinite(to) && { toVersion: to }) };
  for await (const event of store.readEvents(actorId, options)) {
    const isWanted = event.version >= from;
    const isLate = steps.length % STRIDE === 0 && performance.now() - begun > MOST_TIME;
    if (steps.length > 0 && (size > MOST_TEXT || steps.length >= MOST_STATES || isLate)) {
      next = event.version;
      break;
    }
    const before = state;
    try {
      state = decider.evolve(state as never, event as never);
      refusePromise(state, "evolve()");
      if (!isWanted) continue;
      if (steps.length === 0) initial = plain(before) ?? null;
      const changes = changesBetween(before, state);
      size += JSON.stringify(changes).length + 50;
      steps.push({ version: event.version, eventType: event.eventType, changes });
    } catch (error) {
      const failed = { version: event.version, reason: textOf(error) };
      return { actorId, version, initial: initial ?? null, steps, failed };
    } finally {
      last = event.version;
    }
  }
  if (steps.length === 0 && last > 0) initial = plain(state);
  return {
    ...{ actorId, version, initial: initial ?? null, steps },
    ...(next !== undefined && { next }),
  };
}
