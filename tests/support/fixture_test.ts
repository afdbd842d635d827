import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { NatsServer, NatsServerError } from "../../tools/nats_server.ts";
import { clusterTest, natsTest, nextStatus, Scene, uniqueNamespace } from "./fixture.ts";

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** Whether a process has this id: signal 0 asks, and a zombie would answer too. */
async function alive(pid: number): Promise<boolean> {
  const { success } = await new Deno.Command("sh", {
    args: ["-c", `kill -0 ${pid}`],
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

Deno.test("NatsServer.start() names the missing binary", async () => {
  const error = await assertRejects(
    () => NatsServer.start({ binary: "/nowhere/nats-server" }),
    NatsServerError,
  );
  assertMatch(error.message, /^Cannot start nats-server: "\/nowhere\/nats-server" does not run/);
});

Deno.test("NatsServer.start() rejects with the log's tail when the server ends at once", async () => {
  const error = await assertRejects(
    () => NatsServer.start({ config: "no_such_setting: 1" }),
    NatsServerError,
  );
  assertMatch(error.message, /no_such_setting/);
  assertEquals(error.addressInUse, false);
});

Deno.test("NatsServer.start() reports a taken port", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const config = `listen: "127.0.0.1:${listener.addr.port}"`;
  const error = await assertRejects(() => NatsServer.start({ config }), NatsServerError);
  assertEquals(error.addressInUse, true);
});

Deno.test("Disposing a NatsServer ends its process, also a paused one, and is idempotent", async () => {
  const server = await NatsServer.start();
  const pid = server.pid!;
  assert(await alive(pid));
  await server.pause();
  await server[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  assertEquals(server.running, false);
  assertEquals(await alive(pid), false);
});

Deno.test("A NatsServer keeps the store folder that it was given, and removes its own", async () => {
  const storeDir = await Deno.makeTempDir();
  try {
    const server = await NatsServer.start({ storeDir });
    const varz = await server.monitor<{ jetstream: { config: { store_dir: string } } }>("/varz");
    assert(varz.jetstream.config.store_dir.startsWith(storeDir));
    await server[Symbol.asyncDispose]();
    assert(await exists(storeDir));
  } finally {
    await Deno.remove(storeDir, { recursive: true });
  }
});

Deno.test("A server ends, and its folder goes, when the process that started it is killed", async () => {
  const script = `
    import { NatsServer } from ${JSON.stringify(import.meta.resolve("../../tools/nats_server.ts"))};
    const server = await NatsServer.start();
    const { jetstream } = await server.monitor("/varz");
    console.log(JSON.stringify({ pid: server.pid, folder: jetstream.config.store_dir }));
    await new Promise(() => setInterval(() => {}, 1_000));
  `;
  const starter = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", script],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = starter.stdout.getReader();
  const { value } = await reader.read();
  const { pid, folder } = JSON.parse(new TextDecoder().decode(value));
  assert(await alive(pid));
  starter.kill("SIGKILL");
  await starter.status;
  await reader.cancel();
  const root = folder.slice(0, folder.indexOf("/data"));
  while (await alive(pid) || await exists(root)) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
});

Deno.test("The sync option makes JetStream sync before each ack", async () => {
  await using server = await NatsServer.start({ sync: "always" });
  const { jetstream } = await server.monitor<
    { jetstream: { config: { sync_always?: boolean } } }
  >("/varz");
  assertEquals(jetstream.config.sync_always, true);
});

for (const how of ["stop", "kill"] as const) {
  natsTest(`A server keeps port and data over ${how}() and restart()`, async (scene) => {
    const { server, namespace } = scene;
    const connection = await scene.connect();
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: namespace, subjects: [`${namespace}.>`] });
    const { seq } = await jetstream(connection).publish(`${namespace}.a`, "kept");
    const { port, pid } = server;
    const reconnected = nextStatus(connection, "reconnect");
    await server[how]();
    assertEquals(server.running, false);
    assertEquals(server.pid, undefined);
    await server.restart();
    assertEquals(server.port, port);
    assert(server.pid !== pid);
    await reconnected;
    const message = await manager.streams.getMessage(namespace, { seq });
    assertEquals(message?.string(), "kept");
  });
}

natsTest("A paused server answers nothing, a resumed one goes on", async (scene) => {
  const connection = await scene.connect();
  await scene.server.pause();
  assertEquals(scene.server.paused, true);
  const answer = connection.rtt();
  const error = await assertRejects(() => connection.request("nobody.here", "", { timeout: 100 }));
  assertEquals((error as Error).name, "TimeoutError"); // "no responders" would be an answer
  scene.server.resume();
  await answer;
  assertEquals(scene.server.paused, false);
});

natsTest("A server takes more configuration", async (scene) => {
  const connection = await scene.connect({ user: "ann", pass: "secret" });
  assertEquals(connection.info?.auth_required, true);
  await connection.rtt();
}, { server: { config: `authorization { user: ann, password: secret }` } });

natsTest("A subscription left on a connection is a leak", async (scene) => {
  const connection = await scene.connect();
  await scene.assertNoLeaks();
  const subscription = connection.subscribe("left.behind");
  await connection.flush();
  const error = await assertRejects(() => scene.assertNoLeaks(50));
  assertEquals((error as Error).message, `Test leaks: subscription "left.behind"`);
  subscription.unsubscribe();
});

natsTest("A second subscription on a subject is a leak as well", async (scene) => {
  const connection = await scene.connect();
  const subscriptions = [connection.subscribe("twice"), connection.subscribe("twice")];
  await connection.flush();
  const error = await assertRejects(() => scene.assertNoLeaks(50));
  assertMatch((error as Error).message, /"twice", subscription "twice"$/);
  for (const subscription of subscriptions) subscription.unsubscribe();
});

natsTest("Requests leave no leak", async (scene) => {
  const connection = await scene.connect();
  const echo = connection.subscribe("echo", {
    callback: (_, message) => void message.respond(message.data),
  });
  await connection.request("echo", "hello");
  echo.unsubscribe();
  await scene.assertNoLeaks();
});

natsTest("A consumer left on a stream is a leak, unless it is declared", async (scene) => {
  const { namespace } = scene;
  const manager = await jetstreamManager(await scene.connect());
  await manager.streams.add({ name: namespace, subjects: [`${namespace}.>`] });
  await manager.consumers.add(namespace, { durable_name: "durable" });
  const error = await assertRejects(() => scene.assertNoLeaks(50));
  assertEquals(
    (error as Error).message,
    `Test leaks: consumer "durable" on stream "${namespace}"`,
  );
  scene.keepConsumers("durable");
  await scene.assertNoLeaks();
});

natsTest("A connection that the scene did not open is a leak", async (scene) => {
  const stranger = new Scene([scene.server]);
  await stranger.connect({ name: "stranger" });
  const error = await assertRejects(() => scene.assertNoLeaks(50));
  assertMatch((error as Error).message, /^Test leaks: connection \d+ "stranger"$/);
  await stranger.close();
});

natsTest("Connections closed by the test and resources in use() are no leak", async (scene) => {
  const connection = await scene.connect();
  let disposed = false;
  scene.use({ [Symbol.dispose]: () => void (disposed = true) });
  await connection.close();
  await scene.assertNoLeaks();
  await scene.close();
  assert(disposed);
});

Deno.test("uniqueNamespace() never returns the same twice, and always one token", () => {
  const names = new Set(Array.from({ length: 1_000 }, uniqueNamespace));
  assertEquals(names.size, 1_000);
  for (const name of names) assertMatch(name, /^[A-Za-z0-9_-]+$/);
});

clusterTest(
  "A cluster of three loses a stream's leader to kill -9 and gets it back",
  async (scene) => {
    const { cluster, namespace } = scene;
    const connection = await scene.connect();
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: namespace, subjects: [`${namespace}.>`], num_replicas: 3 });
    await jetstream(connection).publish(`${namespace}.a`, "kept");
    const first = await cluster.leaderOf(namespace);
    const { port } = first;
    await first.kill();
    const second = await cluster.leaderOf(namespace);
    assert(second !== first);
    await first.restart();
    await cluster.waitHealthy();
    assertEquals(first.port, port);
    assertEquals(cluster.urls.length, 3);
    assert(cluster.servers.includes(await cluster.metaLeader()));
    const direct = await scene.connect({ servers: first.url });
    const { streams } = await jetstreamManager(direct);
    // A request that meets a change of leaders gets no answer.
    const read = () =>
      streams.getMessage(namespace, { seq: 1 }).catch((error: Error) => {
        if (error.name !== "TimeoutError") throw error;
      });
    let message = await read();
    for (let tries = 1; message === undefined && tries < 5; tries++) message = await read();
    assertEquals(message?.string(), "kept");
  },
);

clusterTest("A cluster goes on while one of its servers is paused", async (scene) => {
  const { cluster, namespace } = scene;
  const manager = await jetstreamManager(await scene.connect());
  await manager.streams.add({ name: namespace, subjects: [`${namespace}.>`], num_replicas: 3 });
  const leader = await cluster.leaderOf(namespace);
  await leader.pause();
  const next = await cluster.leaderOf(namespace);
  assert(next !== leader);
  leader.resume();
  await cluster.waitHealthy();
});
