import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type AnswerMessage,
  type CommandAnswer,
  type CommandMessage,
  decodeAnswer,
  decodeCommand,
  encodeMessage,
} from "../../../cluster/commands/messages.ts";
import { Notifier } from "../../../store/base/notifier.ts";
import { type Destination, Router, type RouterParts } from "../../../cluster/commands/router.ts";
import {
  CommandAlreadyHandledError,
  CommandCrashedOwnersError,
  CommandCycleError,
  CommandFailedError,
  CommandOutcomeUnknownError,
  StoreUnavailableError,
} from "../../../store/errors.ts";
import type { RequestMux } from "../../../store/nats/requests.ts";
import { RequestError } from "../../../store/nats/request_error.ts";

const MESSAGE = { id: "c-1", actorId: "account-1", command: { amount: 7 } };
const THERE: Destination = { nodeId: "b", incarnation: "1", subject: "node.b" };
const HERE: Destination = { nodeId: "a", incarnation: "1", subject: undefined };

/** A router with a list of answers; the last one repeats. */
function routerOf(
  outcomes: (AnswerMessage | RequestError)[],
  parts: Partial<RouterParts> = {},
): { router: Router; sent: string[]; messages: CommandMessage[] } {
  const sent: string[] = [];
  const messages: CommandMessage[] = [];
  const request = (subject: string, payload: Uint8Array) => {
    const message = decodeCommand(payload)!;
    messages.push(message);
    sent.push(`${subject} ${message.id}`);
    const outcome = outcomes.length > 1 ? outcomes.shift()! : outcomes[0]!;
    return outcome instanceof RequestError
      ? Promise.reject(outcome)
      : Promise.resolve({ data: encodeMessage(outcome) });
  };
  const router = new Router({
    requests: { request } as unknown as RequestMux,
    ownerOf: () => THERE,
    isThere: () => true,
    hasLeft: () => false,
    refusal: () => undefined,
    runHere: () => Promise.resolve({ kind: "reply", reply: "here" }),
    signal: new AbortController().signal,
    changed: new Notifier(),
    capacity: 10,
    requestTimeout: 1000,
    ...parts,
  });
  return { router, sent, messages };
}

const again: CommandAnswer = { kind: "retry", reason: "the node does not serve shard 7" };
const noResponders = new RequestError("no responders", "node.b", false);
const interrupted = new RequestError("interrupted", "node.b", true);

Deno.test("send() returns the owner's reply, or undefined", async () => {
  const { router, sent } = routerOf([{ kind: "reply", reply: [1] }, { kind: "reply" }]);
  assertEquals(await router.send(MESSAGE, {}), [1]);
  assertEquals(await router.send(MESSAGE, {}), undefined);
  assertEquals(sent, ["node.b c-1", "node.b c-1"]);
});

Deno.test("send() tries again under the same id until an owner answers", async () => {
  const reply: CommandAnswer = { kind: "reply", reply: "done" };
  const { router, sent } = routerOf([noResponders, again, interrupted, reply]);
  assertEquals(await router.send(MESSAGE, {}), "done");
  assertEquals(sent.length, 4);
  assertEquals(new Set(sent).size, 1);
  assertEquals(router.underWay, 0);
});

Deno.test("send() follows the owner, and runs the command here if this node is the owner", async () => {
  const owners = [undefined, THERE, HERE];
  const { router, sent } = routerOf([again], { ownerOf: () => owners.shift() });
  assertEquals(await router.send(MESSAGE, {}), "here");
  assertEquals(sent.length, 1);
});

Deno.test("send() asks again after a while, of this node as of others", async () => {
  const owners = [HERE, HERE, THERE];
  let runs = 0;
  const { router, messages } = routerOf([{ kind: "reply", reply: "there" }], {
    ownerOf: () => owners.shift(),
    runHere: () => {
      runs++;
      return new Promise(() => {}); // Its handler never ends, and the shard moves.
    },
    requestTimeout: 5,
  });
  assertEquals(await router.send(MESSAGE, {}), "there");
  assertEquals([runs, messages[0]?.isDoubtful], [2, true]);
});

for (const isDoubtful of [false, true]) {
  const what = isDoubtful ? "may have" : "has not";
  Deno.test(`send() knows that this node ${what} handled a command by a later answer`, async () => {
    const answer = Promise.withResolvers<AnswerMessage>();
    let runs = 0;
    const { router } = routerOf([], {
      ownerOf: () => runs === 3 ? undefined : HERE,
      runHere: () => {
        if (++runs === 3) answer.resolve({ ...again, isDoubtful });
        return answer.promise; // Each attempt joins the first.
      },
      requestTimeout: 5,
    });
    const error = await router.send(MESSAGE, { timeout: 100 }).catch((error) => error);
    const expected = isDoubtful ? CommandOutcomeUnknownError : StoreUnavailableError;
    assert(error instanceof expected, String(error));
  });
}

Deno.test("send() goes on at once when the owners change", async () => {
  const changed = new Notifier();
  const owners: Destination[] = [];
  const { router } = routerOf([again], { ownerOf: () => owners[0], changed });
  const reply = router.send(MESSAGE, {});
  owners.push(HERE);
  changed.notify();
  assertEquals(await reply, "here");
});

Deno.test("send() does not wait for a node that has left", async () => {
  const changed = new Notifier();
  const owners = [THERE, HERE];
  const { router } = routerOf([], {
    requests: { request: () => new Promise(() => {}) } as unknown as RequestMux,
    ownerOf: () => owners[0],
    isThere: ({ nodeId }) => owners.some((owner) => owner.nodeId === nodeId),
    changed,
  });
  const reply = router.send(MESSAGE, {});
  changed.notify(); // It is there still.
  owners.shift();
  changed.notify();
  assertEquals(await reply, "here");
});

for (const hasLeft of [false, true]) {
  const what = hasLeft
    ? "a command goes on to as many owners as leave in good order"
    : "a command goes to two owners at most that crash while they have it";
  Deno.test(what, async () => {
    const owners = ["a", "b", "c", "d"].map((nodeId) => ({ ...THERE, nodeId }));
    const { router, sent } = routerOf([interrupted, interrupted, interrupted, { kind: "reply" }], {
      ownerOf: () => owners[sent.length],
      isThere: ({ nodeId }) => owners.findIndex((owner) => owner.nodeId === nodeId) >= sent.length,
      hasLeft: () => hasLeft,
    });
    const reply = router.send(MESSAGE, {});
    if (hasLeft) return assertEquals([await reply, sent.length], [undefined, 4]);
    const { nodes, commandId } = await assertRejects(() => reply, CommandCrashedOwnersError);
    assertEquals([nodes, commandId, sent.length], [["a", "b"], "c-1", 2]);
  });
}

Deno.test("an owner that crashed after its answer does not count", async () => {
  const here = new Set(["a", "b", "c", "d"]);
  const { router, sent } = routerOf([again, again, again, { kind: "reply" }], {
    ownerOf: () => {
      const [nodeId = "z"] = here;
      here.delete(nodeId); // Gone as soon as it has answered.
      return { ...THERE, nodeId };
    },
    isThere: ({ nodeId }) => here.has(nodeId),
  });
  await router.send(MESSAGE, {}).catch(() => {});
  assertEquals(sent.length, 4);
});

Deno.test("send() reports the handler's error, and a command that was handled before", async () => {
  const error = { name: "RangeError", message: "too much" };
  const receipt = { sequence: 9, duplicate: false };
  const { router } = routerOf([{ kind: "failed", error }, { kind: "handled", receipt }]);
  const failed = await assertRejects(() => router.send(MESSAGE, {}), CommandFailedError);
  assertEquals([failed.nodeId, failed.failure], ["b", error]);
  const handled = await assertRejects(() => router.send(MESSAGE, {}), CommandAlreadyHandledError);
  assertEquals(handled.receipt, receipt);
});

Deno.test("send() reports whether a command without an answer may have been handled", async () => {
  const options = { timeout: 30 };
  const never = routerOf([noResponders]).router;
  const unsent = await assertRejects(() => never.send(MESSAGE, options), StoreUnavailableError);
  assert(unsent.message.endsWith("it was not handled"), unsent.message);
  const lost = routerOf([interrupted, noResponders]).router;
  const unknown = await assertRejects(
    () => lost.send(MESSAGE, options),
    CommandOutcomeUnknownError,
  );
  assertEquals(unknown.commandId, "c-1");
  const stored = routerOf([{ ...again, isDoubtful: true }, noResponders]).router;
  await assertRejects(() => stored.send(MESSAGE, options), CommandOutcomeUnknownError);
});

Deno.test("a signal ends the wait, by its reason if the command was not handled", async () => {
  const { router } = routerOf([noResponders]);
  const reason = new Error("enough");
  const signal = () => {
    const ends = new AbortController();
    setTimeout(() => ends.abort(reason), 20);
    return { signal: ends.signal };
  };
  await assertRejects(() => router.send(MESSAGE, signal()), Error, "enough");
  const hanging = routerOf([again], { ownerOf: () => HERE, runHere: () => new Promise(() => {}) });
  const unknown = await assertRejects(
    () => hanging.router.send(MESSAGE, signal()),
    CommandOutcomeUnknownError,
  );
  assertEquals(unknown.cause, reason);
  await assertRejects(
    () => router.send(MESSAGE, { signal: AbortSignal.abort(reason) }),
    Error,
    "eno",
  );
});

Deno.test("no more commands than the capacity are on their way", async () => {
  const { promise, resolve } = Promise.withResolvers<CommandAnswer>();
  const { router } = routerOf([again], {
    ownerOf: () => HERE,
    runHere: () => promise,
    capacity: 2,
  });
  const waiting = [router.send(MESSAGE, {}), router.send(MESSAGE, {})];
  await assertRejects(() => router.send(MESSAGE, {}), StoreUnavailableError, "it was not sent");
  resolve({ kind: "reply", reply: 1 });
  assertEquals(await Promise.all(waiting), [1, 1]);
});

Deno.test("all attempts of a command name the same landmark, and say when one may be handled", async () => {
  const reply: CommandAnswer = { kind: "reply", reply: "done" };
  const landmark = { sequence: 7, id: "e-7" };
  const later = { ...again, landmark: { sequence: 9, id: "e-9" } };
  const { router, messages } = routerOf([noResponders, later, interrupted, again, reply]);
  await router.send({ ...MESSAGE, landmark }, {});
  assertEquals(messages.map((message) => message.landmark), Array(5).fill(landmark));
  assertEquals(
    messages.map(({ isDoubtful = false }) => isDoubtful),
    [false, false, false, true, true],
  );
});

Deno.test("a router knows the latest landmark of all answers", async () => {
  const at = (sequence: number) => ({ sequence, id: `e-${sequence}` });
  const { router } = routerOf([
    { ...again, landmark: at(3) },
    { kind: "reply", landmark: at(9) },
    { kind: "reply", landmark: at(5) },
    { kind: "reply" },
  ]);
  assertEquals(router.landmark, undefined);
  for (let at = 0; at < 3; at++) await router.send(MESSAGE, {});
  assertEquals(router.landmark, at(9));
});

Deno.test("a landmark that would make a command too large is left out, but never that it is in doubt", async () => {
  const message = { ...MESSAGE, landmark: { sequence: 7, id: "e-7" }, isGiven: true };
  const doubtful = { ...MESSAGE, isDoubtful: true };
  const maxBytes = encodeMessage(doubtful).length;
  const { router, messages } = routerOf([interrupted, { kind: "reply" }]);
  await router.send(message, { maxBytes });
  assertEquals(messages, [MESSAGE, doubtful]);
  await assertRejects(() => router.send(message, { maxBytes: maxBytes - 1 }), RangeError, "takes");
});

Deno.test("a time since when a command may have come is not left out without a doubt instead", async () => {
  const message = { ...MESSAGE, since: 1_700_000_000_000 };
  const maxBytes = encodeMessage({ ...MESSAGE, isDoubtful: true }).length;
  const { router, messages } = routerOf([{ kind: "reply" }]);
  await router.send(message, { maxBytes });
  assertEquals(messages, [{ ...MESSAGE, isDoubtful: true }]);
});

Deno.test("messages without landmarks, or with unknown ones, are still read", () => {
  const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const strange = [undefined, null, 7, "7", {}, { sequence: 7 }, { sequence: -1, id: "e" }];
  strange.push({ sequence: 7, id: "" }, { sequence: 7, id: "x".repeat(201) });
  for (const landmark of strange) {
    assertEquals(decodeCommand(encode({ ...MESSAGE, landmark })), MESSAGE);
    assertEquals(decodeAnswer(encode({ ...again, landmark }))?.landmark, undefined);
  }
  const landmark = { sequence: 7, id: "e-7" };
  assertEquals(decodeCommand(encode({ ...MESSAGE, landmark, isDoubtful: 1 })), {
    ...MESSAGE,
    landmark,
  });
  assertEquals(decodeAnswer(encode({ ...again, landmark })), { ...again, landmark });
});

Deno.test("a call cycle fails with its chain, unless an attempt before may have been handled", async () => {
  const message = { ...MESSAGE, calls: [{ actorId: "order-1", id: "c-0" }] };
  const { router } = routerOf([{ kind: "cycle" }, interrupted, { kind: "cycle" }]);
  const { chain } = await assertRejects(() => router.send(message, {}), CommandCycleError);
  assertEquals(chain, ["order-1", "account-1"]);
  const { cause } = await assertRejects(
    () => router.send(message, {}),
    CommandOutcomeUnknownError,
  );
  assert(cause instanceof CommandCycleError);
});

Deno.test("calls that would make a command too large are left out, but never that it is in doubt", async () => {
  const calls = Array.from({ length: 20 }, (_, at) => ({ actorId: `order-${at}`, id: "c-0" }));
  const { router, messages } = routerOf([interrupted, { kind: "reply" }]);
  await router.send({ ...MESSAGE, calls }, { maxBytes: 120 });
  assertEquals(messages.map((message) => message.calls), [undefined, undefined]);
  assertEquals(messages.map((message) => message.isDoubtful), [undefined, true]);
});
