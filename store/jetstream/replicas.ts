import type { StreamApi } from "../nats/stream_api.ts";
import { type GaugeValue, watchGauges } from "../telemetry/gauges.ts";
import type { StoreAttributes } from "../telemetry/instruments.ts";

/** The gauges of a replicated stream; a stream on one server shows none. */
const GAUGES = {
  "aether.store.replica.lag": {
    unit: "{message}",
    description: "Messages that a follower of the stream is behind its leader, by follower",
  },
  "aether.store.replicas": {
    unit: "{replica}",
    description: "Followers of the stream by state: current, behind or offline",
  },
} as const;

/** Shows how far the stream's followers are behind its leader, as the leader says. */
export function watchReplicas(
  api: StreamApi,
  attributes: StoreAttributes,
  timeout: number,
): () => Promise<void> {
  return watchGauges(GAUGES, async () => {
    const { cluster } = await api.info(timeout) ?? {};
    const followers = cluster?.replicas ?? [];
    if (followers.length === 0) return [];
    const states = { current: 0, behind: 0, offline: 0 };
    const values: GaugeValue<keyof typeof GAUGES>[] = [];
    for (const { name, current, offline = false, lag = 0 } of followers) {
      states[offline ? "offline" : current ? "current" : "behind"]++;
      const own = { ...attributes, "aether.replica.name": name };
      values.push({ gauge: "aether.store.replica.lag", value: lag, attributes: own });
    }
    for (const [state, value] of Object.entries(states)) {
      const own = { ...attributes, "aether.replica.state": state };
      values.push({ gauge: "aether.store.replicas", value, attributes: own });
    }
    return values;
  });
}
