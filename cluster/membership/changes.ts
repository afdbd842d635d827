import { type ClusterMember, type ClusterView, type Departure, memberOf } from "./view.ts";

/** One change of the cluster from one view to a later one. */
export type ClusterChange =
  /** A node came: a new one, or another incarnation of one that had left. */
  | { readonly type: "joined"; readonly member: ClusterMember; readonly view: ClusterView }
  /** A member has announced that it will leave. */
  | { readonly type: "leaving"; readonly member: ClusterMember; readonly view: ClusterView }
  /** A member is gone, in one of these ways. */
  | { readonly type: Departure; readonly member: ClusterMember; readonly view: ClusterView }
  /** Another member coordinates, or none for the time being. */
  | {
    readonly type: "coordinator";
    readonly coordinator: string | undefined;
    readonly view: ClusterView;
  };

/**
 * The changes from `before` to `after`: members that are gone, that came, that are about to leave,
 * and the coordinator. A node that came and left in between is not among them.
 */
export function changesBetween(before: ClusterView, after: ClusterView): ClusterChange[] {
  const changes: ClusterChange[] = [];
  for (const member of before.members) {
    if (memberOf(after, member.nodeId, member.incarnation) !== undefined) continue;
    changes.push({ type: departureOf(after, member), member, view: after });
  }
  for (const member of after.members) {
    const known = memberOf(before, member.nodeId, member.incarnation);
    if (known === undefined) changes.push({ type: "joined", member, view: after });
    if (member.status === "leaving" && known?.status !== "leaving") {
      changes.push({ type: "leaving", member, view: after });
    }
  }
  if (before.coordinator !== after.coordinator) {
    changes.push({ type: "coordinator", coordinator: after.coordinator, view: after });
  }
  return changes;
}

function departureOf(view: ClusterView, { nodeId, incarnation }: ClusterMember): Departure {
  const departed = view.departed.findLast((departed) =>
    departed.nodeId === nodeId && departed.incarnation === incarnation
  );
  if (departed !== undefined) return departed.how;
  // Gone so long that no view remembers how: then it counts as crashed.
  return memberOf(view, nodeId) === undefined ? "crashed" : "replaced";
}
