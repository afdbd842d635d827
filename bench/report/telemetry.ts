/** The cost of counting and tracing without an SDK of OpenTelemetry. */
import { StoreMonitor } from "../../store/telemetry/monitor.ts";
import { eventOf } from "../scene.ts";
import type { Chapter } from "./chapter.ts";

export const telemetry: Chapter = {
  name: "telemetry",
  async run(context) {
    const monitor = new StoreMonitor({ "db.system.name": "nats", "db.namespace": "bench" });
    const ops = context.size(10_000, 100);
    const events = [eventOf("order-1", 1)];
    const receipt = { sequence: 1, duplicate: false };
    const save = () => Promise.resolve(receipt);
    const lookUp = () => Promise.resolve(1);
    const times = (work: () => unknown) => async () => {
      for (let at = 0; at < ops; at++) await work();
    };
    return [{
      title: "Telemetry without an SDK",
      about:
        "What a store does for its counts, and for spans and metrics that nobody takes, beside " +
        "the same without.",
      comparisons: [
        await context.compare("saves that do nothing", [
          { name: "unwatched", ops, run: times(save) },
          { name: "watched", ops, run: times(() => monitor.save(events, save)) },
        ]),
        await context.compare("lookups that do nothing", [
          { name: "unwatched", ops, run: times(lookUp) },
          { name: "watched", ops, run: times(() => monitor.lookUp("order-1", lookUp)) },
          { name: "counted as cached", ops, run: times(() => monitor.hit()) },
        ]),
      ],
    }];
  },
};
