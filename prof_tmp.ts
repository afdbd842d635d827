import inspector from "node:inspector";
import {
  createEvent,
  type Event,
  InMemoryCheckpointStore,
  KvCheckpointStore,
  type Process,
  ProcessManager,
  type ProcessReaction,
} from "./mod.ts";
import { Scene } from "./bench/scene.ts";
const s = new inspector.Session();
s.connect();
const post = (m: string, p?: object) =>
  new Promise<any>((res, rej) =>
    s.post(m as any, p as any, (e: any, r: any) => e ? rej(e) : res(r))
  );
await post("Profiler.enable");
await post("Profiler.setSamplingInterval", { interval: 500 });
function report(profile: any, name: string) {
  const self = new Map<string, number>();
  const nodes = new Map(profile.nodes.map((n: any) => [n.id, n]));
  let total = 0;
  const byFile = new Map<string, number>();
  profile.samples.forEach((id: number, i: number) => {
    const n: any = nodes.get(id);
    const dt = profile.timeDeltas[i];
    const f = n.callFrame;
    const file = f.url.split("/").slice(-3).join("/");
    const key = `${f.functionName || "anon"} ${file}:${f.lineNumber + 1}`;
    self.set(key, (self.get(key) ?? 0) + dt);
    byFile.set(file, (byFile.get(file) ?? 0) + dt);
    total += dt;
  });
  console.log(name, "total ms", Math.round(total / 1000));
  for (const [k, v] of [...self].sort((a, b) => b[1] - a[1]).slice(0, 40)) {
    console.log((v / total * 100).toFixed(1).padStart(5), k);
  }
  console.log("-- by file");
  for (const [k, v] of [...byFile].sort((a, b) => b[1] - a[1]).slice(0, 25)) {
    console.log((v / total * 100).toFixed(1).padStart(5), k);
  }
  Deno.writeTextFileSync(`/tmp/dl/${name}.cpuprofile`, JSON.stringify(profile));
}
const count = Number(Deno.args[0] ?? 10000),
  span = Number(Deno.args[1] ?? 6000),
  wait = Number(Deno.args[2] ?? 15000),
  replicas = Number(Deno.args[3] ?? 1) as 1 | 3;
await using scene = await Scene.open({ replicas });
const { store, connection } = scene;
const first = { at: 0 };
type Placed = Event<"Placed", number>;
const process: Process<null, Placed, Event<"Fired", null>> = {
  ...{ name: "timed", correlate: ({ actorId }) => actorId.slice("order-".length) },
  ...{ initialState: () => null, evolve: (state) => state },
  react: (_state, input) => {
    if (!("kind" in input)) {
      return { deadlines: { end: new Date(Math.round(first.at + span * input.data / count)) } };
    }
    return { facts: [{ eventType: "Fired", data: null }], done: true };
  },
};
for (let start = 0; start < count; start += 1000) {
  await store.saveEvents(
    Array.from({ length: Math.min(1000, count - start) }, (_, at) =>
      createEvent({
        eventType: "Placed",
        version: 1,
        data: start + at,
        actorId: `order-${start + at}`,
      })),
  );
}
async function stored(type: string, wanted: number, each?: (e: any) => void) {
  await using sub = store.subscribe({ filter: { category: "process:timed", eventTypes: [type] } });
  for await (const e of sub) {
    each?.(e);
    if (--wanted === 0) return;
  }
}
const checkpoints = await KvCheckpointStore.open(connection, { namespace: "bench" });
const manager = new ProcessManager({
  process,
  store,
  checkpoints,
  from: "start",
  filter: { category: "order" },
});
first.at = Date.now() + wait;
await post("Profiler.start");
const t0 = performance.now();
const running = manager.run();
await stored("DeadlineSet", count);
const t1 = performance.now();
report((await post("Profiler.stop")).profile, "set");
console.log(
  "set/s",
  Math.round(count / (t1 - t0) * 1000),
  "in time",
  Date.now() < first.at,
  "rss",
  Math.round(Deno.memoryUsage().rss / 1e6),
);
await new Promise((r) => setTimeout(r, Math.max(0, first.at - Date.now() - 50)));
await post("Profiler.start");
const late: number[] = [];
const f0 = Date.now();
const dues = new Map<string, number>();
await stored(
  "Fired",
  count,
  (e) =>
    late.push(
      e.timestamp.getTime() - (first.at + span * Number(e.actorId.split("-").at(-1)) / count),
    ),
);
const f1 = Date.now();
report((await post("Profiler.stop")).profile, "fire");
late.sort((a, b) => a - b);
console.log(
  "fired/s",
  Math.round(count / (f1 - first.at) * 1000),
  "late p50",
  late[count >> 1],
  "p99",
  late[Math.floor(count * 0.99)],
  "max",
  late.at(-1),
  "rss",
  Math.round(Deno.memoryUsage().rss / 1e6),
);
await manager[Symbol.asyncDispose]();
await running;
await checkpoints[Symbol.asyncDispose]();
Deno.exit(0);
