import { assert, assertEquals } from "@std/assert";
import {
  CorruptEventError,
  FencedError,
  SaveOutcomeUnknownError,
  StoreUnavailableError,
} from "../../../store/errors.ts";
import type { Event } from "../../../store/event.ts";
import { append, Node } from "./actors_bed.ts";

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

Deno.test("events of another actor whose save the handler gave up on are looked up again", async () => {
  const node: Node = new Node({
    storeFor: (id) => {
      const store = node.marked(id);
      return new Proxy(store, {
        get: (target, name) => {
          if (name !== "saveEvents") return Reflect.get(target, name);
          return async (events: readonly Event[]) => {
            const receipt = await target.saveEvents(events);
            if (events[0]!.actorId === "a-1" || id === "0") return receipt;
            throw new SaveOutcomeUnknownError("b-1", 2, () => Promise.resolve("unknown" as const));
          };
        },
      });
    },
    handler: async (command, context) => {
      const reply = await append(command, context);
      if (context.actorId === "a-1") {
        await Promise.allSettled([append(command, { ...context, actorId: "b-1" })]);
      }
      return reply;
    },
  });
  assertEquals(await node.send("0", "0", "b-1"), { kind: "reply", reply: 1 });
  assertEquals(await node.send("both"), { kind: "reply", reply: 1 });
  assertEquals((await node.send("both", "both", "b-1")).kind, "handled");
  assertEquals((await node.store.getEvents("b-1")).length, 2);
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
