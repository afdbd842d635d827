/** The states of an actor, fetched in stretches of versions and put together from changes. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Change, StateStep, StatesView } from "../answers.ts";
import { inWords } from "../api.ts";
import { useShared } from "../hooks.ts";

/** Versions of a stretch. */
const STRETCH = 200;
/** Stretches that are kept. */
const KEPT = 60;

/** The state at one version. */
export interface StateAt {
  readonly version: number;
  readonly state: unknown;
  /** What the event of that version changed; absent if it has none. */
  readonly step?: StateStep;
}

/** The latest known state, which may be of another version while the wanted one is fetched. */
export interface States {
  readonly at?: StateAt;
  readonly isLoading: boolean;
  readonly problem?: string;
}

interface Stretch {
  readonly from: number;
  /** The last version that it covers. */
  readonly to: number;
  readonly view: StatesView;
}

/** The state of an actor at `version`; `latest` is its latest version. */
export function useStates(
  actorId: string,
  version: number | undefined,
  latest: number,
  hasStates: boolean,
): States {
  const { api } = useShared();
  const stretches = useRef<Stretch[]>([]);
  const [states, setStates] = useState<States>({ isLoading: hasStates });
  useEffect(() => {
    stretches.current = [];
    setStates({ isLoading: hasStates });
  }, [actorId]);
  useEffect(() => {
    if (!hasStates || version === undefined || version < 1) return;
    const known = stretches.current.find(({ from, to }) => from <= version && version <= to);
    if (known !== undefined) {
      setStates(found(known.view, version));
      return;
    }
    const leaving = new AbortController();
    setStates((last) => ({ ...last, isLoading: true }));
    const start = Math.floor((version - 1) / STRETCH) * STRETCH + 1;
    const fetched = async (fromVersion: number): Promise<void> => {
      const toVersion = start + STRETCH - 1;
      const body = { actorId, fromVersion, toVersion };
      const view = await api.post<StatesView>("states", body, { signal: leaving.signal });
      const to = view.next === undefined ? Math.min(toVersion, latest) : view.next - 1;
      stretches.current = [{ from: fromVersion, to, view }, ...stretches.current].slice(0, KEPT);
      if (view.next !== undefined && view.next <= version) await fetched(view.next);
      else setStates(found(view, version));
    };
    fetched(start).catch((error) => {
      if (leaving.signal.aborted) return;
      setStates((last) => ({ ...last, isLoading: false, problem: inWords(error) }));
    });
    return () => leaving.abort();
  }, [actorId, version, latest, hasStates]);
  return states;
}

function found(view: StatesView, version: number): States {
  let state = view.initial;
  let last: StateStep | undefined;
  for (const step of view.steps) {
    if (step.version > version) break;
    state = step.changes.reduce(changed, state);
    last = step;
  }
  const { failed } = view;
  const at = { version, state, ...(last?.version === version && { step: last }) };
  if (failed === undefined || version < failed.version) return { at, isLoading: false };
  const problem = `The decider failed at version ${failed.version}: ${failed.reason}`;
  return { at, isLoading: false, problem };
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
