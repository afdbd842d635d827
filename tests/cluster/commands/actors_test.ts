import { assert, assertEquals, assertRejects } from "@std/assert";
import type { ReplyToDuplicate } from "../../../cluster/commands/handler.ts";
import type { Decider } from "../../../store/command/decider.ts";
import type { Event } from "../../../store/event.ts";
import { execute } from "../../../store/command/execute.ts";
import type { EventStore } from "../../../store/store.ts";
import { shareCaches } from "../../../store/store_view.ts";
import { append, Node, noted } from "./actors_bed.ts";

Deno.test("an actor's commands run one at a time and in order, different actors' side by side", async () => {
  const log: unknown[] = [];
  const gates = new Map<unknown, PromiseWithResolvers<void>>();
  const node = new Node({
    handler: async (command) => {
      log.push(`${command} begins`);
      gates.set(command, Promise.withResolvers());
      await gates.get(command)!.promise;
      log.push(`${command} ends`);
    },
  });
  const all = [node.send("1"), node.send("2"), node.send("3", "3", "b-1")];
  while (gates.size < 2) await Promise.resolve();
  assertEquals(log, ["1 begins", "3 begins"]);
  gates.get("1")!.resolve();
  await all[0];
  while (gates.size < 3) await Promise.resolve();
  gates.get("2")!.resolve();
  gates.get("3")!.resolve();
  await Promise.all(all);
  assertEquals(log.slice(2, 4), ["1 ends", "2 begins"]);
  await node.actors.close();
});

Deno.test("a command that comes again while it runs, or soon after, gets the same answer", async () => {
  const node = new Node({ handler: append });
  const answers = await Promise.all([node.send("1"), node.send("1"), node.send("2")]);
  assertEquals(answers.map((answer) => "reply" in answer && answer.reply), [1, 1, 2]);
  assertEquals(await node.send("1"), { kind: "reply", reply: 1 });
  assertEquals((await node.store.getEvents("a-1")).length, 2);
  await node.actors.close();
});

Deno.test("a command found among the actor's events is not run again", async () => {
  const first = new Node({ handler: append });
  await first.send("1");
  await first.actors.close();
  const second = new Node({ handler: append }, first);
  const answer = await second.send("1");
  assertEquals(answer, { kind: "handled", receipt: { sequence: 2 * 256, duplicate: true } });
  await second.actors.close();
  const again: ReplyToDuplicate = ([event]) => `version ${event!.version}`;
  const third = new Node({ handler: append, again }, first);
  assertEquals(await third.send("1"), { kind: "reply", reply: "version 1" });
  await third.actors.close();
});

Deno.test("a handler's error is reported, and the command may come again", async () => {
  let fails = true;
  const node = new Node({
    handler: () => {
      if (fails) throw new RangeError("too much");
      return "fine";
    },
  });
  const error = { name: "RangeError", message: "too much" };
  assertEquals(await node.send("1"), { kind: "failed", error });
  fails = false;
  assertEquals(await node.send("2"), { kind: "reply", reply: "fine" });
  assertEquals(node.confirmations, 2);
  await node.actors.close();
});

Deno.test("a shard that is not served, or no longer when the turn comes, sends the command on", async () => {
  const gate = Promise.withResolvers<void>();
  const node = new Node({ handler: () => gate.promise });
  const running = node.send("1");
  const waiting = node.send("2");
  node.lost.add(3);
  node.actors.forget(3);
  assertEquals((await node.send("3")).kind, "retry");
  gate.resolve();
  assertEquals((await running).kind, "retry");
  assertEquals((await waiting).kind, "retry");
  await node.actors.close();
});

Deno.test("drained() waits only for the shard's commands", async () => {
  const gate = Promise.withResolvers<void>();
  const node = new Node({ handler: (_, { actorId }) => actorId === "a-1" ? gate.promise : 0 });
  const running = node.send("1");
  let drained = false;
  const draining = node.actors.drained(3)!.then(() => drained = true);
  await node.actors.drained(4);
  assert(!drained);
  gate.resolve();
  await draining;
  await running;
  await node.actors.close();
});

Deno.test("idle actors are dropped, and the busy one remains", async () => {
  const gate = Promise.withResolvers<void>();
  const node = new Node({
    handler: (command) => command === "busy" ? gate.promise : undefined,
    capacity: 0,
    idle: 20,
  });
  await node.send("1", "idle", "idle-1");
  const busy = node.send("2", "busy");
  while (node.actors.load.actors > 1) await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(node.actors.load, { actors: 1, commands: 1 });
  gate.resolve();
  await busy;
  assertEquals(node.reads.length, 2);
  while (node.actors.load.actors > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await node.actors.close();
});

Deno.test("the commands of an actor share its state, though each has a store of its own", async () => {
  let evolved = 0;
  const counter: Decider<number, unknown, Event<"Noted">> = {
    initialState: () => 0,
    evolve: (count) => {
      evolved++;
      return count + 1;
    },
    decide: (command) => ({ eventType: "Noted", data: { command } }),
  };
  const node = new Node({
    handler: async (command, { actorId, store }) =>
      (await execute(store, actorId, counter, command)).state,
  });
  for (let at = 1; at <= 50; at++) {
    assertEquals(await node.send(`${at}`), { kind: "reply", reply: at });
  }
  assertEquals(evolved, 50);
  await node.actors.close();
});

Deno.test("a handler's store refuses saves after the answer", async () => {
  let kept: EventStore | undefined;
  const node = new Node({
    handler: (_, { store }) => {
      kept = store;
    },
  });
  await node.send("1");
  const late = () => kept!.saveEvent(noted("a-1", 1, "late"));
  await assertRejects(late, TypeError, "has been answered");
  await node.actors.close();
});

Deno.test("a command that comes again is handled once, however many wait before it", async () => {
  const gate = Promise.withResolvers<void>();
  const node = new Node({
    handler: async (command, context) => {
      await gate.promise;
      return await append(command, context);
    },
  });
  const all = Array.from({ length: 1500 }, (_, at) => node.send(`${at}`));
  const again = node.send("0");
  gate.resolve();
  assertEquals(await again, await all[0]);
  await Promise.all(all);
  assertEquals((await node.store.getEvents("a-1")).length, 1500);
  await node.actors.close();
});

Deno.test("a handler from before the present claim saves nothing under it", async () => {
  const [begun, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const node: Node = new Node({
    handler: async (command, context) => {
      begun.resolve();
      await gate.promise;
      return await append(command, context);
    },
  });
  const first = node.send("1");
  await begun.promise;
  node.lost.add(3);
  node.actors.forget(3);
  await node.marked("1").saveEvents([noted("a-1", 1, "1")]); // By another node, which was asked next.
  node.lost.delete(3);
  const again = node.send("1");
  gate.resolve();
  assertEquals((await first).kind, "retry");
  assertEquals((await again).kind, "handled");
  assertEquals((await node.store.getEvents("a-1")).length, 1);
  await node.actors.close();
});

Deno.test("a save that its handler does not await still belongs to the command", async () => {
  const gate = Promise.withResolvers<void>();
  const node: Node = new Node({
    storeFor: (id) => {
      const store = node.marked(id);
      const saveEvents = async (events: readonly Event[]) => {
        await gate.promise;
        return await store.saveEvents(events);
      };
      return shareCaches(
        new Proxy(store, {
          get: (target, name) => name === "saveEvents" ? saveEvents : Reflect.get(target, name),
        }),
        store,
      );
    },
    handler: (_, { actorId, store }) => {
      store.saveEvent(noted(actorId, 1, "late"));
      throw new Error("that takes too long");
    },
  });
  const first = node.send("1");
  const answered = first.then(() => "answered");
  const turn = new Promise((resolve) => setTimeout(resolve));
  assertEquals(await Promise.race([answered, turn]), undefined);
  gate.resolve();
  assertEquals((await first).kind, "failed");
  node.actors.forget(3);
  assertEquals((await node.send("1")).kind, "handled");
  await node.actors.close();
});

Deno.test("a handler that never ends does not delay the shard that has come back", async () => {
  const node = new Node({ handler: (command) => command === "hang" ? new Promise(() => {}) : 7 });
  node.send("hang");
  node.actors.forget(3);
  assertEquals(await node.send("next"), { kind: "reply", reply: 7 });
  await node.actors.close(AbortSignal.abort());
});

Deno.test("no more idle actors are kept than allowed, those used last", async () => {
  const gate = Promise.withResolvers<void>();
  const node = new Node({
    handler: (command) => command === "busy" ? gate.promise : undefined,
    capacity: 3,
  });
  const busy = node.send("1", "busy", "busy");
  for (const actorId of ["a", "b", "c", "b", "d", "b"]) {
    await node.send(`of ${actorId}`, undefined, actorId);
    assert(node.actors.load.actors <= 3);
  }
  assertEquals(node.actors.load, { actors: 3, commands: 1 });
  assertEquals(node.reads.length, 5); // Once of each: "b" has stayed.
  gate.resolve();
  await busy;
  await node.actors.close();
});

Deno.test("a signal that is asked for when the shard is about to go is aborted already", async () => {
  const gate = Promise.withResolvers<void>();
  let reason: unknown;
  const node = new Node({
    handler: async (_, context) => {
      await gate.promise;
      reason = context.signal.reason;
    },
  });
  const answer = node.send("1");
  await Promise.resolve();
  const draining = node.actors.drained(3);
  node.lost.add(3);
  gate.resolve();
  await draining;
  await answer;
  assert(reason instanceof DOMException && reason.name === "AbortError");
  await node.actors.close();
});
