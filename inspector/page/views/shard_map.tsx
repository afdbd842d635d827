/** The shards as a field of squares, each in its owner's colour. */
import type { VNode } from "preact";
import type { ClusterStateView } from "../answers.ts";
import { count } from "../words.ts";

/** Colours that owners can be told apart by; more owners share them. */
const COLOURS = 10;
/** The side of a square and its distance from the next one's. */
const [SIDE, STEP] = [10, 12];

/** The class of an owner's colour. */
export function colourOf(owner: number): string {
  return owner < 0 ? "owner-none" : `owner-${owner % COLOURS}`;
}

/** The arguments of {@linkcode ShardMap}. */
export interface ShardMapProps {
  readonly cluster: ClusterStateView;
}

/** Draws the map of shards. */
export function ShardMap({ cluster: { map, handoffs } }: ShardMapProps): VNode {
  const { shards, owners } = map;
  const columns = Math.min(32, Math.max(8, Math.ceil(Math.sqrt(shards.length * 1.4))));
  const rows = Math.ceil(shards.length / columns);
  const moving = new Map(handoffs.map((handoff) => [handoff.shard, handoff]));
  const sums = owners.map((owner, index) =>
    `${owner} ${count(shards.filter((of) => of === index).length)}`
  );
  return (
    <svg
      class="shards"
      role="img"
      aria-label={`${count(shards.length)} shards: ${sums.join(", ")}${
        map.free > 0 ? `, without owner ${count(map.free)}` : ""
      }`}
      viewBox={`0 0 ${columns * STEP} ${rows * STEP}`}
    >
      {shards.map((owner, shard) => {
        const move = moving.get(shard);
        const text = move
          ? `shard ${shard}: ${move.from ?? "nobody"} → ${move.to ?? "nobody"}`
          : `shard ${shard}: ${owners[owner] ?? "no owner"}`;
        return (
          <rect
            key={shard}
            class={`${colourOf(owner)}${move ? " moving" : ""}`}
            x={(shard % columns) * STEP + 1}
            y={Math.floor(shard / columns) * STEP + 1}
            width={SIDE}
            height={SIDE}
            rx="2"
          >
            <title>{text}</title>
          </rect>
        );
      })}
    </svg>
  );
}
