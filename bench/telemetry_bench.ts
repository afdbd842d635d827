/**
 * The cost of counting and tracing without an SDK of OpenTelemetry: a store's calls for them, 1,000
 * times, beside the same without. So a time in µs is the cost of one call in ns.
 */
import { StoreMonitor } from "../store/telemetry/monitor.ts";
import { eventOf } from "./scene.ts";

const monitor = new StoreMonitor({ "db.system.name": "nats", "db.namespace": "bench" });
const events = [eventOf("order-1", 1)];
const receipt = { sequence: 1, duplicate: false };
const save = () => Promise.resolve(receipt);
const lookUp = () => Promise.resolve(1);

Deno.bench("1,000 cached lookups, counted", () => {
  for (let time = 0; time < 1000; time++) monitor.hit();
});

Deno.bench("1,000 saves, unwatched", { group: "save", baseline: true }, async () => {
  for (let time = 0; time < 1000; time++) await save();
});

Deno.bench("1,000 saves, watched", { group: "save" }, async () => {
  for (let time = 0; time < 1000; time++) await monitor.save(events, save);
});

Deno.bench("1,000 uncached lookups, unwatched", { group: "lookup", baseline: true }, async () => {
  for (let time = 0; time < 1000; time++) await lookUp();
});

Deno.bench("1,000 uncached lookups, watched", { group: "lookup" }, async () => {
  for (let time = 0; time < 1000; time++) await monitor.lookUp("order-1", lookUp);
});

Deno.bench("1,000 reads, watched", () => {
  for (let time = 0; time < 1000; time++) monitor.reading("readEvents", "order-1").end();
});
