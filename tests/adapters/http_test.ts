import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  accepted,
  commandId,
  etag,
  expectedVersion,
  jsonBody,
  problem,
  reached,
  type ReadModel,
  RequestError,
} from "../../adapters/http/mod.ts";
import * as errors from "../../store/errors.ts";
import { createEvent, type Decider, type Event, execute, InMemoryEventStore } from "../../mod.ts";
import { oneOfEach } from "../store/every_error.ts";

function request(headers: Record<string, string> = {}): Request {
  return new Request("http://localhost/orders/1", { method: "POST", headers });
}

/** The status of each error, and whether its answer says when to come back. */
const STATUS: Readonly<Record<errors.AetherErrorCode, [number, boolean?]>> = {
  VersionConflictError: [409],
  InvalidEventError: [422],
  EventTooLargeError: [413],
  CommandRefusedError: [422],
  CommandAlreadyHandledError: [409],
  CommandFailedError: [500],
  SaveOutcomeUnknownError: [504],
  CommandOutcomeUnknownError: [504],
  StoreUnavailableError: [503, true],
  FencedError: [503, true],
  LeaseLostError: [503, true],
  NodeReplacedError: [503, true],
  SubscriptionOverflowError: [503, true],
  ActorElsewhereError: [500],
  CommandCrashedOwnersError: [500],
  CommandCycleError: [500],
  StoreRefusedError: [500],
  InvalidSnapshotError: [500],
  CorruptEventError: [500],
  StreamConfigError: [500],
  StreamRegressedError: [500],
  UnsupportedServerError: [500],
  UnknownSchemaError: [500],
  CheckpointConflictError: [500],
  CorruptCheckpointError: [500],
  PoisonEventError: [500],
  RebuildFailedError: [500],
};

for (const module of [errors, await import("../../store/errors.ts?http" as string)]) {
  const whose = module === errors ? "this copy" : "another copy";
  Deno.test(`each error of ${whose} of the package has its status`, async () => {
    const seen = new Set<string>();
    for (const error of oneOfEach(module)) {
      const answer = problem(error);
      const [status, comesBack = false] = STATUS[error.code];
      assertEquals(answer.status, status, error.code);
      assertEquals(answer.headers.has("retry-after"), comesBack, error.code);
      assertEquals(answer.headers.get("content-type"), "application/problem+json");
      const body = await answer.json();
      assertEquals([body.status, body.code], [status, error.code]);
      assert(body.title.length > 0 && body.detail.length > 0);
      // Names of streams, shards and nodes are nobody's business outside.
      if (status >= 500) assert(!JSON.stringify(body).includes(error.message), error.code);
      seen.add(error.code);
    }
    assertEquals([...seen].sort(), Object.keys(STATUS).sort());
  });
}

Deno.test("a problem has the facts that a client acts on", async () => {
  const conflict = new errors.VersionConflictError("order-7", 3, 5);
  assertEquals(await problem(conflict).json(), {
    title: "Conflict",
    status: 409,
    detail: "It was changed meanwhile: it is at version 5",
    code: "VersionConflictError",
    currentVersion: 5,
  });
  for (const headers of [{ "If-Match": '"3"' }, { "If-None-Match": "*" }]) {
    assertEquals(problem(conflict, { request: request(headers) }).status, 412);
  }
  assertEquals(problem(conflict, { request: request() }).status, 409);
  const handled = new errors.CommandAlreadyHandledError("c", { sequence: 512, duplicate: true });
  assertEquals((await problem(handled).json()).sequence, 512);
});

Deno.test("an error that is not known is 500, and its message stays here", async () => {
  for (
    const error of [
      new Error("password is hunter2"),
      "hunter2",
      undefined,
      null,
      Object.create(null),
      new Proxy({}, {
        get() {
          throw new Error("hunter2");
        },
        has() {
          throw new Error("hunter2");
        },
      }),
      Object.assign(new Error("hunter2"), { name: "RequestError", status: 700, header: "x" }),
      new DOMException("hunter2", "DataCloneError"),
      Object.assign(new Error("hunter2"), { name: "toString" }),
    ]
  ) {
    const answer = problem(error);
    const text = await answer.text();
    assertEquals(answer.status, 500);
    assert(!text.includes("hunter2"), text);
  }
  assertEquals(problem(new DOMException("late", "TimeoutError")).status, 504);
  assertEquals(problem(new DOMException("bye", "AbortError")).status, 503);
});

Deno.test("an error of the caller's has the status that its hook gives, and shows its message", async () => {
  class Broke extends Error {}
  const status = (error: unknown) => error instanceof Broke ? 422 : undefined;
  const answer = problem(new Broke("There are 3 left"), { status });
  assertEquals(answer.status, 422);
  assertEquals((await answer.json()).detail, "There are 3 left");
  assertEquals(problem(new Error("other"), { status }).status, 500);

  const failure = { name: "Broke", message: "There are 3 left" };
  const far = new errors.CommandFailedError("c", "a", "node-1", failure);
  const answered = problem(far, {
    status: (error) => errors.isAetherError(error, "CommandFailedError") ? 409 : undefined,
  });
  assertEquals(answered.status, 409);
  assertEquals((await answered.json()).detail, "There are 3 left");

  for (const odd of [200, 99, 600, NaN, 422.5, "422"]) {
    assertEquals(problem(new Error("odd"), { status: () => odd as number }).status, 500);
  }
  const { warn } = console;
  try {
    console.warn = () => {};
    const throws = () => {
      throw new Error("in the hook");
    };
    assertEquals(
      problem(new errors.VersionConflictError("a", 1, 2), { status: throws }).status,
      409,
    );
  } finally {
    console.warn = warn;
  }
});

Deno.test("a failure on another node keeps the meaning of the library's own codes", () => {
  const far = (code: string, headers: Record<string, string> = {}) => {
    const failure = { name: code, message: "", code };
    const error = new errors.CommandFailedError("c", "a", "n", failure);
    return problem(error, { request: request(headers) });
  };
  for (const [code, [status, comesBack = false]] of Object.entries(STATUS)) {
    assertEquals(far(code).status, status, code);
    assertEquals(far(code).headers.has("retry-after"), comesBack, code);
    const conditional = code === "VersionConflictError" ? 412 : status;
    assertEquals(far(code, { "If-Match": '"3"' }).status, conditional, code);
  }
  for (const code of ["toString", "__proto__", ""]) assertEquals(far(code).status, 500);
});

Deno.test("an ETag is a version, there and back", () => {
  for (const version of [0, 1, 7, Number.MAX_SAFE_INTEGER]) {
    assertEquals(expectedVersion(request({ "If-Match": etag(version) })), version);
  }
  for (const version of [-1, 1.5, NaN, Infinity, 2 ** 53]) {
    assertThrows(() => etag(version), RangeError, "Cannot make an ETag");
  }
  assertEquals(expectedVersion(request()), undefined);
  assertEquals(expectedVersion(request({ "If-None-Match": "*" })), 0);
});

Deno.test("If-Match that names no single version is 400, in our words", async () => {
  const hostile: Record<string, string> = {
    'W/"7"': "is a weak tag, which names no version",
    'w/"7"': "is a weak tag",
    "*": "it is *, which names no version",
    '"7", "8"': "it has several tags",
    '"7","8"': "it has several tags",
    "7": "is no version in quotes",
    '""': "is no version in quotes",
    "": "is no version in quotes",
    '"-7"': "is no version in quotes",
    '"07"': "is no version in quotes",
    '"7e3"': "is no version in quotes",
    '" 7"': "is no version in quotes",
    '"7': "is no version in quotes",
    '"9007199254740993"': "is no version in quotes",
    '"99999999999999999999"': "is no version in quotes",
    ['"' + "7".repeat(10_000) + '"']: "is no version in quotes",
    "'7'": "is no version in quotes",
    '"\u00e97"': "is no version in quotes",
  };
  for (const [tag, words] of Object.entries(hostile)) {
    const error = assertThrows(() => expectedVersion(request({ "If-Match": tag })), RequestError);
    assert(error.message.includes(words), error.message);
    assert(error.message.length < 250);
    const answer = problem(error);
    assertEquals([answer.status, (await answer.json()).code], [400, "RequestError"]);
  }
  const twice = new Headers([["If-Match", '"7"'], ["If-Match", '"8"']]);
  assertThrows(() => expectedVersion({ headers: twice }), RequestError, "several tags");
  for (const headers of [{ "If-None-Match": '"7"' }, { "If-None-Match": "*", "If-Match": '"7"' }]) {
    assertThrows(() => expectedVersion(request(headers as Record<string, string>)), RequestError);
  }
});

Deno.test("a body that is no JSON is the client's mistake, and any other failure is not", async () => {
  const post = (body: BodyInit) => new Request("http://localhost/", { method: "POST", body });
  for (const text of ["", "{", "undefined", "{'a':1}", "\u0000"]) {
    const error = await assertRejects(() => jsonBody(post(text)), RequestError, "it is no JSON");
    assertEquals([problem(error).status, error.header], [400, "body"]);
  }
  assertEquals(await jsonBody<{ amount: number }>(post('{"amount":5}')), { amount: 5 });
  const broken = new Error("the connection is gone");
  const body = new ReadableStream({ pull: (controller) => controller.error(broken) });
  const error = await jsonBody(post(body)).catch((error: unknown) => error);
  assertEquals([error === broken, problem(error).status], [true, 500]);
});

Deno.test("Idempotency-Key is a commandId, in quotes or without", () => {
  const key = (text: string, options = {}) =>
    commandId(request({ "Idempotency-Key": text }), options);
  assertEquals(commandId(request()), undefined);
  assertEquals(key('"8e03978e-40d5"'), "8e03978e-40d5");
  assertEquals(key("8e03978e-40d5"), "8e03978e-40d5");
  assertEquals(key('"a \\"b\\" \\\\c, d"'), 'a "b" \\c, d');
  assertEquals(key("k", { scope: "user/1" }), "user%2F1/k");
  assertThrows(() => key("k", { scope: "\ud800" }), RequestError, "its scope has a lone surrogate");
  assert(key("1/k", { scope: "user" }) !== key("k", { scope: "user/1" }), "Scopes never meet");
  for (
    const text of ["", '""', "a, b", '"a", "b"', '"a";x=1', '"a', "a b", "a\u00e9", "x".repeat(201)]
  ) {
    assertThrows(() => key(text), RequestError, "Cannot follow Idempotency-Key");
  }
});

type Counted = Event<"Counted", null>;
const counter: Decider<number, null, Counted> = {
  initialState: () => 0,
  evolve: (count) => count + 1,
  decide: () => ({ eventType: "Counted", data: null }),
};

Deno.test("a command over HTTP is handled once, at the version that the client has seen", async () => {
  await using store = new InMemoryEventStore();
  async function handle(request: Request): Promise<Response> {
    try {
      const [id, expected] = [commandId(request), expectedVersion(request)];
      const result = await execute(store, "counter-1", counter, null, {
        ...(id !== undefined && { commandId: id }),
        ...(expected !== undefined && { expectedVersion: expected }),
      });
      return await accepted(result, { request });
    } catch (error) {
      return problem(error, { request });
    }
  }
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handle);
  const post = async (headers: Record<string, string>) => {
    const url = `http://127.0.0.1:${server.addr.port}/`;
    const answer = await fetch(url, { method: "POST", headers });
    return { answer, body: await answer.json() };
  };
  const first = await post({ "If-None-Match": "*", "Idempotency-Key": '"one"' });
  assertEquals(first.answer.status, 202);
  assertEquals(first.answer.headers.get("etag"), '"1"');
  assertEquals(first.answer.headers.get("aether-position"), `${first.body.sequence}`);
  const again = await post({ "If-None-Match": "*", "Idempotency-Key": '"one"' });
  assertEquals(again.body, { ...first.body, duplicate: true }, "A retry gets its own result");
  const late = await post({ "If-None-Match": "*", "Idempotency-Key": '"two"' });
  assertEquals([late.answer.status, late.body.currentVersion], [412, 1]);
  const next = await post({ "If-Match": again.answer.headers.get("etag")! });
  assertEquals([next.answer.status, next.body.version], [202, 2]);
  const bad = await post({ "If-Match": 'W/"2"' });
  assertEquals([bad.answer.status, bad.body.title], [400, "Bad Request"]);
  assertEquals(await store.getLatestVersion("counter-1"), 2);
});

Deno.test("an answer waits for the read model as long as the client prefers", async () => {
  const waits: (number | undefined)[] = [];
  const model = (outcome: () => Promise<unknown>): ReadModel => ({
    reached: (_sequence, { timeout }) => {
      waits.push(timeout);
      return outcome();
    },
  });
  const quick = model(() => Promise.resolve());
  const slow = model(() => Promise.reject(new DOMException("late", "TimeoutError")));
  const broken = model(() => Promise.reject(new Error("halted")));
  const receipt = { sequence: 512, version: 2 };
  const status = async (prefer: string, readModel: ReadModel, timeout = 10_000) => {
    const own = request(prefer === "" ? {} : { Prefer: prefer });
    const answer = await accepted(receipt, { request: own, readModel, timeout });
    await answer.body?.cancel();
    return answer.status;
  };
  assertEquals(await status("wait=5", quick), 200);
  assertEquals(await status('respond-async, Wait = "5"; x=1', quick), 200);
  assertEquals(await status("wait=5", slow), 202);
  assertEquals(await status("wait=5", broken), 202, "The command is stored all the same");
  assertEquals(await status("wait=99999", quick), 200);
  assertEquals(waits.splice(0), [5_000, 5_000, 5_000, 5_000, 10_000]);
  for (
    const prefer of ["", "wait=0", "wait", "wait=", "wait=-1", "wait=1e9", "nowait=5", "wait=5x"]
  ) {
    assertEquals(await status(prefer, quick), 202, prefer);
  }
  assertEquals(waits, [], "Preferences that are not understood are ignored");
  const nothing = await accepted({ sequence: 0, version: 2, duplicate: false }, {
    readModel: slow,
  });
  assertEquals(nothing.status, 200, "Nothing is left to wait for");
  assertEquals(await nothing.json(), { sequence: 0, version: 2, duplicate: false });
});

Deno.test("a client reads its own write by the position that it sends back", async () => {
  const asked: number[] = [];
  const model: ReadModel = {
    reached: (sequence, { signal }) => {
      asked.push(sequence);
      signal?.throwIfAborted();
      return sequence > 1_000
        ? Promise.reject(new DOMException("late", "TimeoutError"))
        : Promise.resolve();
    },
  };
  assertEquals(await reached(request(), model), true);
  assertEquals(await reached(request({ "Aether-Position": "512" }), model), true);
  assertEquals(await reached(request({ "Aether-Position": "2048" }), model), false);
  assertEquals(asked, [512, 2048]);
  for (const text of ["-1", "1.5", "x", "", "1e3", "0x10", "1, 2", "9007199254740991"]) {
    await assertRejects(
      () => reached(request({ "Aether-Position": text }), model),
      RequestError,
      "is no position",
    );
  }
  const gone = AbortSignal.abort(new Error("gone"));
  await assertRejects(
    () => reached({ headers: new Headers({ "Aether-Position": "1" }), signal: gone }, model),
    Error,
    "gone",
  );
});

Deno.test("an event too large for a store is 413 by what the store throws", async () => {
  await using store = new InMemoryEventStore();
  const data = "x".repeat(2 ** 21);
  const event = createEvent({ eventType: "Big", actorId: "a-1", version: 1, data });
  const error = await store.saveEvent(event).catch((error: unknown) => error);
  assertEquals(problem(error).status, 413);
});
