import { incarnationKey, type NodeIncarnation } from "../incarnation.ts";
import type { ShardMember } from "./shard_plan.ts";
import { StoreUnavailableError } from "../../store/errors.ts";

/** How long a member that cannot serve gets no shards, in ms: at first, and at most. */
const [FIRST, LONGEST] = [30_000, 1_800_000];

/**
 * The members that live and cannot serve shards: each gets none for a while, longer each time that it fails
 * again soon after.
 */
export class UnableMembers {
  readonly #report: (error: unknown) => void;
  readonly #members = new Map<string, { until: number; pause: number }>();

  /** `report` gets each member that cannot serve. */
  constructor(report: (error: unknown) => void) {
    this.#report = report;
  }

  /** Takes note of what a member says of itself; true if it is to lose its shards for that. */
  note(member: ShardMember, reason: string | undefined): boolean {
    if (reason === undefined || member.capacity === 0 || this.has(member)) return false;
    const key = incarnationKey(member);
    const known = this.#members.get(key);
    const now = performance.now();
    const isSoon = known !== undefined && now < known.until + known.pause;
    const pause = isSoon ? Math.min(2 * known.pause, LONGEST) : FIRST;
    this.#members.set(key, { until: now + pause, pause });
    this.#report(
      new StoreUnavailableError(
        `Cannot give shards to node "${member.nodeId}": ${reason}; other nodes get them, if any can`,
      ),
    );
    return true;
  }

  /** Whether a member gets no shards at present. */
  has(member: NodeIncarnation): boolean {
    const { until = -Infinity } = this.#members.get(incarnationKey(member)) ?? {};
    return performance.now() < until;
  }

  /** The members with the capacity that they have at present; if none can serve, all as they are. */
  without(members: readonly ShardMember[]): readonly ShardMember[] {
    const keys = new Set(members.map(incarnationKey));
    for (const key of [...this.#members.keys()]) if (!keys.has(key)) this.#members.delete(key);
    const some = members.some((member) => member.capacity > 0 && !this.has(member));
    if (!some) return members;
    return members.map((member) => this.has(member) ? { ...member, capacity: 0 } : member);
  }
}
