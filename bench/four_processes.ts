/**
 * Commands of four processes on one actor, each with some in flight. Prints one JSON object.
 *
 *     deno task deno run -A bench/four_processes.ts [commands in flight, each]
 */
import { connect } from "@nats-io/transport-node";
import { JetStreamEventStore } from "../mod.ts";
import { together, Worker } from "../tests/store/command/execute_process.ts";
import { NatsServer } from "../tools/nats_server.ts";

const COUNT = 1000;
const inFlight = Number(Deno.args[0] ?? 1);

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
