import { assert, assertEquals } from "@std/assert";
import type { CommandHandler, ReplyToDuplicate } from "../../../cluster/commands/handler.ts";
import type { LogPosition } from "../../../store/fencing/log_position.ts";
import { SaveOutcomeUnknownError } from "../../../store/errors.ts";
import type { Event } from "../../../store/event.ts";
import { append, Node, type NodeParts, noted } from "./actors_bed.ts";

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
    // The stream has lost its end since, and has come to these places again, or has not.
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
  const large = "x".repeat(8_000); // so that not all of the answers are remembered
  const handler: CommandHandler = async (command, context) => {
    await append(command, context);
    return large;
  };
  const node = new Node({ handler }, first);
  for (let at = 0; at < 5_000; at++) await node.retry(`${at}`, landmark, false);
  assert(node.reads.length <= 4, `${node.reads.length} searches`);
  assertEquals((await node.retry("0", landmark)).kind, "handled");
  await node.actors.close();
});
