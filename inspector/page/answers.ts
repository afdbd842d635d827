/** The types of what the API is asked and answers, in one place. */
export type { AboutView } from "../views/about.ts";
export type { ActionRequest, ActionView } from "../views/act.ts";
export type { ActorQuery, ActorView, EventView } from "../views/actor.ts";
export type { ActorsView } from "../views/actors.ts";
export type { CausationNode, CausationView, CausedEvent } from "../views/causation.ts";
export type { ClusterStateView } from "../views/cluster.ts";
export type { LiveEvents } from "../views/live.ts";
export type { ProcessesView, ProcessView } from "../views/processes.ts";
export type {
  PartitionView,
  ProjectionAction,
  ProjectionsView,
  ProjectionView,
} from "../views/projections.ts";
export type { Change, StateStep, StatesView } from "../views/states.ts";
export type { RatesView, ReplicaView, StoreView } from "../views/store.ts";
export type { TailEvents, TailQuery } from "../views/tail.ts";
export type { VerifyEvents } from "../views/verify.ts";
