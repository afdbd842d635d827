import type { Leader } from "../election/leader_key.ts";
import { type ClusterMember, type ClusterView, memberOf } from "./view.ts";

/**
 * The members in the order in which they take over coordination: the leader, then the others from
 * the oldest on, those that are leaving last. A member coordinates only if all before it are out.
 */
export function successionOf(
  view: ClusterView,
  leader: Leader | undefined,
): readonly ClusterMember[] {
  const first = leader && memberOf(view, leader.nodeId, leader.incarnation);
  const others = view.members.filter((member) => member !== first);
  return [
    ...(first === undefined ? [] : [first]),
    ...others.filter(({ status }) => status === "up"),
    ...others.filter(({ status }) => status === "leaving"),
  ];
}
