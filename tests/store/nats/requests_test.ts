import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import { RequestMux } from "../../../store/nats/requests.ts";
import { RequestError, type RequestFailure } from "../../../store/nats/request_error.ts";
import { natsTest, nextStatus, type Scene } from "../../support/fixture.ts";

/** The failure of a request that must have one. */
async function failureOf(request: Promise<unknown>): Promise<[RequestFailure, boolean]> {
  const error = await assertRejects(() => request, RequestError);
  return [error.failure, error.maybeSent];
}

/** Answers every request on `echo` with its own payload. */
function echo(connection: NatsConnection, subject = "echo"): Disposable {
  const subscription = connection.subscribe(subject, {
    callback: (_, message) => void message.respond(message.data),
  });
  return { [Symbol.dispose]: () => subscription.unsubscribe() };
}

/** Takes every request on `silence` and answers none. */
function silence(connection: NatsConnection): Disposable {
  const subscription = connection.subscribe("silence", { callback: () => {} });
  return { [Symbol.dispose]: () => subscription.unsubscribe() };
}

function open(connection: NatsConnection): RequestMux & Disposable {
  const requests = new RequestMux(connection);
  return Object.assign(requests, { [Symbol.dispose]: () => requests.close() });
}

async function proxied(scene: Scene) {
  const proxy = scene.proxy();
  return { proxy, connection: await scene.connect({ servers: proxy.url }) };
}

natsTest(
  "An answer goes to the request that asked for it, however many are in flight",
  async (scene) => {
    const connection = await scene.connect();
    using _ = echo(connection);
    using requests = open(connection);
    const texts = Array.from({ length: 5_000 }, (_, at) => `${at}`);
    const answers = await Promise.all(texts.map((text) => requests.request("echo", text, 10_000)));
    assertEquals(answers.map((answer) => answer.string()), texts);
  },
);

natsTest("A request without an answer ends in time, and may have arrived", async (scene) => {
  const connection = await scene.connect();
  using _ = silence(connection);
  using requests = open(connection);
  const start = performance.now();
  const all = [300, 50, 200, 100].map(async (ms) => {
    assertEquals(await failureOf(requests.request("silence", "", ms)), ["timeout", true]);
    const passed = performance.now() - start;
    assert(passed >= ms - 1 && passed < ms + 500, `${ms} ms took ${passed}`);
    return ms;
  });
  assertEquals(await Promise.all(all), [300, 50, 200, 100]);
});

natsTest("A late answer reaches no caller", async (scene) => {
  const connection = await scene.connect();
  const asked: (() => void)[] = [];
  const subscription = connection.subscribe("late", {
    callback: (_, message) => void asked.push(() => message.respond("late")),
  });
  using requests = open(connection);
  assertEquals(await failureOf(requests.request("late", "", 20)), ["timeout", true]);
  using _ = echo(connection);
  for (const answer of asked) answer();
  assertEquals((await requests.request("echo", "next", 5_000)).string(), "next");
  subscription.unsubscribe();
});

natsTest("No responders: the request has reached nothing, and ends at once", async (scene) => {
  using requests = open(await scene.connect());
  const failures = Array.from(
    { length: 100 },
    () => failureOf(requests.request("nobody", "", 60_000)),
  );
  for (const failure of failures) assertEquals(await failure, ["no responders", false]);
});

natsTest("Several messages are one answer until the taker has the last", async (scene) => {
  const connection = await scene.connect();
  const subscription = connection.subscribe("count", {
    callback: (_, message) => {
      for (let at = 1; at <= 5; at++) message.respond(`${at}`);
    },
  });
  using requests = open(connection);
  const taken: string[] = [];
  await requests.collect("count", "", 5_000, (message) => taken.push(message.string()) === 3);
  assertEquals(taken, ["1", "2", "3"]);
  const failure = requests.collect("count", "", 50, () => false);
  assertEquals(await failureOf(failure), ["timeout", true]);
  const broken = requests.collect("count", "", 5_000, () => {
    throw new TypeError("Not to my taste");
  });
  await assertRejects(() => broken, TypeError);
  subscription.unsubscribe();
});

natsTest(
  "A break ends requests in flight; nothing is sent until the connection is back",
  async (scene) => {
    const { proxy, connection } = await proxied(scene);
    const answering = await scene.connect();
    using _a = echo(answering);
    using _b = silence(answering);
    await answering.flush();
    using requests = open(connection);
    assertEquals(requests.epoch, 0);
    proxy.refusing = true;
    const pending = Array.from(
      { length: 10 },
      () => failureOf(requests.request("silence", "", 60_000)),
    );
    await connection.flush();
    const disconnected = nextStatus(connection, "disconnect");
    proxy.cut();
    for (const failure of pending) {
      assertEquals(await failure, ["interrupted", true]);
    }
    await disconnected;
    assertEquals(await failureOf(requests.request("echo", "", 60_000)), ["disconnected", false]);
    assertThrows(() => requests.send("echo", new Uint8Array(), headers()), RequestError);
    const start = performance.now();
    await requests.connected(50);
    assert(performance.now() - start < 1_000);
    proxy.refusing = false;
    await requests.connected(10_000);
    assertEquals(requests.epoch, 1);
    assertEquals((await requests.request("echo", "back", 5_000)).string(), "back");
  },
);

for (const how of ["close", "drain"] as const) {
  natsTest(`${how}() of the connection ends requests in flight`, async (scene) => {
    const connection = await scene.connect();
    const other = await scene.connect();
    using _ = silence(other);
    await other.flush();
    const requests = new RequestMux(connection);
    const pending = Array.from(
      { length: 10 },
      () => failureOf(requests.request("silence", "", 60_000)),
    );
    await connection[how]();
    for (const failure of pending) assertEquals(await failure, ["closed", true]);
    assertEquals(requests.closed, true);
    assertEquals(await failureOf(requests.request("silence", "", 60_000)), ["closed", false]);
    await requests.connected(60_000);
    requests.close();
    requests.close();
  });
}

natsTest("close() while the connection is down ends waiting requests", async (scene) => {
  const { proxy, connection } = await proxied(scene);
  const requests = new RequestMux(connection);
  const disconnected = nextStatus(connection, "disconnect");
  proxy.refusing = true;
  proxy.cut();
  await disconnected;
  const waiting = requests.connected(60_000);
  await connection.close();
  await waiting;
  requests.close();
});

natsTest("close() ends the requests and the subscription, not the connection", async (scene) => {
  const connection = await scene.connect();
  using _ = silence(connection);
  const requests = new RequestMux(connection);
  const pending = failureOf(requests.request("silence", "", 60_000));
  requests.close();
  assertEquals(await pending, ["closed", true]);
  await connection.flush();
  assertEquals(connection.isClosed(), false);
});

natsTest("A request that is not permitted ends at once", async (scene) => {
  const connection = await scene.connect({ user: "u", pass: "p" });
  using requests = open(connection);
  const start = performance.now();
  const failures = Array.from(
    { length: 3 },
    () => failureOf(requests.request("secret", "", 60_000)),
  );
  for (const failure of failures) assertEquals(await failure, ["denied", false]);
  assert(performance.now() - start < 5_000);
  assertEquals(await failureOf(requests.request("allowed", "", 60_000)), ["no responders", false]);
  // Without an answer the refusal is reported when the same is sent again.
  const nothing = new Uint8Array();
  requests.send("hidden", nothing, headers());
  assertEquals(await failureOf(requests.request("allowed", "", 60_000)), ["no responders", false]);
  assertThrows(() => requests.send("hidden", nothing, headers()), RequestError);
  requests.send("hidden", nothing, headers());
  await connection.flush();
}, {
  server: {
    config:
      `authorization { users: [{ user: u, password: p, permissions: { publish: { deny: ["secret", "hidden"] } } }] }`,
  },
});

natsTest("Without permission for its inbox it ends at once", async (scene) => {
  const connection = await scene.connect({ user: "u", pass: "p" });
  const requests = new RequestMux(connection);
  const start = performance.now();
  await assertRejects(() => requests.request("anything", "", 60_000), RequestError);
  assert(performance.now() - start < 5_000);
  assertEquals(requests.closed, true);
  requests.close();
}, {
  server: {
    config:
      `authorization { users: [{ user: u, password: p, permissions: { subscribe: { deny: "_INBOX.>" } } }] }`,
  },
});

natsTest(
  "A killed server ends requests in flight, and a restarted one answers again",
  async (scene) => {
    const connection = await scene.connect();
    using _ = silence(connection);
    using requests = open(connection);
    for (let round = 1; round <= 3; round++) {
      const pending = failureOf(requests.request("silence", "", 60_000));
      await connection.flush();
      await scene.server.kill();
      assertEquals(await pending, ["interrupted", true]);
      await scene.server.restart();
      await requests.connected(10_000);
      assertEquals(requests.epoch, round);
      assertEquals(await failureOf(requests.request("nobody", "", 60_000)), [
        "no responders",
        false,
      ]);
    }
  },
);
