import { createNoopMeter, type Meter, type MetricOptions, metrics } from "@opentelemetry/api";
import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { LocalEventBus } from "../../bus/local.ts";
import {
  InMemoryCheckpointStore,
  InMemoryEventStore,
  ProcessManager,
  Projection,
} from "../../store/mod.ts";
import { mustRun } from "../../tools/command.ts";
import { findPromtool } from "../../tools/prometheus_binary.ts";
import { ROOT } from "../../tools/root.ts";
import * as bed from "../cluster/bed.ts";
import { natsTest } from "../support/fixture.ts";

const FOLDER = join(ROOT, "docs", "operations");
const ALERTS = await Deno.readTextFile(join(FOLDER, "alerts.yaml"));
const DASHBOARD = JSON.parse(await Deno.readTextFile(join(FOLDER, "dashboard.json"))) as {
  readonly panels: readonly { readonly targets: readonly { readonly expr: string }[] }[];
};
const QUERIES = DASHBOARD.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

/** The names that Prometheus gives to what is made of a meter: by OTLP's rules for names and units. */
class Names {
  readonly all = new Set<string>();

  /** A meter that notes what is made of it. */
  meter(): Meter {
    const noop = createNoopMeter();
    const note = (kind: string, name: string, { unit = "" }: MetricOptions = {}) => {
      const base = name.replaceAll(".", "_") + (unit === "s" ? "_seconds" : "");
      const ends = kind.includes("Histogram")
        ? ["_bucket", "_sum", "_count"]
        : [/^create(Observable)?Counter$/.test(kind) ? "_total" : ""];
      for (const end of ends) this.all.add(base + end);
    };
    return new Proxy(noop, {
      get: (target, key: keyof Meter) => (name: string, options: MetricOptions) => {
        if (key.startsWith("create")) note(key, name, options);
        return (target[key] as (...args: unknown[]) => unknown)(name, options);
      },
    });
  }
}

/** The metrics that a query names. */
function metricsIn(query: string): string[] {
  return query.match(/\b(aether|db_client|messaging)_\w+(?=[{[) ]|$)/g) ?? [];
}

natsTest("each metric of the alerts and the dashboard is one of ours", async (scene) => {
  const names = new Names();
  metrics.setGlobalMeterProvider({ getMeter: () => names.meter() });
  await using store = new InMemoryEventStore({ namespace: "shop" });
  await using _bus = new LocalEventBus();
  const checkpoints = new InMemoryCheckpointStore();
  await using projection = new Projection({ name: "orders", store, checkpoints, handler() {} });
  const process = {
    ...{ name: "order", correlate: () => undefined, initialState: () => 0 },
    ...{ evolve: () => 0, react: () => ({}) },
  };
  await using manager = new ProcessManager({ process, store, checkpoints, from: "start" });
  const running = [projection.run(), manager.run()];
  const node = await bed.join(scene, "a");
  await node.leave();
  metrics.disable();
  for (const one of [projection, manager]) await one[Symbol.asyncDispose]();
  await Promise.all(running);
  const attributes = /\b(le|by|aether_\w+|db_\w+|messaging_\w+)\b/;
  const used = [...ALERTS.matchAll(/expr:(.*?)\n {8}\w/gs)].map(([, expr]) => expr!);
  assert(used.length > 8 && QUERIES.length > 8);
  let seen = 0;
  for (const query of [...used, ...QUERIES]) {
    const outside = query.replaceAll(/by \(.*?\)/g, "").replaceAll(/\{.*?\}/g, "{}");
    for (const metric of metricsIn(outside)) {
      seen++;
      assert(names.all.has(metric), `${metric} is none of ${[...names.all].join(", ")}`);
    }
    assert(attributes.test(query));
  }
  assert(seen >= used.length + QUERIES.length);
});

const promtool = await findPromtool();

Deno.test({
  name: "Prometheus reads the alerts, and each fires when it should" +
    (promtool ? "" : " (there is no promtool)"),
  ignore: promtool === undefined,
  async fn() {
    await mustRun(promtool!, ["check", "rules", "alerts.yaml"], { cwd: FOLDER });
    await mustRun(promtool!, ["test", "rules", "alerts_test.yaml"], { cwd: FOLDER });
    const tested = await Deno.readTextFile(join(FOLDER, "alerts_test.yaml"));
    const untested = [...ALERTS.matchAll(/alert: (\w+)/g)].map(([, name]) => name!)
      .filter((name) => !tested.includes(`alertname: ${name}\n`));
    assertEquals(untested, []);
  },
});

Deno.test({
  name: "Prometheus reads the queries of the dashboard" +
    (promtool ? "" : " (there is no promtool)"),
  ignore: promtool === undefined,
  async fn() {
    const rules = QUERIES.map((expr, at) => ({ record: `query:${at}`, expr }));
    const file = await Deno.makeTempFile({ suffix: ".yaml" });
    try {
      await Deno.writeTextFile(file, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
      await mustRun(promtool!, ["check", "rules", file]);
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test("the guide has a runbook for each alert, and none for others", async () => {
  const page = await Deno.readTextFile(join(ROOT, "docs", "operations.md"));
  const runbooks = [...page.matchAll(/^### (Aether\w+)$/gm)].map(([, name]) => name);
  assertEquals(runbooks, [...ALERTS.matchAll(/alert: (\w+)/g)].map(([, name]) => name));
});
