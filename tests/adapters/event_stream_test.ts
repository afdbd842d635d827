import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  eventStream,
  type EventStreamOptions,
  problem,
  RequestError,
} from "../../adapters/http/mod.ts";
import {
  appendEvents,
  type EventStore,
  InMemoryEventStore,
  type JetStreamEventStore,
} from "../../store/mod.ts";
import { positionsOf } from "../../store/store_positions.ts";
import { turns } from "../../testing/event_store/kit.ts";
import { storeTest } from "../support/stores.ts";

/** One message, as a browser takes it. */
interface Message {
  readonly id: string;
  readonly type: string;
  readonly data: string;
}

/** Reads messages of a stream over the network, as `EventSource` does. */
class Client implements AsyncDisposable {
  readonly response: Response;
  readonly #abort: AbortController;
  readonly #reader: ReadableStreamDefaultReader<string> | undefined;
  #text = "";
  /** The id that it sends back, and the comments that it has passed. */
  lastId = "";
  comments = 0;

  constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    this.#reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  }

  static async open(url: string, headers: Record<string, string> = {}): Promise<Client> {
    const abort = new AbortController();
    return new Client(await fetch(url, { headers, signal: abort.signal }), abort);
  }

  /** The next message; `undefined` if the stream has ended. */
  async next(): Promise<Message | undefined> {
    for (;;) {
      const block = await this.#block();
      if (block === undefined) return undefined;
      const fields = new Map<string, string>();
      for (const line of block.split("\n")) {
        const [, name = "", value = ""] = /^([^:]*): ?([^]*)$/.exec(line) ?? [];
        if (name === "") this.comments++;
        else fields.set(name, value);
      }
      this.lastId = fields.get("id") ?? this.lastId;
      const data = fields.get("data");
      if (data === undefined) continue;
      return { id: this.lastId, type: fields.get("event") ?? "message", data };
    }
  }

  /** Waits for a block that is no message. */
  async comment(): Promise<void> {
    const before = this.comments;
    while (this.comments === before) {
      const block = await this.#block();
      this.lastId = /^id: (.*)$/m.exec(block ?? "")?.[1] ?? this.lastId;
      this.comments += /^:/m.test(block ?? "") ? 1 : 0;
    }
  }

  /** Waits until it is told where it begins; heartbeats may come before. */
  async greeted(): Promise<void> {
    while (this.lastId === "") await this.comment();
  }

  async #block(): Promise<string | undefined> {
    while (!this.#text.includes("\n\n")) {
      const { value, done } = await this.#reader!.read();
      if (done) return undefined;
      this.#text += value;
    }
    const at = this.#text.indexOf("\n\n");
    const block = this.#text.slice(0, at);
    this.#text = this.#text.slice(at + 2);
    return block;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    return Promise.resolve();
  }
}

/** A store with metrics. */
type Store = InMemoryEventStore | JetStreamEventStore;

/** A store behind a real server. */
function serve(store: Store, options: EventStreamOptions = {}) {
  const errors: unknown[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    try {
      return eventStream(request, store, {
        ...options,
        onError: (error) => void errors.push(error),
      });
    } catch (error) {
      return problem(error);
    }
  });
  return {
    errors,
    url: `http://127.0.0.1:${server.addr.port}/`,
    /** Resolves when no subscription is open; nothing reports that, so it looks again. */
    async quiet(): Promise<void> {
      while (store.metrics.activeSubscriptions > 0) {
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function save(store: EventStore, actorId: string, from: number, to: number): Promise<void> {
  for (let version = from; version <= to; version++) {
    await appendEvents(store, actorId, version - 1, [{ eventType: "Moved", data: { version } }]);
  }
}

const versions = (messages: readonly (Message | undefined)[]) =>
  messages.map((message) => message && JSON.parse(message.data).version);

async function take(client: Client, count: number): Promise<(Message | undefined)[]> {
  const messages = [];
  while (messages.length < count) messages.push(await client.next());
  return messages;
}

/** The same tests on both stores. */
function both(name: string, run: (store: Store) => Promise<void>): void {
  Deno.test(`eventStream(), memory: ${name}`, async () => {
    await using store = new InMemoryEventStore();
    await run(store);
  });
  storeTest(`eventStream(), JetStream: ${name}`, async (stores) => {
    await run((await stores.open()).store);
  });
}

both("a client replays, goes live, and goes on where it was", async (store) => {
  await save(store, "order-1", 1, 3);
  await using server = serve(store, { from: "start" });
  let last = "";
  {
    await using client = await Client.open(server.url);
    assertEquals(client.response.headers.get("content-type"), "text/event-stream");
    assertEquals(client.response.headers.get("cache-control"), "no-store");
    assertEquals(versions(await take(client, 3)), [1, 2, 3]);
    await save(store, "order-1", 4, 5);
    assertEquals(versions(await take(client, 2)), [4, 5]);
    last = client.lastId;
  }
  await server.quiet();
  await save(store, "order-1", 6, 7);
  {
    await using client = await Client.open(server.url, { "Last-Event-ID": last });
    assertEquals(versions(await take(client, 2)), [6, 7], "None is missed, none comes twice");
  }
  await server.quiet();
  assertEquals(server.errors, []);
});

both("a client that has seen nothing begins now, and gets what it may see", async (store) => {
  await save(store, "order-1", 1, 3);
  await using server = serve(store, {
    filter: { category: "order" },
    message: ({ actorId, version }) => version === 5 ? undefined : { actorId, version },
    heartbeat: 20,
  });
  await using client = await Client.open(server.url);
  await client.greeted();
  await save(store, "user-1", 1, 1);
  await save(store, "order-1", 4, 6);
  const [four, six] = await take(client, 2);
  assertEquals(four?.data, '{"actorId":"order-1","version":4}');
  assertEquals(versions([six]), [6]);
  await using again = await Client.open(server.url, { "Last-Event-ID": four!.id });
  assertEquals(versions([await again.next()]), [6]);
});

both("a client that comes back before its first event misses none", async (store) => {
  await save(store, "order-1", 1, 3);
  await using server = serve(store, { heartbeat: 20 });
  let last = "";
  {
    await using client = await Client.open(server.url);
    await client.greeted();
    last = client.lastId;
  }
  await server.quiet();
  await save(store, "order-1", 4, 5);
  await using client = await Client.open(server.url, { "Last-Event-ID": last });
  assertEquals(versions(await take(client, 2)), [4, 5]);
});

both("an event that is left out is not read again after a heartbeat", async (store) => {
  await save(store, "order-1", 1, 3);
  const { sequence: end } = (await Array.fromAsync(store.readAll())).at(-1)!;
  const read: number[] = [];
  await using server = serve(store, {
    from: "start",
    heartbeat: 20,
    message: ({ version }) => {
      read.push(version);
      return version === 1 ? { version } : undefined;
    },
  });
  let last = "";
  {
    await using client = await Client.open(server.url);
    await take(client, 1);
    while (!client.lastId.endsWith(`:${end}`)) await client.comment();
    last = client.lastId;
  }
  assertEquals(read.splice(0), [1, 2, 3]);
  await using client = await Client.open(server.url, { "Last-Event-ID": last });
  await client.comment();
  await client.comment();
  assertEquals(read, []);
});

Deno.test("an EventSource goes on by itself when its connection breaks", async () => {
  await using store = new InMemoryEventStore();
  await save(store, "order-1", 1, 2);
  let stop = new AbortController();
  let requests = 0;
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    requests++;
    return eventStream(request, store, { from: "start", signal: stop.signal });
  });
  const source = new EventSource(`http://127.0.0.1:${server.addr.port}/`);
  try {
    const seen: number[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    source.onmessage = ({ data }) => {
      const { version } = JSON.parse(data);
      seen.push(version);
      if (version === 2) {
        stop.abort(); // as a server that shuts down, and comes back
        stop = new AbortController();
        save(store, "order-1", 3, 4);
      }
      if (version === 4) resolve();
    };
    await promise;
    assertEquals([seen, requests], [[1, 2, 3, 4], 2]);
  } finally {
    source.close();
  }
});

Deno.test("a slow client holds the reader up, not memory", async () => {
  await using store = new InMemoryEventStore();
  await save(store, "order-1", 1, 200);
  let made = 0;
  const stream = eventStream(new Request("http://localhost/"), store, {
    from: "start",
    message: () => ++made,
  });
  const reader = stream.body!.getReader();
  await reader.read(); // the comment
  await reader.read();
  await turns();
  assertEquals(made, 1, "The next message is made when it is wanted");
  await reader.cancel();
  await reader.cancel();
});

Deno.test("a stream ends with its request, read or not, and with the server", async () => {
  await using store = new InMemoryEventStore();
  const open = () => store.metrics.activeSubscriptions;
  const place = `${encodeURIComponent(store.identity)}:${await positionsOf(store).end()}`;
  const begin = `: follow\n\nid: ${place}\n:\n\n`;
  const abort = new AbortController();
  const request = new Request("http://localhost/", { signal: abort.signal });
  const unread = eventStream(request, store);
  await turns();
  assertEquals(open(), 1);
  abort.abort();
  assertEquals(await unread.text(), begin);
  assertEquals(open(), 0);

  assertEquals(await eventStream(request, store).text(), begin, "It had ended before");
  const shutdown = new AbortController();
  const stream = eventStream(new Request("http://localhost/"), store, { signal: shutdown.signal });
  const text = stream.text();
  shutdown.abort();
  assertEquals(await text, begin);
  assertEquals(open(), 0);
  const disposed = eventStream(new Request("http://localhost/"), store).text();
  await turns();
  await store[Symbol.asyncDispose]();
  assertEquals(await disposed, begin);
});

Deno.test("a request for the headers alone leaves no subscription", async () => {
  await using store = new InMemoryEventStore();
  await using server = serve(store);
  await (await fetch(server.url, { method: "HEAD" })).body?.cancel();
  await server.quiet();
});

Deno.test("an error is the last message, and the hook gets it", async () => {
  await using store = new InMemoryEventStore();
  await save(store, "order-1", 1, 2);
  const secret = new Error("hunter2");
  await using server = serve(store, {
    from: "start",
    message: ({ version }) => {
      if (version === 2) throw secret;
      return { version };
    },
  });
  {
    await using client = await Client.open(server.url);
    const [first, last, end] = await take(client, 3);
    assertEquals(versions([first]), [1]);
    assertEquals([last?.type, JSON.parse(last!.data).status, end], ["problem", 500, undefined]);
    assert(!last!.data.includes("hunter2"));
    assertEquals(server.errors.splice(0), [secret]);
  }
  const beyond = `${encodeURIComponent(store.identity)}:${2 ** 40}`;
  await using client = await Client.open(server.url, { "Last-Event-ID": beyond });
  const [last, end] = await take(client, 2);
  assertEquals([last?.type, end], ["problem", undefined], "A position that does not exist yet");
  await server.quiet();
});

Deno.test("a hostile Last-Event-ID is refused before anything is read", async () => {
  await using store = new InMemoryEventStore();
  const id = encodeURIComponent(store.identity);
  const open = (text: string) =>
    eventStream(new Request("http://localhost/", { headers: { "Last-Event-ID": text } }), store);
  for (
    const text of [
      "7",
      ":7",
      `${id}:`,
      `${id}:-1`,
      `${id}:1e3`,
      `${id}:07`,
      `${id}:9007199254740991`,
      `${id}:99999999999999999999`,
      "x".repeat(50_000),
      `${id}:7\u00e9`,
    ]
  ) {
    const error = assertThrows(() => open(text), RequestError, "Cannot follow Last-Event-ID");
    assertEquals(problem(error).status, 400);
    assert(error.message.length < 250);
  }
  const other = assertThrows(() => open("another-store:7"), RequestError, "restored");
  assertEquals(problem(other).status, 409);
  assertEquals(store.metrics.activeSubscriptions, 0);
  await open("").body!.cancel();
  for (const heartbeat of [0, -1, NaN, Infinity]) {
    const request = new Request("http://localhost/");
    assertThrows(() => eventStream(request, store, { heartbeat }), RangeError, "heartbeat");
  }
  assertEquals(store.metrics.activeSubscriptions, 0);
});

Deno.test("texts of an event cannot break out of their message", async () => {
  await using store = new InMemoryEventStore();
  const nasty = "a\n\ndata: b\r\nid: 1\r\u2028\u0000🚀";
  await appendEvents(store, "order-1", 0, [{ eventType: "Odd\nevent: x", data: { nasty } }]);
  await using server = serve(store, { from: "start" });
  await using client = await Client.open(server.url);
  const message = await client.next();
  assertEquals(message?.type, "message");
  assertEquals(JSON.parse(message!.data).data.nasty, nasty);
});

storeTest("a client goes on while the server is away and back", async (stores) => {
  const { store } = await stores.open();
  await save(store, "order-1", 1, 2);
  await using server = serve(store, { from: "start", heartbeat: 50 });
  await using client = await Client.open(server.url);
  assertEquals(versions(await take(client, 2)), [1, 2]);
  await stores.scene.server.restart();
  await save(store, "order-1", 3, 4);
  assertEquals(versions(await take(client, 2)), [3, 4]);
});
