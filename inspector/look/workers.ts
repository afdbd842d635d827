import type { ParkedActor } from "../../store/projection/state.ts";
import type { ProjectionMetrics } from "../../store/projection/monitor.ts";
import type { ProjectionLag } from "../../store/projection/lag.ts";
import type { ProjectionStatus, ProjectionWaitOptions } from "../../store/projection/options.ts";
import { checkpointsOf } from "../../store/projection/projection.ts";
import type { ProjectionCheckpoints } from "../../store/projection/checkpoints.ts";
import { KvCheckpointStore } from "../../store/projection/kv_checkpoints.ts";
import { projectionsOf } from "../../store/process/manager.ts";
import type { ProcessDescription } from "../../store/process/manager_options.ts";
import type { ParkedProcess } from "../../store/process/parked.ts";
import { projectionOf } from "../../store/process/reactor.ts";
import type { ProjectionAction } from "../views/projections.ts";

/** A `Projection` or a `Reactor`. */
export interface InspectedProjection {
  /** Its name. */
  readonly name: string;
  /** Counts of its work in this process. */
  readonly metrics: ProjectionMetrics;
  /** How far it is behind the store. */
  lag(options?: ProjectionWaitOptions): Promise<ProjectionLag>;
  /** Its status, for all processes. */
  status(): Promise<ProjectionStatus>;
  /** The actors whose events wait. */
  parked(): Promise<ParkedActor[]>;
  /** Stops handling, in all processes. */
  pause(): Promise<void>;
  /** Goes on handling, in all processes. */
  resume(): Promise<void>;
  /** Tries the waiting events of an actor again. */
  unpark(actorId: string, options?: ProjectionWaitOptions): Promise<boolean>;
  /** Passes over a message that belongs to no actor. */
  skip(sequence: number): Promise<void>;
  /** Builds a new version; a reactor has none. */
  rebuild?(): Promise<number>;
}

/** A `ProcessManager`. */
export interface InspectedProcesses {
  /** The kind of its processes. */
  readonly name: string;
  /** The state of a process, and the things that it waits for. */
  describe(id: string): Promise<ProcessDescription>;
  /** The processes that are parked. */
  parked(): Promise<ParkedProcess[]>;
  /** How far it is behind the store with giving events to processes. */
  lag(options?: ProjectionWaitOptions): Promise<ProjectionLag>;
  /** Stops taking inputs and sending commands, in all processes. */
  pause(): Promise<void>;
  /** Goes on, in all processes. */
  resume(): Promise<void>;
  /** Lets a parked process go on. */
  retry(id: string, options?: ProjectionWaitOptions): Promise<boolean>;
  /** Ends a process by hand. */
  end(id: string, options?: { readonly reason?: string }): Promise<void>;
  /** Tries the waiting events of an actor again. */
  unpark(actorId: string, options?: ProjectionWaitOptions): Promise<boolean>;
  /** Passes over a message that belongs to no actor. */
  skip(sequence: number): Promise<void>;
}

/** Something of this process with checkpoints of a projection. */
export interface Worker {
  /** The name of its checkpoints. */
  readonly name: string;
  readonly kind: "projection" | "reactor" | "process";
  readonly actions: readonly ProjectionAction[];
  /** Its checkpoints, where they are not in the namespace's bucket. */
  readonly checkpoints: Pick<ProjectionCheckpoints<unknown>, "store"> | undefined;
  readonly metrics: ProjectionMetrics | undefined;
  /** Does what was asked for. */
  readonly target: Partial<
    Pick<InspectedProjection, "pause" | "resume" | "unpark" | "skip" | "rebuild" | "status" | "lag">
  >;
}

/** All that an inspector was given that has checkpoints of projections. */
export function workersOf(
  projections: readonly InspectedProjection[],
  processes: readonly InspectedProcesses[],
): Worker[] {
  return [
    ...projections.map((own): Worker => {
      const inner = projectionOf(own);
      const kind = inner === undefined ? "projection" : "reactor";
      const common: ProjectionAction[] = ["unpark", "skip", "pause", "resume"];
      return {
        ...{ name: inner?.name ?? own.name, kind, target: own },
        actions: inner === undefined ? [...common, "rebuild"] : common,
        checkpoints: elsewhere(inner ?? own),
        // A getter, so that each look sees the present counts.
        get metrics() {
          return own.metrics;
        },
      };
    }),
    ...processes.flatMap((manager) => {
      const [inbox, outbox] = projectionsOf(manager) ?? [];
      const made = (projection: typeof inbox, isInbox: boolean): Worker[] =>
        projection === undefined ? [] : [{
          ...{ name: projection.name, kind: "process" },
          ...{ actions: isInbox ? ["unpark", "skip"] : [], target: isInbox ? manager : {} },
          checkpoints: elsewhere(projection),
          get metrics() {
            return projection.metrics;
          },
        }];
      return [...made(inbox, true), ...made(outbox, false)];
    }),
  ];
}

/** The checkpoints of a projection that keeps them somewhere else than in a bucket. */
function elsewhere(projection: object): Worker["checkpoints"] {
  const checkpoints = checkpointsOf(projection);
  return checkpoints?.store instanceof KvCheckpointStore ? undefined : checkpoints;
}
