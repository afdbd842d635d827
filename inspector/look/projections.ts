import { encodeToken } from "../../store/base/token.ts";
import { messageOf } from "../../store/base/text.ts";
import { readControl, readState } from "../../store/projection/checkpoints.ts";
import {
  type KeptParked,
  type PartitionState,
  type ProjectionControl,
  ProjectionKeys,
  type ProjectionVersion,
} from "../../store/projection/state.ts";
import { messagesBehind } from "./actor_index.ts";
import type { ProjectionRecords, SavedProjections } from "./records.ts";
import type { PartitionView, ProjectionsView, ProjectionView } from "../views/projections.ts";
import type { StoreSource } from "./source.ts";
import type { Worker } from "./workers.ts";

/** Parked actors of one projection that are shown. */
const MOST_PARKED = 200;
/** Messages that are looked through to count what is unhandled, and for how long, in ms. */
const [MOST_COUNTED, PATIENCE] = [2_000, 1_000];

/** Projections, reactors and processes by the positions that they have saved. */
export class ProjectionsLook {
  readonly #source: StoreSource;
  readonly #records: ProjectionRecords | undefined;
  readonly #workers: ReadonlyMap<string, Worker>;
  readonly #hasActions: boolean;

  /** Looks at those of this process, and at those in the namespace's bucket. */
  constructor(
    source: StoreSource,
    records: ProjectionRecords | undefined,
    workers: readonly Worker[],
    hasActions: boolean,
  ) {
    this.#source = source;
    this.#records = records;
    this.#workers = new Map(workers.map((worker) => [worker.name, worker]));
    this.#hasActions = hasActions;
  }

  /** All of them, by name. */
  async view(): Promise<ProjectionsView> {
    const [saved, end] = await Promise.all([
      this.#records?.read(),
      this.#source.lastEvent(),
    ]);
    const names = new Set([...saved?.names ?? [], ...this.#workers.keys()]);
    const projections = await Promise.all(
      [...names].sort().map((name) => this.#viewOf(name, saved, end)),
    );
    return { at: new Date().toISOString(), projections };
  }

  async #viewOf(
    name: string,
    saved: SavedProjections | undefined,
    end: number,
  ): Promise<ProjectionView> {
    const worker = this.#workers.get(name);
    const metrics = worker?.metrics;
    const facts = {
      ...{ name, kind: worker?.kind ?? kindOf(name), isLocal: worker !== undefined },
      actions: this.#hasActions && worker !== undefined ? worker.actions : [],
      ...(metrics && { metrics }),
    };
    try {
      const store = worker?.checkpoints?.store;
      const load = store === undefined
        ? (key: string) => Promise.resolve(saved?.body(key))
        : async (key: string) => (await store.load(key))?.body;
      const state = await this.#stateOf(name, load, saved, end);
      const unhandled = state.lag === 0 ? 0 : await unhandledBy(worker, state.lag);
      return { ...facts, ...state, ...(unhandled !== undefined && { unhandled }) };
    } catch (error) {
      return { ...facts, ...NOTHING, error: messageOf(error) };
    }
  }

  async #stateOf(
    name: string,
    load: (key: string) => Promise<string | undefined>,
    saved: SavedProjections | undefined,
    end: number,
  ): Promise<Omit<ProjectionView, "name" | "kind" | "isLocal" | "actions">> {
    const keys = new ProjectionKeys(name);
    const body = await load(keys.control);
    if (body === undefined) return { ...NOTHING, error: "It has not run yet" };
    const control: ProjectionControl = readControl(keys.control, body);
    const statesOf = ({ version, partitions }: ProjectionVersion) =>
      Promise.all(
        Array.from({ length: partitions }, async (_, partition) => {
          const key = keys.partition(version, partition);
          const body = await load(key);
          return body === undefined ? undefined : readState(key, body);
        }),
      );
    const { active, next, paused, skipped = [], failed } = control;
    const states = await statesOf(active);
    const building = next && await statesOf(next);
    const viewsOf = (of: ProjectionVersion, all: readonly (PartitionState | undefined)[]) =>
      all.map((state, partition): PartitionView => {
        const position = state?.sequence ?? of.begin?.sequence ?? 0;
        const owner = saved?.ownerOf(encodeToken(name), of.version, partition);
        return {
          partition,
          ...(owner !== undefined && { owner }),
          ...{ position, lag: messagesBehind(end, position) },
          ...{ caughtUp: state?.caughtUp ?? false, parkedCount: state?.parked.length ?? 0 },
        };
      });
    const partitions = viewsOf(active, states);
    const parked = states.flatMap((state) => state?.parked ?? []);
    return {
      ...{ version: active.version, paused, partitions, skipped },
      lag: Math.max(0, ...partitions.map(({ lag }) => lag)),
      ...(next && building && {
        rebuild: {
          ...{ version: next.version, partitions: viewsOf(next, building) },
          progress: progressOf(building, end),
        },
      }),
      ...(failed && { failed: { version: failed.version, reason: failed.reason } }),
      parked: parked.slice(0, MOST_PARKED).map(({ answered: _, ...actor }: KeptParked) => actor),
      parkedCount: parked.length,
    };
  }
}

/** Counts what is unhandled, if that is quickly done. */
async function unhandledBy(worker: Worker | undefined, lag: number): Promise<number | undefined> {
  if (worker?.target.lag === undefined || lag > MOST_COUNTED) return undefined;
  try {
    const { events } = await worker.target.lag({ signal: AbortSignal.timeout(PATIENCE) });
    return events;
  } catch {
    return undefined; // The bound that is known is shown.
  }
}

const NOTHING = {
  ...{ version: 0, paused: false, partitions: [], lag: 0, parked: [], parkedCount: 0 },
  skipped: [],
};

/** The kind of a projection, by the name of its checkpoints. */
function kindOf(name: string): ProjectionView["kind"] {
  return name.startsWith("process:")
    ? "process"
    : name.startsWith("reactor:")
    ? "reactor"
    : "projection";
}

/** The part of the store that a version has seen, on average over its partitions. */
function progressOf(states: readonly (PartitionState | undefined)[], end: number): number {
  if (end === 0 || states.length === 0) return 1;
  const parts = states.map((state) => Math.min(1, (state?.sequence ?? 0) / end));
  return parts.reduce((sum, part) => sum + part, 0) / parts.length;
}
