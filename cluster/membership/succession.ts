import type { Leader } from "../election/leader_key.ts";
import type { FailureWatch } from "./failure_watch.ts";
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

/** The task of one node in the succession. */
export interface Turn {
  /** Whether it coordinates: all before it are out. */
  readonly isNext: boolean;
  /**
   * The members that it watches: those before it, up to the first that seems alive; all others if
   * there is none.
   */
  readonly watched: readonly ClusterMember[];
}

/** The task of a member in the succession, by what it knows of the failures of others. */
export function turnOf(
  nodeId: string,
  view: ClusterView,
  leader: Leader | undefined,
  failures: Pick<FailureWatch, "outOf" | "verdict">,
): Turn {
  let isNext = true;
  const watched: ClusterMember[] = [];
  for (const member of successionOf(view, leader)) {
    if (member.nodeId === nodeId) {
      return { isNext, watched: view.members.filter((other) => other.nodeId !== nodeId) };
    }
    watched.push(member);
    const isOut = failures.outOf(member) !== undefined;
    isNext &&= isOut;
    if (!isOut && failures.verdict(member) === "alive") break;
  }
  return { isNext, watched };
}
