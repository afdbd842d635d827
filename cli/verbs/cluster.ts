import { ClusterLook } from "../../inspector/look/cluster.ts";
import { ClusterRecords } from "../../inspector/look/records.ts";
import { readerOf } from "../../store/jetstream/event_store.ts";
import { safe } from "../output.ts";
import type { Verb } from "../verb.ts";

/** Shards on their way that are listed. */
const MOST = 20;

/** `aether cluster`. */
export const cluster: Verb = {
  usage: "",
  summary: "Shows the members of the cluster, its leader, and the shards of each",
  details: "By its records in NATS: no node is asked. Ends with 1 if a shard has no owner.",
  words: [0, 0],
  examples: ["aether cluster --namespace shop", "aether cluster --json"],
  async run({ output, namespace, open }) {
    const reader = readerOf(await open());
    const records = new ClusterRecords(reader, namespace);
    const view = await new ClusterLook(reader, records, undefined).view();
    const { source, members, leader, map, handoffs, departed } = view;
    if (source === "none") {
      output.error(`There is no cluster of namespace "${safe(namespace)}"`);
      return 1;
    }
    if (output.json) output.item("", view);
    output.line(
      leader === undefined
        ? "There is no leader"
        : `${safe(leader.nodeId)} leads, term ${leader.term}`,
    );
    for (const { nodeId, status, shards } of members) {
      output.line(`${safe(nodeId)}: ${status}, ${shards} of ${map.shards.length} shards`);
    }
    if (map.free > 0) output.line(output.red(`${map.free} shards have no owner`));
    for (const { shard, from, to } of handoffs.slice(0, MOST)) {
      output.line(`shard ${shard} goes from ${safe(from ?? "nobody")} to ${safe(to ?? "nobody")}`);
    }
    if (handoffs.length > MOST) output.line(`and ${handoffs.length - MOST} more`);
    for (const { nodeId, how } of departed) output.line(output.faint(`${safe(nodeId)} ${how}`));
    return map.free > 0 ? 1 : 0;
  },
};
