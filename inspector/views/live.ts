import type { ClusterStateView } from "./cluster.ts";
import type { ProjectionsView } from "./projections.ts";
import type { StoreView } from "./store.ts";

/** The body of a request for `live`. */
export interface LiveQuery {
  /** The views that are sent; each once at the beginning, then when it has changed, about twice in a second. */
  readonly views: readonly ("store" | "projections" | "cluster")[];
}

/** The events of `live`, by name. */
export interface LiveEvents {
  /** A view could not be made; it is tried again. */
  readonly trouble: { readonly view: LiveQuery["views"][number]; readonly detail: string };
  readonly store: StoreView;
  readonly projections: ProjectionsView;
  readonly cluster: ClusterStateView;
}
