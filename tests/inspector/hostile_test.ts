import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { listen } from "../../cli/http_server.ts";
import { inspector } from "../../inspector/mod.ts";
import {
  createEvent,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  Projection,
} from "../../store/mod.ts";
import { Desk, TOKEN } from "./bed.ts";

/** What makes a request hostile: the rest of it is as it should be. */
interface Trick {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body: a text as it is, anything else as JSON. */
  readonly body?: unknown;
  /** The statuses that refuse it. */
  readonly status: number | readonly number[];
}

const bearer = { authorization: `Bearer ${TOKEN}` };
const pause = { on: "projection", name: "orders", action: "pause" };
const deep = "[".repeat(30_000);

const hosts = [
  ...[
    "evil.example",
    "evil.example:80",
    "0.0.0.0",
    "127.1",
    "2130706433",
    "10.0.0.1",
    "169.254.169.254",
  ],
  ...[
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "notlocalhost",
    "[::1",
    "[::]",
    "[::ffff:a00:1]",
  ],
  ...[
    "user@localhost",
    "localhost:999999",
    "localhost%00",
    "localhost/x",
    "127.0.0.1#x",
    "evil.localhost.",
    "",
  ],
].map((host): Trick => ({ headers: { host }, status: 403 }));

const origins = [
  ...[
    "http://evil.example",
    "null",
    "http://localhost:1",
    "https://localhost.evil.example",
    "file://",
  ],
  ...[
    "http://localhost@evil.example",
    "http://localhost/",
    "localhost",
    "http://localhost http://x.y",
    "",
  ],
].map((origin): Trick => ({ headers: { origin }, status: 403 }));

const sites = ["cross-site", "same-site", "none", "nonsense", ""]
  .map((site): Trick => ({ headers: { "sec-fetch-site": site }, status: 403 }));

const methods = ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"]
  .map((method): Trick => ({ method, status: 405 }));

const paths = [
  ...[
    "/api",
    "/api/",
    "/api/actor/",
    "/api//actor",
    "/API/actor",
    "/api/%61ctor",
    "/api/actor%2f..",
  ],
  ...["/api/../secret", "/api/actor;x=1", "/api/__proto__", "/api/constructor", "/api/toString"],
  ...[
    "/api/act/..%2factor",
    "/index.html",
    "/.git/config",
    "/..%2f..%2fetc/passwd",
    "//localhost/api/actor",
  ],
].map((path): Trick => ({ path, status: 404 }));

const forms: Trick[] = [
  ...[
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/jsonx",
    "text/json",
  ]
    .map((type) => ({ headers: { "content-type": type }, status: 415 })),
  ...["", "null", "[]", "1", '"x"', "{", deep, `{"actorId":${deep}`].map((body) => ({
    body,
    status: 400,
  })),
  { body: { actorId: "order-1", more: "x".repeat(70_000) }, status: 413 },
];

const fields: Trick[] = [
  ...[7, {}, [], "", null, "x".repeat(513), "\ud800", true].map((actorId) => ({
    ...{ body: { actorId }, status: 400 },
  })),
  { body: '{"__proto__":{"actorId":"order-1"}}', status: 400 },
  { body: { constructor: { actorId: "order-1" } }, status: 400 },
  ...[
    ...[{ fromVersion: -1 }, { fromVersion: 1.5 }, { fromVersion: "1" }, { toVersion: {} }, {
      limit: 0,
    }],
    ...[{ limit: "9" }, { direction: "sideways" }, { direction: "__proto__" }],
  ].map((wrong) => ({ body: { actorId: "order-1", ...wrong }, status: 400 })),
  { body: '{"actorId":"order-1","limit":1e999}', status: 400 },
  ...[
    ["actors", { prefix: 1 }],
    ["actors", { category: "x".repeat(1_000) }],
    ["processes", { parked: "yes" }],
    ["processes", { name: {} }],
    ["causation", {}],
    ["causation", { eventId: "e", sequence: -1 }],
    ["tail", { eventTypes: "Placed" }],
    ["tail", { eventTypes: Array(101).fill("x") }],
    ["tail", { text: "x".repeat(513) }],
    ["tail", { perSecond: 0 }],
    ["live", {}],
    ["live", { views: ["store", "secrets"] }],
    ["live", { views: "store" }],
    ["verify", { from: "start" }],
    ["states", { actorId: "__proto__-1" }],
    ["states", { actorId: "constructor" }],
  ].map(([name, body]) => ({ path: `/api/${name}`, body, status: [400, 404] })),
];

const actions: Trick[] = [
  ...[
    ...[{}, { authorization: "" }, { authorization: "Bearer" }, { authorization: "Bearer  " }],
    ...[{ authorization: `Bearer ${TOKEN.slice(1)}` }, { authorization: `Bearer ${TOKEN}x` }],
    ...[{ authorization: `Basic ${btoa(`x:${TOKEN}`)}` }, { authorization: TOKEN }],
    ...[{ cookie: `token=${TOKEN}` }, { "x-token": TOKEN }],
  ].map((headers) => ({ path: "/api/act", headers, body: pause, status: 401 })),
  { path: `/api/act?token=${TOKEN}`, body: pause, status: 401 },
  { path: "/api/act", body: { ...pause, token: TOKEN }, status: 401 },
  { path: "/api/act", headers: { ...bearer, origin: "null" }, body: pause, status: 403 },
  {
    path: "/api/act",
    headers: { ...bearer, "content-type": "text/plain" },
    body: pause,
    status: 415,
  },
  ...[
    ...[{}, { ...pause, on: "store" }, { ...pause, action: "delete" }, {
      ...pause,
      name: "others",
    }],
    ...[{ ...pause, name: "__proto__" }, { ...pause, action: "constructor" }, {
      ...pause,
      name: 1,
    }],
    ...[{ ...pause, action: "unpark" }, { ...pause, action: "skip" }, { ...pause, on: "process" }],
    { ...pause, action: "skip", sequence: 256 },
  ].map((body) => ({ path: "/api/act", headers: bearer, body, status: [400, 404, 409] })),
];

const all = { hosts, origins, sites, methods, paths, forms, fields, actions };

Deno.test("over a hundred hostile requests are refused, read nothing and change nothing", async () => {
  await using store = new InMemoryEventStore();
  const secret = "a secret that no refusal tells";
  await store.saveEvent(
    createEvent({ eventType: "Placed", actorId: "order-1", version: 1, data: secret }),
  );
  await using projection = new Projection({
    ...{ name: "orders", store, checkpoints: new InMemoryCheckpointStore(), handler: () => {} },
  });
  const before = [await projection.status(), store.metrics.saves];
  const errors: unknown[] = [];
  const parts = { store, projections: [projection], actions: true, token: TOKEN };
  const { handler } = new Desk({ ...parts, onError: (error) => void errors.push(error) });
  let count = 0;
  for (const [kind, tricks] of Object.entries(all)) {
    for (const { method = "POST", path = "/api/actor", headers = {}, body, status } of tricks) {
      count++;
      const text = typeof body === "string" ? body : JSON.stringify(body ?? { actorId: "order-1" });
      const hasBody = method !== "GET" && method !== "HEAD";
      const answer = await handler(
        new Request(`http://localhost${path}`, {
          method,
          headers: { host: "localhost", "content-type": "application/json", ...headers },
          ...(hasBody && { body: text }),
        }),
      );
      const said = await answer.text();
      const trick = `${kind}: ${method} ${path} ${JSON.stringify(headers)} ${text.slice(0, 80)}`;
      assert([status].flat().includes(answer.status), `${answer.status} to ${trick}: ${said}`);
      assert(!said.includes(secret), `the answer to ${trick} tells what is stored`);
      assertEquals(answer.headers.get("content-type"), "application/problem+json", trick);
      assertEquals(answer.headers.get("x-content-type-options"), "nosniff");
      assertEquals(answer.headers.get("access-control-allow-origin"), null);
    }
  }
  assert(count >= 100, `${count} requests`);
  assertEquals([await projection.status(), store.metrics.saves], before);
  assertEquals([store.metrics.activeSubscriptions, errors], [0, []]);
});

Deno.test("texts that no id could be find nothing", async () => {
  await using store = new InMemoryEventStore();
  const desk = new Desk({ store });
  for (const text of ["\ud800", "é".repeat(200), "a\u0000", "\n", "a".repeat(512)]) {
    for (const field of ["prefix", "category", "after"]) {
      assertEquals((await desk.view("actors", { [field]: text })).actors, [], field);
    }
    for (const field of ["name", "after"]) {
      assertEquals((await desk.view("processes", { [field]: text })).processes, [], field);
    }
  }
});

Deno.test("the control: the same requests without a trick are answered", async () => {
  await using store = new InMemoryEventStore();
  await using projection = new Projection({
    ...{ name: "orders", store, checkpoints: new InMemoryCheckpointStore(), handler: () => {} },
  });
  const desk = new Desk({ store, projections: [projection], actions: true, token: TOKEN });
  for (
    const headers of [
      ...[{}, { host: "LOCALHOST:8080", origin: "http://localhost:8080" }, { host: "[::1]:1" }],
      ...[{ host: "127.0.0.9" }, { host: "inspector.localhost" }, {
        "sec-fetch-site": "same-origin",
      }],
      { "content-type": "application/json; charset=utf-8" },
    ]
  ) {
    const answer = await desk.post("actor", { actorId: "order-1" }, { headers });
    assertEquals([answer.status, (await answer.json()).version], [200, 0]);
  }
  assertEquals((await desk.act(pause))[0], 200);
  assertEquals((await projection.status()).paused, true);
});

Deno.test("actions are off unless they are asked for, whatever the token", async () => {
  await using store = new InMemoryEventStore();
  const [status, { detail }] = await new Desk({ store, token: TOKEN }).act(pause);
  assertEquals(status, 403);
  assertMatch(String(detail), /^Actions are off/);
  assertThrows(() => inspector({ store, actions: true }), TypeError, "token is missing");
  assertThrows(() => inspector({ store, actions: true, token: "short" }), RangeError, "16");
  assertThrows(() => inspector({ store, hosts: ["http://x"] }), TypeError, "no host name");
  assertThrows(() => inspector({ store, maxStreams: 0 }), RangeError, "maxStreams");
});

Deno.test("other hosts pass only if they are named", async () => {
  await using store = new InMemoryEventStore();
  const desk = new Desk({ store, hosts: ["Ops.example"] });
  for (
    const [host, status] of [["ops.example", 200], ["ops.example:8443", 200], [
      "x.ops.example",
      403,
    ]]
  ) {
    const answer = await desk.post("about", {}, { headers: { host: `${host}` } });
    await answer.body?.cancel();
    assertEquals(answer.status, status);
  }
});

Deno.test("the page carries a policy that allows nothing from elsewhere", async () => {
  await using store = new InMemoryEventStore();
  const { handler } = new Desk({ store });
  const get = (method: string, headers = {}) =>
    handler(new Request("http://localhost:9/", { method, headers }));
  const answer = await get("GET", { "sec-fetch-site": "none" });
  const policy = answer.headers.get("content-security-policy") ?? "";
  assertMatch(policy, /^default-src 'none'; script-src [^*]*; connect-src 'self';/);
  assert(!/unsafe|https?:|\*/.test(policy), policy);
  assertMatch(await answer.text(), /^<!doctype html>/i);
  assertEquals((await (await get("HEAD")).text()).length, 0);
  assertEquals((await get("POST")).status, 405);
  assertEquals((await get("GET", { "sec-fetch-site": "cross-site" })).status, 403);
});

Deno.test("ids and data with markup stay JSON, and a body that never ends is given up", async () => {
  await using store = new InMemoryEventStore();
  const actorId = "<img src=x onerror=alert(1)>-</script>";
  const data = { html: "</script><script>alert(1)</script>" };
  await store.saveEvent(createEvent({ eventType: "<b>", actorId, version: 1, data }));
  const desk = new Desk({ store });
  const answer = await desk.post("actor", { actorId });
  assertEquals(answer.headers.get("content-type"), "application/json");
  assertEquals((await answer.json()).events[0].data, data);
  let isCancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new Uint8Array(8_192)),
    cancel: () => void (isCancelled = true),
  });
  const flood = await desk.post("actor", {}, { body, duplex: "half" } as RequestInit);
  await flood.body?.cancel();
  assertEquals([flood.status, isCancelled], [413, true]);
});

Deno.test("live answers left open by the hundred leave nothing behind", async () => {
  await using store = new InMemoryEventStore();
  const { handler } = new Desk({ store, maxStreams: 20 });
  await using server = await listen(handler, 0);
  const open = async (name: string, body: unknown) => {
    const abort = new AbortController();
    const answer = await fetch(`${server.url}api/${name}`, {
      ...{ method: "POST", body: JSON.stringify(body), signal: abort.signal },
      headers: { "content-type": "application/json" },
    });
    const said = answer.status === 503 ? await answer.json() : undefined;
    return { status: answer.status, said, leave: () => abort.abort() };
  };
  const names = [["tail", {}], ["live", { views: ["store", "cluster"] }], ["tail", {
    text: "x",
  }]] as const;
  const opened = await Promise.all(
    Array.from({ length: 200 }, (_, at) => {
      const [name, body] = names[at % names.length]!;
      return open(name, body);
    }),
  );
  const taken = opened.filter(({ status }) => status === 200);
  const refused = opened.filter(({ status }) => status === 503);
  assertEquals([taken.length, refused.length], [20, 180]);
  assertMatch(refused[0]!.said.detail, /^20 live answers are open/);
  assertEquals(store.metrics.activeSubscriptions, 1, "all tails share one subscription");
  for (const { leave } of taken) leave();
  while (store.metrics.activeSubscriptions > 0) await new Promise((done) => setTimeout(done, 5));
  for (let status = 503; status !== 200;) {
    const again = await open("tail", {});
    status = again.status;
    again.leave();
  }
  while (store.metrics.activeSubscriptions > 0) await new Promise((done) => setTimeout(done, 5));
});
