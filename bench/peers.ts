/**
 * Peers beside Aether, on the same work in one run: `deno task bench:peers [--short] [--seconds=2]`.
 * They are installed by npm into a folder that is removed in the end; a peer that does not install, or
 * fails, is named and left out. Writes `bench/peers.md`, `bench/peers.json` and charts, unless it is
 * `--short`.
 */
import { join } from "node:path";
import process from "node:process";
import { deno } from "../tools/command.ts";
import { ROOT } from "../tools/root.ts";
import type { Peer, PeerEvent } from "./peers/peer.ts";
import { Postgres, Scratch } from "./peers/scratch.ts";
import {
  actMemory,
  actPostgres,
  castore,
  emmettMemory,
  emmettPostgres,
  emmettSqlite,
  jetStream,
  jetStreamSynced,
  memory,
  raw,
} from "./peers/stores.ts";
import { type Comparison, Context, type Section } from "./report/chapter.ts";
import { draw } from "./report/charts.ts";
import { inFlight, type Way } from "./report/measure.ts";
import { sectionOf, settingOf } from "./report/page.ts";
import { settingNow } from "./report/setting.ts";

const short = Deno.args.includes("--short");
const seconds = Number(/--seconds=([\d.]+)/.exec(Deno.args.join(" "))?.[1] ?? 2);
const data = { total: 99.99, items: 3, customer: "customer-4711", address: "1 Main Street" };
const eventsOf = (count: number): PeerEvent[] =>
  Array.from({ length: count }, () => ({ type: "OrderPlaced", data }));

// Some print prettily otherwise, by a thread that Deno cannot load.
Deno.env.set("NODE_ENV", "production");
// Act sleeps for 100 ms before each call of its store in memory otherwise, to play a slow one.
Deno.env.set("SLEEP_MS", "0");

const left: string[] = [];
const stack = new AsyncDisposableStack();

/** Opens a peer and tries it; names it if that fails. */
async function tried(name: string, open: () => Promise<Peer>): Promise<Peer[]> {
  console.error(`${name} is opened`);
  try {
    const peer = stack.use(await open());
    await peer.append("try-1", 0, eventsOf(2));
    await peer.append("try-1", 2, eventsOf(1));
    const { length } = await peer.read("try-1");
    if (length !== 3) throw new Error(`it has read ${length} of 3 events`);
    return [peer];
  } catch (error) {
    const reason = String(error).replace(/\s+/g, " ").slice(0, 160);
    left.push(`${name}: ${reason}`);
    console.error(`${name} is left out: ${reason}`);
    return [];
  }
}

async function compareAll(context: Context, peers: readonly Peer[]): Promise<Comparison[]> {
  let run = 0;
  const ways = (ops: number, make: (peer: Peer) => Way["run"]): Way[] =>
    peers.map((peer) => ({ name: peer.name, ops, run: make(peer) }));
  /** Quick work, one after the other: so many in a run that timers and the compiler do not show. */
  const oneByOne = (ops: number, make: (peer: Peer) => () => Promise<void>): Way[] =>
    ways(ops, (peer) => {
      const work = make(peer);
      return () => inFlight(Array.from({ length: ops }), 1, work);
    });
  const burst = context.size(50, 1);
  const comparisons: Comparison[] = [];
  comparisons.push(
    await context.compare(
      "one event, one at a time",
      oneByOne(burst, (peer) => {
        let version = 0;
        return async () => void await peer.append("order-1", version++, eventsOf(1));
      }),
    ),
  );
  const many = context.size(1_000, 20);
  comparisons.push(
    await context.compare(
      `${many.toLocaleString("en")} events to as many new streams, 64 in flight`,
      ways(many, (peer) => () => {
        const mine = ++run;
        const streams = Array.from({ length: many }, (_, at) => `new-${mine}-${at}`);
        return inFlight(streams, 64, (stream) => peer.append(stream, 0, eventsOf(1)));
      }),
    ),
  );
  comparisons.push(
    await context.compare(
      "a commit of 100 events",
      oneByOne(
        Math.ceil(burst / 10),
        (peer) => async () => void await peer.append(`hundred-${++run}`, 0, eventsOf(100)),
      ),
    ),
  );
  for (const count of context.size([10, 1_000, 10_000], [10])) {
    const stream = `long-${count}`;
    for (const peer of peers) {
      const size = Math.min(count, 100);
      for (let at = 0; at < count; at += size) await peer.append(stream, at, eventsOf(size));
    }
    comparisons.push(
      await context.compare(
        `a history of ${count.toLocaleString("en")} events`,
        oneByOne(Math.ceil(burst * 10 / count), (peer) => async () => {
          const { length } = await peer.read(stream);
          if (length !== count) throw new Error(`${peer.name} has read ${length} events`);
        }),
      ),
    );
  }
  return comparisons;
}

async function main(): Promise<void> {
  const scratch = stack.use(await Scratch.make());
  const postgres = await Postgres.start(scratch).then((it) => stack.use(it), (error) => {
    left.push(`PostgreSQL: ${String(error).replace(/\s+/g, " ").slice(0, 160)}`);
    return undefined;
  });
  const volatile = [
    ...await tried("Aether, memory", memory),
    ...await tried("Emmett, memory", () => emmettMemory(scratch)),
    ...await tried("Castore, memory", () => castore(scratch)),
    ...await tried("Act, memory", () => actMemory(scratch)),
  ];
  const durable = [
    ...await tried("Aether, JetStream, sync always", jetStreamSynced),
    ...await tried("Aether, JetStream", jetStream),
    ...await tried("raw nats.js", raw),
    ...postgres === undefined ? [] : [
      ...await tried("Emmett, PostgreSQL", () => emmettPostgres(scratch, postgres)),
      ...await tried("Act, PostgreSQL", () => actPostgres(scratch, postgres)),
    ],
    ...await tried("Emmett, SQLite", () => emmettSqlite(scratch)),
  ];
  const begun = performance.now();
  const context = new Context(seconds * 1000, short, (line) => {
    console.error(`${Math.round((performance.now() - begun) / 1000)} s: ${line}`);
  });
  const sections: Section[] = [];
  for (const [title, peers] of [["In memory", volatile], ["Kept", durable]] as const) {
    const comparisons = await compareAll(context, peers);
    const file = title === "Kept" ? "peers-kept" : "peers-memory";
    sections.push({
      title,
      about: `Safe once a save is acknowledged: ${
        peers.map(({ name, durability }) => `${name}: ${durability}`).join("; ")
      }.`,
      comparisons,
      charts: [{
        file,
        title: `${title}: times as fast as ${peers[0]!.name}`,
        x: "work",
        y: "times as fast",
        mark: "bar",
        points: comparisons.flatMap(({ work, ways }) =>
          ways.map(({ name, speed }) => ({ x: work, y: speed?.p50 ?? 1, way: name }))
        ),
      }],
    });
  }
  const setting = await settingNow(["deno task bench:peers", ...Deno.args].join(" "), seconds);
  const page = [
    "# Aether and its peers",
    "",
    settingOf(setting),
    "",
    "The same work in the same run, all in one Deno process; _as fast_ is in times of the first row. " +
    "Those of others in memory hand out references, without decoding or copying. With _sync always_ " +
    "Aether has the option `groupCommit`.",
    "",
    ...left.map((it) => `- Left out: ${it}`),
    "",
    ...sections.flatMap(sectionOf),
  ].join("\n");
  if (short) return console.log(page);
  const folder = join(ROOT, "bench");
  await Deno.mkdir(join(folder, "charts"), { recursive: true });
  for (const chart of sections.flatMap(({ charts = [] }) => charts)) {
    await Deno.writeTextFile(join(folder, "charts", `${chart.file}.svg`), `${await draw(chart)}\n`);
  }
  const written = ["peers.md", "peers.json"].map((name) => join(folder, name));
  await Deno.writeTextFile(written[0]!, page);
  await Deno.writeTextFile(written[1]!, JSON.stringify({ setting, left, sections }, null, 2));
  await deno(["fmt", "-q", ...written]);
  console.error(`Written: ${written.join(", ")}`);
}

try {
  await main();
} finally {
  await stack.disposeAsync();
}
process.exit(0);
