/**
 * Commands on one nats-server, from one process: a command is loaded, decided and saved as one
 * event. Each iteration is 1,000 commands, so that 333 ms are 3,000 a second.
 *
 * From four processes on one actor, as a script that prints one JSON object:
 *
 *     deno task deno run -A bench/execute_bench.ts [commands in flight, each]
 */
import { connect } from "@nats-io/transport-node";
import { type Decider, type Event, execute, JetStreamEventStore } from "../mod.ts";
import { together, Worker } from "../tests/store/command/execute_process.ts";
import { NatsServer } from "../tools/nats_server.ts";
import { Scene } from "./scene.ts";

const COUNT = 1000;

type Added = Event<"Added", { by: number; customer: string; address: string }>;

const counter: Decider<number, number, Added> = {
  initialState: () => 0,
  evolve: (total, event) => total + event.data.by,
  decide: (by) => ({
    eventType: "Added",
    data: { by, customer: "customer-4711", address: "1 Main Street" },
  }),
};

if (import.meta.main) await fourProcesses(Number(Deno.args[0] ?? 1));
else await benches();

async function benches(): Promise<void> {
  const { store } = await Scene.open();
  let run = 0;

  /** Runs all commands, so many at a time. */
  async function commands(inFlight: number, actorOf: (at: number) => string): Promise<void> {
    let next = 0;
    await Promise.all(Array.from({ length: inFlight }, async () => {
      while (next < COUNT) await execute(store, actorOf(next++), counter, 1);
    }));
  }

  Deno.bench("1,000 commands on one actor, one at a time", { group: "one actor" }, async () => {
    await commands(1, () => "one");
  });

  Deno.bench("1,000 commands on one actor, 8 in flight", { group: "one actor" }, async () => {
    await commands(8, () => "one");
  });

  Deno.bench("1,000 commands on one actor at once", { group: "one actor" }, async () => {
    await commands(COUNT, () => "one");
  });

  Deno.bench("1,000 commands on 1,000 new actors, 64 in flight", { group: "many" }, async () => {
    run++;
    await commands(64, (at) => `new-${run}-${at}`);
  });

  Deno.bench("1,000 commands on 500 known actors, 64 in flight", { group: "many" }, async () => {
    await commands(64, (at) => `known-${at % 500}`);
  });

  Deno.bench("1,000 commands on 500 known actors at once", { group: "many" }, async () => {
    await commands(COUNT, (at) => `known-${at % 500}`);
  });
}

async function fourProcesses(inFlight: number): Promise<void> {
  await using server = await NatsServer.start();
  const connection = await connect({ servers: server.url });
  const store = await JetStreamEventStore.open(connection, { namespace: "bench" });
  {
    await using stack = new AsyncDisposableStack();
    const processes = ["a", "b", "c", "d"].map((name) =>
      stack.use(new Worker(server.url, "bench", "one", name, COUNT, inFlight))
    );
    const reports = await together(processes);
    const elapsed = Math.max(...reports.map((report) => report.elapsed));
    const slowest = Math.max(...reports.map((report) => report.slowest));
    const refused = reports.flatMap(({ refusals }) => refusals).length;
    const version = await store.getLatestVersion("one", { fresh: true });
    const perSecond = Math.round(version / elapsed * 1000);
    console.log(JSON.stringify({ perSecond, slowestMs: Math.round(slowest), refused }));
  }
  await store[Symbol.asyncDispose]();
  await connection.close();
}
