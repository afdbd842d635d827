/** The states of an actor, fetched in stretches of versions and put together from changes. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Change, StateStep, StatesView } from "../answers.ts";
import { inWords } from "../api.ts";
import { useShared } from "../hooks.ts";

/** Versions of a stretch. */
const STRETCH = 2_000;
/** Stretches that are kept. */
const KEPT = 10;
/** Steps between two states that are kept, so that few steps lead to any other one. */
const APART = 50;

/** The state at one version. */
export interface StateAt {
  readonly version: number;
  readonly state: unknown;
  /** The changes of that version's event; absent if it has none. */
  readonly step?: StateStep;
}

/** The latest known state, which may be of another version while the wanted one is fetched. */
export interface States {
  readonly at?: StateAt;
  readonly isLoading: boolean;
  readonly problem?: string;
}

/** The state of an actor at `version`; `latest` is its latest version. */
export function useStates(
  actorId: string,
  version: number | undefined,
  latest: number,
  hasStates: boolean,
): States {
  const { api } = useShared();
  const stretches = useRef<readonly Stretch[]>([]);
  const work = useRef<{ start: number; leaving: AbortController } | undefined>(undefined);
  const wanted = useRef(0);
  const [states, setStates] = useState<States>({ isLoading: hasStates });
  useEffect(() => {
    stretches.current = [];
    setStates({ isLoading: hasStates });
    return () => work.current?.leaving.abort();
  }, [actorId]);
  useEffect(() => {
    if (!hasStates || version === undefined || version < 1) return;
    wanted.current = version;
    const known = stretches.current.find((stretch) => stretch.covers(version));
    if (known !== undefined) {
      setStates(known.at(version));
      return;
    }
    const start = Math.floor((version - 1) / STRETCH) * STRETCH + 1;
    if (work.current?.start === start) return; // it is on its way
    work.current?.leaving.abort();
    const leaving = new AbortController();
    const own = work.current = { start, leaving };
    setStates((last) => ({ ...last, isLoading: true }));
    const fetched = async (fromVersion: number): Promise<void> => {
      const toVersion = start + STRETCH - 1;
      const body = { actorId, fromVersion, toVersion };
      const view = await api.post<StatesView>("states", body, { signal: leaving.signal });
      const to = view.next === undefined ? Math.min(toVersion, view.version) : view.next - 1;
      const stretch = new Stretch(view, fromVersion, to);
      stretches.current = [stretch, ...stretches.current].slice(0, KEPT);
      if (stretch.covers(wanted.current)) setStates(stretch.at(wanted.current));
      else if (view.next !== undefined) await fetched(view.next);
    };
    fetched(start).catch((error) => {
      if (leaving.signal.aborted) return;
      setStates((last) => ({ ...last, isLoading: false, problem: inWords(error) }));
    }).finally(() => {
      if (work.current === own) work.current = undefined;
    });
  }, [actorId, version, latest, hasStates]);
  return states;
}

/** The states of a stretch of versions. */
class Stretch {
  readonly #view: StatesView;
  readonly #from: number;
  readonly #to: number;
  /** Every {@linkcode APART}th state, the initial one first, as far as they were needed. */
  readonly #kept: unknown[];

  /** Covers the versions from `from` to `to`. */
  constructor(view: StatesView, from: number, to: number) {
    this.#view = view;
    this.#from = from;
    this.#to = to;
    this.#kept = [view.initial];
  }

  /** Whether it has the state at `version`. */
  covers(version: number): boolean {
    return this.#from <= version && version <= this.#to;
  }

  /** The state at `version`. */
  at(version: number): States {
    const { steps, failed } = this.#view;
    const count = stepsUpTo(steps, version);
    const whole = Math.floor(count / APART);
    for (let next = this.#kept.length; next <= whole; next++) {
      this.#kept.push(after(this.#kept[next - 1], steps, (next - 1) * APART, next * APART));
    }
    const state = after(this.#kept[whole], steps, whole * APART, count);
    const last = steps[count - 1];
    const at = { version, state, ...(last?.version === version && { step: last }) };
    if (failed === undefined || version < failed.version) return { at, isLoading: false };
    const problem = `The decider failed at version ${failed.version}: ${failed.reason}`;
    return { at, isLoading: false, problem };
  }
}

/** How many steps are at versions up to `version`. */
function stepsUpTo(steps: readonly StateStep[], version: number): number {
  let [low, high] = [0, steps.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle]!.version <= version) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A state after the steps from one index up to another. */
function after(state: unknown, steps: readonly StateStep[], from: number, to: number): unknown {
  for (let at = from; at < to; at++) state = steps[at]!.changes.reduce(changed, state);
  return state;
}

/** `value` after a change; parts that stay are shared. */
export function changed(value: unknown, change: Change): unknown {
  return put(value, change, 0);
}

function put(value: unknown, change: Change, depth: number): unknown {
  const key = change.path[depth];
  if (key === undefined) return change.after;
  const isLast = depth === change.path.length - 1;
  if (Array.isArray(value)) {
    const index = Number(key);
    if (isLast && !("after" in change)) return value.slice(0, index);
    return Object.assign([...value], { [index]: put(value[index], change, depth + 1) });
  }
  const { [key]: part, ...others } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (isLast && !("after" in change)) return others;
  // A key keeps its place among the others.
  return { ...(value as object), [key]: put(part, change, depth + 1) };
}

/** The paths at which two JSON values differ, as changes. */
export function differences(
  before: unknown,
  after: unknown,
  path: readonly (string | number)[] = [],
): Change[] {
  if (Object.is(before, after)) return [];
  const isPair = typeof before === "object" && typeof after === "object" && before !== null &&
    after !== null && Array.isArray(before) === Array.isArray(after);
  if (!isPair) return [{ path, before, after }];
  const [old, now] = [before, after] as Record<string, unknown>[];
  const keys = new Set([...Object.keys(old!), ...Object.keys(now!)]);
  return [...keys].flatMap((key) => {
    const step = [...path, Array.isArray(before) ? Number(key) : key];
    if (!(key in old!)) return [{ path: step, after: now![key] }];
    if (!(key in now!)) return [{ path: step, before: old![key] }];
    return differences(old![key], now![key], step);
  });
}
