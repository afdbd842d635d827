/**
 * The program that the Node smoke test runs against a real server: conflicts, lost acks and retries
 * have to be recognised although the connection comes from another copy of nats-core than the
 * store's.
 *
 * It uses nothing that Node 22 does not know, so no `await using`.
 */
import assert from "node:assert/strict";
import net from "node:net";
import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { PGlite, type Transaction } from "@electric-sql/pglite";
import {
  appendEvents,
  createEvent,
  type Event,
  isAetherError,
  JetStreamEventStore,
  KvCheckpointStore,
  NatsEventBus,
  Projection,
  ProjectionLeases,
} from "@flowmade-one/aether";
import { main } from "@flowmade-one/aether/cli";
import { Cluster } from "@flowmade-one/aether/cluster";
import { eventStream, expectedVersion, problem } from "@flowmade-one/aether/http";
import { inspector } from "@flowmade-one/aether/inspector";
import { PostgresCheckpointStore } from "@flowmade-one/aether/postgres";
import { SqliteCheckpointStore, VersionedTable } from "@flowmade-one/aether/sqlite";
import { startNats } from "@flowmade-one/aether/testing/nats";
import { connect } from "@nats-io/transport-node";

const server = new URL(process.env.NATS_URL ?? "nats://127.0.0.1:4222");
const proxy = await startProxy(Number(server.port));
const connection = await connect({
  servers: `127.0.0.1:${proxy.port}`,
  reconnectTimeWait: 50,
  maxReconnectAttempts: -1,
});
const namespace = `smoke-${process.pid}-${Date.now()}`;
const store = await JetStreamEventStore.open(connection, { namespace });
const actorId = "order-123";

function placed(version: number): Event {
  return createEvent({ eventType: "OrderPlaced", actorId, version, data: { version } });
}

const first = placed(1);
assert.equal((await store.saveEvent(first)).duplicate, false);
assert.equal((await store.saveEvent(first)).duplicate, true, "the same event again is a duplicate");

// A conflict, with a cache that knows the version and with one that does not.
for (const writer of [store, await JetStreamEventStore.open(connection, { namespace })]) {
  await assert.rejects(() => writer.saveEvent(placed(1)), (error) => {
    assert(isAetherError(error, "VersionConflictError"), `not recognised: ${error}`);
    assert.equal(error.currentVersion, 1);
    return true;
  });
}

// An ack that is lost with its connection: the store reconnects and finds its own write.
const lost = proxy.loseNextAck();
assert.equal((await store.saveEvent(placed(2))).duplicate, false);
assert(lost(), "no ack was lost, so this proves nothing");
assert.equal((await store.getEvents(actorId)).length, 2, "saved once");

// Two writers that race with retries: every version is won once.
const other = await JetStreamEventStore.open(connection, { namespace });
let conflicts = 0;
async function append(writer: JetStreamEventStore, times: number): Promise<void> {
  for (let saved = 0; saved < times;) {
    try {
      await writer.saveEvent(placed(await writer.getLatestVersion(actorId, { fresh: true }) + 1));
      saved++;
    } catch (error) {
      if (!isAetherError(error, "VersionConflictError")) throw error;
      conflicts++;
    }
  }
}
await Promise.all([append(store, 20), append(other, 20)]);
const versions = (await other.getEvents(actorId)).map(({ version }) => version);
assert.deepEqual(versions, Array.from({ length: 42 }, (_, at) => at + 1));
assert(conflicts > 0, "the writers never met, so this proves nothing");

// Two workers share a projection: each event is handled once, the actor's in order.
const leases = await ProjectionLeases.open(connection, { namespace });
const checkpoints = await KvCheckpointStore.open(connection, { namespace });
const handled: number[] = [];
const projections = [store, other].map((store) =>
  new Projection({
    ...{ name: "smoke", store, checkpoints, leases, partitions: 4 },
    handler: ({ version }) => void handled.push(version),
  })
);
const runs = projections.map((projection) => projection.run());
await projections[0]!.caughtUp;
assert.deepEqual(handled, versions);
for (const projection of projections) await projection[Symbol.asyncDispose]();
await Promise.all(runs);
await checkpoints[Symbol.asyncDispose]();
await leases[Symbol.asyncDispose]();

// Over HTTP: a conflict is a problem, and a stream of events goes on after the last one.
const precondition = new Request("http://localhost", { headers: { "If-Match": '"41"' } });
assert.equal(expectedVersion(precondition), 41);
const conflict = await store.saveEvent(placed(41)).catch((error: unknown) => error);
const answer = problem(conflict, { request: precondition });
assert.equal(answer.status, 412);
assert.match(await answer.text(), /"currentVersion":42/);
let lastEventId = "";
for (const from of [1, 22]) {
  const request = new Request("http://localhost", { headers: { "Last-Event-ID": lastEventId } });
  const stream = eventStream(request, store, { from: "start", message: ({ version }) => version });
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
  await reader.read(); // a comment
  for (let version = from; version < from + 21; version++) {
    const [, id, data] = /^id: (.+)\ndata: (.+)\n\n$/.exec((await reader.read()).value ?? "") ?? [];
    assert.equal(data, `${version}`);
    lastEventId = id!;
  }
  await reader.cancel();
}

// A read model in SQLite, whose rows and position commit together, is rebuilt beside the one read.
const db = new DatabaseSync(":memory:");
const rows = new VersionedTable("events", (table) => `CREATE TABLE ${table} (version INTEGER)`);
rows.prepare(db);
const model = new Projection<DatabaseSync>({
  ...{ name: "model", store, checkpoints: new SqliteCheckpointStore(db) },
  handler: ({ version }, context) => {
    context.tx.prepare(`INSERT INTO ${rows.of(context)} VALUES (?)`).run(version);
  },
  onSwitch: (version, tx) => rows.switchTo(version, tx),
});
const modelRun = model.run();
assert.equal(await model.rebuild(), 2);
assert.deepEqual(db.prepare("SELECT * FROM events").all().map((row) => row.version), versions);
await model[Symbol.asyncDispose]();
await modelRun;
db.close();

// Another one in PostgreSQL: a failure of its handler undoes the row.
const pglite = new PGlite();
await pglite.exec("CREATE TABLE events (version int PRIMARY KEY)");
let failures = 0;
const second = new Projection<Transaction>({
  ...{ name: "second", store, checkpoints: new PostgresCheckpointStore(pglite) },
  handler: async ({ version }, { tx }) => {
    await tx.query("INSERT INTO events VALUES ($1)", [version]);
    if (version === 7 && failures++ < 2) throw new Error("as it happens");
  },
  ...{ retry: { delay: 1 }, onError: () => {} },
});
const secondRun = second.run();
await second.caughtUp;
const { rows: copies } = await pglite.query<{ version: number }>("SELECT * FROM events ORDER BY 1");
assert.deepEqual(copies.map(({ version }) => version), versions);
await second[Symbol.asyncDispose]();
await secondRun;
await pglite.close();

// The inspector, as a handler and as the command line serves it: only by the names of this machine.
const asked = {
  method: "POST",
  headers: { "content-type": "application/json", host: "localhost" },
  body: JSON.stringify({ actorId }),
};
const look = inspector({ store });
const evil = { ...asked, headers: { ...asked.headers, host: "evil.example" } };
assert.equal((await look(new Request("http://localhost/api/actor", evil))).status, 403);
const ending = new AbortController();
const address = Promise.withResolvers<string>();
const inspecting = main(
  ["inspect", "--json", "--port", "0", "--namespace", namespace, "--server", `${server}`],
  {
    sinks: {
      out: { write: (text) => address.resolve(JSON.parse(text).url) },
      err: { write: () => {} },
    },
    signal: ending.signal,
  },
);
const base = await address.promise;
const page = await fetch(base);
assert.match(await page.text(), /^<!doctype html>/i);
const direct = await look(new Request("http://localhost/api/actor", asked));
const { host: _, ...headers } = asked.headers;
const served = await fetch(`${base}api/actor`, { ...asked, headers });
assert.deepEqual(await served.json(), await direct.json());
const tail = await fetch(`${base}api/tail`, { ...asked, headers, body: "{}" });
const tailed = tail.body!.pipeThrough(new TextDecoderStream()).getReader();
for (let text = ""; !text.includes("event: ready");) text += (await tailed.read()).value ?? "";
ending.abort();
while (!(await tailed.read()).done);
assert.equal(await inspecting, 0);

await store[Symbol.asyncDispose]();
await other[Symbol.asyncDispose]();

// A bus carries what it is given.
const bus = new NatsEventBus(connection);
const subscription = bus.subscribe(namespace);
await subscription.ready;
await bus.publish(namespace, first);
for await (const event of subscription) {
  assert.equal(event.id, first.id);
  break;
}
await bus[Symbol.asyncDispose]();

// Two nodes share the shards; a command reaches its owner, and each is handled once.
const nodes = [];
for (const nodeId of ["a", "b"]) {
  const node = await Cluster.join(connection, { namespace, nodeId, shards: 256 });
  node.handle(async (command, { actorId, store }) => {
    const version = await store.getLatestVersion(actorId);
    const draft = { eventType: "Counted", data: { command } };
    await appendEvents(store, actorId, version, [draft]);
    return `${nodeId} ${version + 1}`;
  });
  nodes.push(node);
}
const [a, b] = nodes;
while (new Set(Array.from({ length: 50 }, (_, at) => b!.ownerOf(`c-${at}`)?.nodeId)).size < 2) {
  await new Promise((resolve) => setTimeout(resolve, 10));
}
for (let at = 0; at < 50; at++) assert.match(String(await a!.send(`c-${at}`, at)), /^[ab] 1$/);
await b!.leave();
assert.match(String(await a!.send("c-0", "again")), /^a 2$/);
await a!.leave();
await connection.close();
await proxy.close();

// A test of a user's own starts a server, here a cluster.
const nats = await startNats({ servers: 3 });
const own = await connect({ servers: nats.urls });
const replicated = await JetStreamEventStore.open(own, { namespace, replicas: 3 });
await replicated.saveEvent(placed(1));
await replicated[Symbol.asyncDispose]();
await own.close();
await nats[Symbol.asyncDispose]();
console.log(`smoke test passed, ${conflicts} conflicts retried`);

/** Passes bytes on to the server, and can cut a connection just before an ack would pass. */
async function startProxy(target: number) {
  let armed = false;
  let lost = false;
  const sockets = new Set<net.Socket>();
  const listener = net.createServer((client) => {
    const upstream = net.connect(target, "127.0.0.1");
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", end).on("close", end);
    }
    client.pipe(upstream);
    upstream.on("data", (chunk) => {
      if (armed && /"stream":\s*"[^"]+",\s*"seq":/.test(chunk.toString("latin1"))) {
        armed = false;
        lost = true;
        end();
      } else {
        client.write(chunk);
      }
    });
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  return {
    port: (listener.address() as net.AddressInfo).port,
    loseNextAck() {
      armed = true;
      return () => lost;
    },
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise<void>((resolve) => listener.close(() => resolve()));
    },
  };
}
