import { assert, assertEquals, assertRejects } from "@std/assert";
import type { ReplyToDuplicate } from "../../../cluster/commands/handler.ts";
import type { LogPosition } from "../../../store/fencing/log_position.ts";
import type { Decider } from "../../../store/command/decider.ts";
import {
  CorruptEventError,
  FencedError,
  SaveOutcomeUnknownError,
  StoreUnavailableError,
} from "../../../store/errors.ts";
import type { Event } from "../../../store/event.ts";
import { execute } from "../../../store/command/execute.ts";
import type { EventStore } from "../../../store/store.ts";
import { shareCaches } from "../../../store/store_view.ts";
import { append, Node, type NodeParts, noted } from "./actors_bed.ts";

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

Deno.test("an unknown outcome holds the turn until it is settled, and is looked up again", async () => {
  let tries = 0;
  const node: Node = new Node({
    storeFor: (id) => {
      const store = node.marked(id);
      if (tries++ > 0) return store;
      return new Proxy(store, {
        get: (target, name) => {
          if (name !== "saveEvents") return Reflect.get(target, name);
          return async (events: readonly Event[]) => {
            await target.saveEvents(events);
            let asked = 0;
            const settle = () =>
              Promise.resolve(++asked < 3 ? "unknown" as const : "saved" as const);
            throw new SaveOutcomeUnknownError("a-1", 1, settle);
          };
        },
      });
    },
    handler: append,
  });
  const first = node.send("1");
  const second = node.send("2");
  assertEquals((await first).kind, "retry");
  assertEquals(await second, { kind: "reply", reply: 2 });
  assertEquals((await node.send("1")).kind, "handled");
  assertEquals((await node.store.getEvents("a-1")).length, 2);
  await node.actors.close();
});

Deno.test("an outcome that remains unknown is settled by the fence", async () => {
  const node: Node = new Node({
    storeFor: (id) => {
      const store = node.marked(id);
      if (node.renewals > 0) return store;
      const settle = () =>
        Promise.resolve(node.renewals > 0 ? "not-saved" as const : "unknown" as const);
      const saveEvents = () => Promise.reject(new SaveOutcomeUnknownError("a-1", 1, settle));
      return new Proxy(store, {
        get: (target, name) => name === "saveEvents" ? saveEvents : Reflect.get(target, name),
      });
    },
    handler: append,
  });
  const [first, second] = [node.send("1"), node.send("2")];
  assertEquals((await first).kind, "retry");
  assertEquals(await second, { kind: "reply", reply: 1 });
  assertEquals(await node.send("1"), { kind: "reply", reply: 2 });
  assertEquals(node.renewals, 1);
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

Deno.test("a sender that is sent on learns whether events may be stored, and which shard was missing", async () => {
  const node: Node = new Node({
    handler: async (command, context) => {
      if (command === "saved") await append(command, context);
      throw new FencedError("save", { shard: command === "saved" ? 3 : 4, nodeId: "a" });
    },
  });
  const reason = "the node does not serve shard 3";
  assertEquals(await node.send("1", "saved"), { kind: "retry", reason, isDoubtful: true });
  const other =
    'Cannot save: node "a" does not own shard 4; send the command to the shard\'s owner';
  assertEquals(await node.send("2"), { kind: "retry", reason: other });
  await node.actors.close();
});

Deno.test("a command that saves on another node's shard fails at once, one on a lost shard does not", async () => {
  const node: Node = new Node({
    handler: (command) => {
      throw new FencedError("save", { shard: command as number, nodeId: "a" });
    },
    otherOwner: (shard) => shard === 4 ? "b" : undefined,
  });
  const elsewhere = { kind: "elsewhere", actorId: "a-1", shard: 4, owner: "b" } as const;
  assertEquals(await node.send("1", 4), elsewhere);
  assertEquals((await node.send("2", 5)).kind, "retry");
  await node.actors.close();
});

Deno.test("a handler that never ends does not delay the shard that has come back", async () => {
  const node = new Node({ handler: (command) => command === "hang" ? new Promise(() => {}) : 7 });
  node.send("hang");
  node.actors.forget(3);
  assertEquals(await node.send("next"), { kind: "reply", reply: 7 });
  await node.actors.close(AbortSignal.abort());
});

Deno.test("reads from before a handler's shard left make no reply, even if nothing is saved", async () => {
  const gate = Promise.withResolvers<void>();
  const node = new Node({
    handler: async (_command, { actorId, store }) => {
      const version = await store.getLatestVersion(actorId);
      await gate.promise;
      return version;
    },
  });
  const reply = node.send("read");
  node.actors.forget(3); // The shard goes, and comes back.
  gate.resolve();
  assertEquals((await reply).kind, "retry");
  await node.actors.close();
});

Deno.test("an actor whose events cannot be read is reported at once, and read again", async () => {
  const troubles: Error[] = [
    new StoreUnavailableError("Cannot read: no answer"),
    new CorruptEventError(1, "it is no JSON"),
  ];
  const node: Node = new Node({
    log: {
      search: (_actorId, after) => {
        const trouble = troubles.shift();
        if (trouble !== undefined) return Promise.reject(trouble);
        const end = { version: 0, sequence: 0 };
        return Promise.resolve({
          end,
          found: new Map(),
          since: typeof after === "number" ? after : 0,
        });
      },
    },
    handler: append,
  });
  assertEquals((await node.send("1")).kind, "retry");
  const failed = await node.send("1");
  assertEquals("error" in failed && failed.error.name, "CorruptEventError");
  assertEquals(await node.send("1"), { kind: "reply", reply: 1 });
  await node.actors.close();
});

Deno.test("an outcome that no fence settles ends the turn as doubtful", async () => {
  const node: Node = new Node({
    storeFor: (id) => {
      const store = node.marked(id);
      if (id !== "lost") return store;
      const settle = () => Promise.resolve("unknown" as const);
      const saveEvents = () => Promise.reject(new SaveOutcomeUnknownError("a-1", 1, settle));
      return new Proxy(store, {
        get: (target, name) => name === "saveEvents" ? saveEvents : Reflect.get(target, name),
      });
    },
    handler: append,
  });
  const [lost, next] = [node.send("lost"), node.send("next")];
  const reason = "its outcome was unknown for a while";
  assertEquals(await lost, { kind: "retry", reason, isDoubtful: true });
  assertEquals(await next, { kind: "reply", reply: 1 });
  assertEquals([node.renewals, node.reads], [2, [undefined, undefined]]);
  await node.actors.close();
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

/** A node that has saved events of an actor, the last of which is the landmark. */
async function written(parts: NodeParts = {}): Promise<{ node: Node; landmark: LogPosition }> {
  const node = new Node({ handler: append, ...parts });
  for (let at = 1; at <= 3; at++) await node.send(`before-${at}`);
  return { node, landmark: node.actors.landmark! };
}

/** The stream sequence that a search for commands behind a landmark begins with. */
function behind({ sequence }: LogPosition): number {
  return sequence / 256;
}

Deno.test("events stored before a command was sent are not read", async () => {
  const { node: first, landmark } = await written();
  const [event] = await Array.fromAsync(first.store.readAll());
  await first.actors.close();
  const early = { sequence: 2 * 256, id: event!.id };
  const node = new Node({ handler: append }, first);
  assertEquals(await node.retry("1", landmark, false), { kind: "reply", reply: 4 });
  assertEquals(await node.retry("2", node.actors.landmark, false), { kind: "reply", reply: 5 });
  assertEquals(await node.retry("3", landmark), { kind: "reply", reply: 6 });
  assertEquals(node.reads, [behind(landmark)]);
  // A sender that has heard of less may have sent it longer ago; one that names it, at any time.
  assertEquals((await node.retry("before-2", early)).kind, "handled");
  assertEquals((await node.send("before-1")).kind, "handled");
  assertEquals((await node.send("4")).kind, "reply");
  assertEquals(node.reads, [behind(landmark), behind(early), undefined]);
  assertEquals((await node.store.getEvents("a-1")).length, 7);
  await node.actors.close();
});

Deno.test("a command that was handled before its shard moved is found behind its landmark", async () => {
  const { node: first, landmark } = await written();
  await first.retry("lost", landmark, false);
  await first.actors.close();
  const again: ReplyToDuplicate = ([event]) => event!.version;
  const second = new Node({ handler: append, again }, first);
  assertEquals(await second.retry("next", first.actors.landmark), { kind: "reply", reply: 5 });
  assertEquals(await second.retry("lost", landmark), { kind: "reply", reply: 4 });
  assertEquals(second.reads, [behind(landmark) + 1, behind(landmark)]);
  assertEquals((await second.store.getEvents("a-1")).length, 5);
  await second.actors.close();
});

Deno.test("Control: with a landmark that was stored later, a command is handled twice", async () => {
  const { node: first, landmark } = await written();
  await first.retry("lost", landmark, false);
  await first.send("other");
  await first.actors.close();
  const second = new Node({ handler: append }, first);
  assertEquals((await second.retry("lost", first.actors.landmark)).kind, "reply");
  assertEquals((await second.store.getEvents("a-1")).length, 6);
  await second.actors.close();
});

Deno.test("if a command may be handled already, a landmark that the stream lacks is not trusted", async () => {
  for (const log of [undefined, { holds: () => Promise.resolve(true) }]) {
    const { node: first, landmark: { sequence, id } } = await written();
    await first.send("lost");
    await first.actors.close();
    // Of a stream that has lost its end since, at places that it has come to again, or has not.
    for (const ahead of [256, 9 * 256]) {
      const landmark = { sequence: sequence + ahead, id };
      const second = new Node({ handler: append, ...log && { log } }, first);
      const { kind } = await second.retry("lost", landmark);
      // The control: without a look at what is there, it is handled again.
      assertEquals(kind, log === undefined ? "handled" : "reply");
      if (log === undefined) assertEquals(second.reads, [0]);
      await second.actors.close();
    }
  }
});

Deno.test("an unsettled command is searched from where it was sent", async () => {
  let tries = 0;
  const { node: first, landmark } = await written();
  await first.actors.close();
  const node: Node = new Node({
    storeFor: (id) => {
      const store = node.marked(id);
      if (id !== "lost" || tries++ > 0) return store;
      const saveEvents = async (events: readonly Event[]) => {
        await store.saveEvents(events);
        const settle = () => Promise.resolve("saved" as const);
        throw new SaveOutcomeUnknownError("a-1", 1, settle);
      };
      return new Proxy(store, {
        get: (target, name) => name === "saveEvents" ? saveEvents : Reflect.get(target, name),
      });
    },
    handler: append,
  }, first);
  assertEquals((await node.retry("lost", landmark, false)).kind, "retry");
  assertEquals((await node.retry("lost", landmark)).kind, "handled");
  assertEquals(node.reads, [behind(landmark), behind(landmark)]);
  await node.actors.close();
});

Deno.test("an answer that saved nothing is confirmed, whatever it is, each time that it is given", async () => {
  let isOwner = true;
  const node = new Node({
    handler: async (command, context) => {
      if (command === "save") return await append(command, context);
      if (command === "refuse") throw new RangeError("not now");
      if (command === "save and fail") {
        await append(command, context);
        throw new RangeError("too late");
      }
      return "read";
    },
    again: () => {
      throw new RangeError("no reply");
    },
    confirm: () =>
      isOwner ? Promise.resolve() : Promise.reject(new StoreUnavailableError("not heard")),
  });
  for (const command of ["save", "save and fail", "refuse", "read"]) await node.send(command);
  isOwner = false;
  const kinds = async (...ids: string[]) =>
    await Promise.all(ids.map(async (id) => (await node.send(id, id.slice(0, -2))).kind));
  // First to new commands, then to commands that come again.
  assertEquals(await kinds("save-1", "save and fail-1", "refuse-1", "read-1"), [
    "reply",
    "failed",
    "retry",
    "retry",
  ]);
  for (const id of ["refuse", "read"]) assertEquals((await node.send(id)).kind, "retry");
  for (const id of ["save", "save and fail"]) assert((await node.send(id)).kind !== "retry");
  await node.actors.close();
});

Deno.test("Control: a node that does not confirm gives answers that others have made outdated", async () => {
  const node = new Node({
    handler: () => {
      throw new RangeError("not now");
    },
    confirm: () => Promise.resolve(),
  });
  const kinds = [(await node.send("1")).kind, (await node.send("1")).kind];
  assertEquals(kinds, ["failed", "failed"]);
  await node.actors.close();
});

Deno.test("a command that saved events of several actors is known at each, active or idle", async () => {
  const node = new Node({
    handler: async (_, { actorId, store }) => {
      const ids = [actorId, ...["a-1", "b-1", "c-1"].filter((id) => id !== actorId)];
      await store.saveEvents(
        await Promise.all(
          ids.map(async (id) => noted(id, await store.getLatestVersion(id) + 1, null)),
        ),
      );
    },
  });
  await node.send("warm", null, "b-1"); // Active from now on; "c-1" is not.
  await node.send("both", null, "a-1");
  for (const actorId of ["a-1", "b-1", "c-1"]) {
    const { kind } = await node.send("both", null, actorId);
    assertEquals([actorId, kind], [actorId, actorId === "a-1" ? "reply" : "handled"]);
  }
  assertEquals(await node.store.getLatestVersion("b-1"), 2);
  await node.actors.close();
});

Deno.test("a command in doubt is found, whatever the actor has stored since", async () => {
  const { node: first, landmark } = await written();
  await first.retry("lost", landmark, false);
  for (let version = 5; version < 5_005; version++) {
    await first.store.saveEvent(noted("a-1", version, version));
  }
  await first.actors.close();
  for (const told of [landmark, undefined]) {
    const second = new Node({ handler: append }, first);
    assertEquals((await second.retry("lost", told)).kind, "handled");
    assertEquals((await second.retry("lost", told)).kind, "handled");
    assertEquals(second.reads, [told === undefined ? 0 : behind(told)]);
    await second.actors.close();
  }
  // One that was given its id may be older than the landmark, but within the last 1,000 events.
  const third = new Node({ handler: append }, first);
  const given = { landmark: first.actors.landmark, isGiven: true };
  await third.send("new", "new", "a-1", given);
  assertEquals(third.reads, [behind(first.actors.landmark!), undefined]);
  await third.actors.close();
});

Deno.test("a queue of old commands is not searched for one by one", async () => {
  const { node: first, landmark } = await written();
  await first.actors.close();
  const node = new Node({ handler: append }, first);
  for (let at = 0; at < 5_000; at++) await node.retry(`${at}`, landmark, false);
  assert(node.reads.length <= 4, `${node.reads.length} searches`);
  assertEquals((await node.retry("0", landmark)).kind, "handled");
  await node.actors.close();
});

Deno.test("a call cycle is confirmed, as a former owner may run a handler that nobody waits for", async () => {
  const calls = [{ actorId: "a-1", id: "1" }];
  let isOwner = true;
  const node = new Node({
    handler: () => new Promise(() => {}),
    confirm: () => isOwner ? Promise.resolve() : Promise.reject(new Error("deposed")),
  });
  node.send("1");
  assertEquals(await node.send("2", "2", "a-1", { calls }), { kind: "cycle" });
  isOwner = false;
  const deposed = await node.send("3", "3", "a-1", { calls });
  assertEquals(deposed, { kind: "retry", reason: "deposed" });
  await node.actors.close(AbortSignal.abort());
});

Deno.test("an actor that was elsewhere may be here when the command comes again", async () => {
  let owner: string | undefined = "b";
  const node = new Node({
    handler: () => {
      if (owner !== undefined) throw new FencedError("save", { shard: 4, nodeId: "a" });
      return "done";
    },
    otherOwner: () => owner,
  });
  assertEquals((await node.send("1")).kind, "elsewhere");
  assertEquals(node.confirmations, 1);
  owner = undefined;
  assertEquals(await node.send("1"), { kind: "reply", reply: "done" });
  await node.actors.close();
});

Deno.test("a handler that ends by its sender's deadline has decided nothing", async () => {
  let runs = 0;
  const node = new Node({
    handler: async (_, { signal }) => {
      if (++runs > 1) return "in time";
      return await new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason))
      );
    },
  });
  const message = { id: "1", actorId: "a-1", command: {} };
  const first = node.actors.run(message, performance.now() + 20);
  const joined = node.actors.run(message, performance.now() + 60_000);
  assertEquals([(await first).kind, (await joined).kind], ["retry", "retry"]);
  assertEquals(await node.send("1"), { kind: "reply", reply: "in time" });
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
