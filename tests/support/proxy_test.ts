import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { sleep } from "../../store/base/sleep.ts";
import { clusterTest, natsTest, nextStatus, type Scene } from "./fixture.ts";
import { type Frame, FrameParser, publishAck } from "./nats_frames.ts";
import { Proxy, seededRandom } from "./proxy.ts";

const encoder = new TextEncoder();
const WIRE = [
  'INFO {"server_id":"A b","connect_urls":["a:1"]} \r\n',
  'CONNECT {"verbose":false}\r\n',
  "PING\r\n",
  "SUB a.> queue 7\r\n",
  "UNSUB 7 1\r\n",
  "+OK\r\n",
  "-ERR 'Permissions Violation'\r\n",
  "PUB a.b 0\r\n\r\n",
  "pub a.b  inbox.1\t11\r\nPUB x 1\r\ny\r\r\n",
  "MSG a.b 7 2\r\n\r\n\r\n",
  "MSG a.b 7 inbox.1 3\r\n\u00e9!\r\n",
  "HPUB a.b 22 24\r\nNATS/1.0\r\nKey: a:b\r\n\r\nhi\r\n",
  "HPUB a.b inbox.1 22 22\r\nNATS/1.0\r\nKey: a:b\r\n\r\n\r\n",
  "HMSG inbox.1 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n",
  'HMSG inbox.1 1 re.ply 12 34\r\nNATS/1.0\r\n\r\n{"stream":"S","seq":1}\r\n',
  "PONG\r\n",
];

function parseAll(chunks: Iterable<Uint8Array>): Frame[] {
  const parser = new FrameParser();
  const frames = Array.from(chunks, (chunk) => Array.from(parser.push(chunk))).flat();
  assertEquals(parser.pending, 0);
  return frames;
}

function texts(frames: readonly Frame[]): string[] {
  return frames.map((frame) => new TextDecoder().decode(frame.raw));
}

Deno.test("Frames survive a cut at every byte, and one byte at a time", () => {
  const bytes = encoder.encode(WIRE.join(""));
  for (let at = 0; at <= bytes.length; at++) {
    assertEquals(texts(parseAll([bytes.subarray(0, at), bytes.subarray(at)])), WIRE);
  }
  assertEquals(texts(parseAll(Array.from(bytes, (byte) => Uint8Array.of(byte)))), WIRE);
});

Deno.test("A frame knows its verb, subject, reply subject, headers and payload", () => {
  const frames = parseAll([encoder.encode(WIRE.join(""))]);
  const seen = frames.map(({ verb, subject, replyTo, headers, payload }) => [
    verb,
    subject,
    replyTo ?? null,
    headers === undefined ? null : Object.fromEntries(headers),
    new TextDecoder().decode(payload),
  ]);
  assertEquals(seen, [
    ["INFO", "", null, null, ""],
    ["CONNECT", "", null, null, ""],
    ["PING", "", null, null, ""],
    ["SUB", "a.>", null, null, ""],
    ["UNSUB", "", null, null, ""],
    ["+OK", "", null, null, ""],
    ["-ERR", "", null, null, ""],
    ["PUB", "a.b", null, null, ""],
    ["PUB", "a.b", "inbox.1", null, "PUB x 1\r\ny\r"],
    ["MSG", "a.b", null, null, "\r\n"],
    ["MSG", "a.b", "inbox.1", null, "\u00e9!"],
    ["HPUB", "a.b", null, { Key: "a:b" }, "hi"],
    ["HPUB", "a.b", "inbox.1", { Key: "a:b" }, ""],
    ["HMSG", "inbox.1", null, { Status: "503" }, ""],
    ["HMSG", "inbox.1", "re.ply", {}, '{"stream":"S","seq":1}'],
    ["PONG", "", null, null, ""],
  ]);
});

Deno.test("A size that is not a number is refused", () => {
  assertThrows(() => parseAll([encoder.encode("PUB a.b many\r\n\r\n")]), SyntaxError);
});

Deno.test("Only the ack of a stored publish counts as an ack", () => {
  const ack = (payload: string): boolean => {
    const size = encoder.encode(payload).length;
    const [frame] = parseAll([encoder.encode(`MSG inbox 1 ${size}\r\n${payload}\r\n`)]);
    return publishAck(frame!) !== undefined;
  };
  assert(ack('{"stream":"S","seq":1}'));
  assert(ack('{"stream":"S","seq":9,"batch":"b","count":3}'));
  assert(!ack('{"error":{"code":400,"err_code":10071},"stream":"S","seq":0}'));
  assert(!ack('{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","stream":"S","seq":1}'));
  assert(!ack('{"stream":"S"'));
  assert(!ack(""));
});

Deno.test("seededRandom() repeats itself and stays in [0, 1)", () => {
  const draw = (seed: number): number[] => Array.from({ length: 1_000 }, seededRandom(seed));
  assertEquals(draw(7), draw(7));
  assert(draw(7).every((number) => number >= 0 && number < 1));
  assert(draw(7)[0] !== draw(8)[0]);
});

interface Bed {
  readonly proxy: Proxy;
  readonly connection: NatsConnection;
  readonly subject: string;
  count(): Promise<number>;
}

/** A stream, and a connection to it that goes through a proxy. */
async function bed(scene: Scene): Promise<Bed> {
  const { namespace } = scene;
  const manager = await jetstreamManager(await scene.connect());
  await manager.streams.add({ name: namespace, subjects: [`${namespace}.>`] });
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  return {
    proxy,
    connection,
    subject: `${namespace}.a`,
    count: async () => (await manager.streams.info(namespace)).state.messages,
  };
}

natsTest(
  "The proxy eats exactly the first ack: its publish is stored, the next one acked",
  async (scene) => {
    const { proxy, connection, subject, count } = await bed(scene);
    const js = jetstream(connection);
    const meal = proxy.eatAcks();
    await assertRejects(() => js.publish(subject, "first", { timeout: 100, retries: 0 }));
    await meal.done;
    assertEquals((await js.publish(subject, "second")).seq, 2);
    assertEquals(await count(), 2);
    assertEquals(meal.eaten.map((frame) => publishAck(frame)?.seq), [1]);
    assertEquals(proxy.dropped, { server: 1, client: 0 });
  },
);

natsTest("Without a meal the same publish is acked", async (scene) => {
  const { proxy, connection, subject } = await bed(scene);
  proxy.eatAcks(0);
  assertEquals((await jetstream(connection).publish(subject, "first", { timeout: 5_000 })).seq, 1);
  assertEquals(proxy.dropped, { server: 0, client: 0 });
});

natsTest("A meal can be picked by the ack, and stopped", async (scene) => {
  const { proxy, connection, subject } = await bed(scene);
  const js = jetstream(connection);
  const meal = proxy.eatAcksWhere((ack) => ack.seq % 2 === 0);
  assertEquals((await js.publish(subject)).seq, 1);
  await assertRejects(() => js.publish(subject, "", { timeout: 100, retries: 0 }));
  meal.stop();
  await js.publish(subject);
  assertEquals((await js.publish(subject)).seq, 4);
  assertEquals(meal.eaten.length, 1);
});

natsTest("A request that the proxy eats never reaches the server", async (scene) => {
  const { proxy, connection, subject, count } = await bed(scene);
  const meal = proxy.eatFromClient((frame) => frame.headers?.get("Lose") === "me", 1);
  const lost = headers();
  lost.set("Lose", "me");
  const options = { headers: lost, timeout: 100, retries: 0 };
  await assertRejects(() => jetstream(connection).publish(subject, "", options));
  assertEquals(await count(), 0);
  assertEquals(meal.eaten[0]?.subject, subject);
  assertEquals(proxy.dropped, { server: 0, client: 1 });
});

natsTest("A judge's promise holds a frame and keeps the order", async (scene) => {
  const { proxy, connection } = await bed(scene);
  const { promise, resolve } = Promise.withResolvers<"pass">();
  const asked = Promise.withResolvers<void>();
  proxy.onClientFrame = (frame) => {
    if (frame.subject !== "first") return "pass";
    asked.resolve();
    return promise;
  };
  const seen: string[] = [];
  const subscription = connection.subscribe(">", {
    callback: (_, message) => void seen.push(message.subject),
  });
  connection.publish("first");
  connection.publish("second");
  await asked.promise;
  assertEquals(seen, []);
  resolve("pass");
  await connection.flush();
  assertEquals(seen, ["first", "second"]);
  subscription.unsubscribe();
});

natsTest("Messages of any size pass unharmed in both directions", async (scene) => {
  const { connection } = await bed(scene);
  const random = seededRandom(1);
  const echo = connection.subscribe("echo", {
    callback: (_, message) => void message.respond(message.data),
  });
  for (const size of [0, 1, 65_535, 65_536, 65_537, 1_000_000]) {
    const data = Uint8Array.from({ length: size }, () => Math.floor(random() * 256));
    const answer = await connection.request("echo", data, { timeout: 5_000 });
    assertEquals(answer.data.length, size);
    assert(answer.data.every((byte, at) => byte === data[at]));
  }
  echo.unsubscribe();
});

natsTest("cut() closes the connection, which comes back through the proxy", async (scene) => {
  const { proxy, connection } = await bed(scene);
  for (let round = 0; round < 3; round++) {
    const reconnected = nextStatus(connection, "reconnect");
    proxy.cut();
    await reconnected;
    await connection.rtt();
    assertEquals(connection.getServer(), `127.0.0.1:${proxy.port}`);
    assertEquals(proxy.connections, 1);
  }
});

natsTest("While the proxy refuses connections, no client can come back", async (scene) => {
  const { proxy, connection } = await bed(scene);
  proxy.refusing = true;
  const trying = nextStatus(connection, "reconnecting");
  const reconnected = nextStatus(connection, "reconnect");
  proxy.cut();
  await trying;
  assertEquals(proxy.connections, 0);
  proxy.refusing = false;
  await reconnected;
});

natsTest("pause() keeps everything waiting, resume() sends it on in order", async (scene) => {
  const { proxy, connection } = await bed(scene);
  proxy.pause();
  const answers = [connection.rtt(), connection.rtt()];
  const error = await assertRejects(() => connection.request("nobody.here", "", { timeout: 100 }));
  assertEquals((error as Error).name, "TimeoutError"); // "no responders" would be an answer
  proxy.resume();
  await Promise.all(answers);
});

natsTest(
  "dropRandomly() loses messages by chance, but the same ones for the same seed",
  async (scene) => {
    const { proxy, connection } = await bed(scene);
    const lost = async (): Promise<string[]> => {
      const meal = proxy.dropRandomly(0.5, seededRandom(3), "client");
      for (let at = 0; at < 100; at++) connection.publish(`lossy.${at}`);
      await connection.flush();
      meal.stop();
      return meal.eaten.map((frame) => frame.subject);
    };
    const first = await lost();
    assert(first.length > 25 && first.length < 75);
    assertEquals(await lost(), first);
  },
);

natsTest(
  "A server that is down closes the proxy's connections; back again, they work",
  async (scene) => {
    const { proxy, connection } = await bed(scene);
    const reconnected = nextStatus(connection, "reconnect");
    await scene.server.kill();
    await scene.server.restart();
    await reconnected;
    await connection.rtt();
    assertEquals(proxy.connections, 1);
  },
);

natsTest("A judge's error comes out on disposal", async (scene) => {
  const proxy = Proxy.start(scene.server.port);
  const connection = await scene.connect({ servers: proxy.url });
  proxy.onClientFrame = () => {
    throw new Error("Out of court");
  };
  const disconnected = nextStatus(connection, "disconnect");
  connection.publish("anything");
  await disconnected;
  proxy.refusing = true;
  proxy.cut();
  await connection.close();
  const error = await assertRejects(async () => await proxy[Symbol.asyncDispose]());
  assertMatch((error as Error).message, /Out of court/);
});

Deno.test("Disposing a proxy is idempotent, also with a paused connection", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const proxy = Proxy.start(listener.addr.port);
  proxy.pause();
  using client = await Deno.connect({ hostname: "127.0.0.1", port: proxy.port });
  using server = await listener.accept();
  await server.write(encoder.encode("PING\r\n"));
  await client.write(encoder.encode("PONG\r\n"));
  await proxy[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
  assertEquals(proxy.connections, 0);
});

clusterTest("In a cluster a client knows no other way than the proxy", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  assertEquals(connection.info?.connect_urls, undefined);
  const direct = await scene.connect({ servers: scene.server.url });
  // A server tells of the others once it has heard of them.
  while (direct.info?.connect_urls?.length !== 3) await sleep(10);
  for (let round = 0; round < 3; round++) {
    const reconnected = nextStatus(connection, "reconnect");
    proxy.cut();
    await reconnected;
    assertEquals(connection.getServer(), `127.0.0.1:${proxy.port}`);
  }
});
