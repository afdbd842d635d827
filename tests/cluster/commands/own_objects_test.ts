/**
 * Objects and calls of users that go on when the library is done with them: a command that its sender
 * changes, a reply that its handler changes, and work that a handler does not wait for.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { CommandSignal } from "../../../cluster/commands/command_signal.ts";
import { KnownCommands } from "../../../cluster/commands/known_commands.ts";
import { Cluster } from "../../../cluster/mod.ts";
import {
  appendEvents,
  type Decider,
  execute,
  isAetherError,
  StoreUnavailableError,
} from "../../../mod.ts";
import type { CommandLog } from "../../../store/command_log.ts";
import { natsTest } from "../../support/fixture.ts";
import { join } from "../bed.ts";

natsTest(
  "replies are those of their commands, whatever the handler does to its object",
  async (scene) => {
    await using owner = await join(scene, "a", {}, undefined, () => {});
    await using sender = await join(scene, "b", { capacity: 0 }, undefined, () => {});
    const counts = new Map<string, { count: number }>();
    owner.handle((_command, { actorId }) => {
      const state = counts.get(actorId) ?? { count: 0 };
      counts.set(actorId, state);
      state.count++;
      return state;
    });
    for (const [at, node] of [owner, sender].entries()) {
      const send = (commandId: string) => node.send(`counter-${at}`, null, { commandId });
      const replies = await Promise.all(["a", "b", "c"].map(send));
      // They may come to the owner in any order.
      assertEquals(new Set(replies), new Set([1, 2, 3].map((count) => ({ count }))));
      assertEquals(await send("a"), replies[0]); // It is remembered as it was.
    }
  },
);

natsTest("a command is handled as it was sent", async (scene) => {
  await using cluster = await join(scene, "a", {}, undefined, () => {});
  const command = { by: 5 };
  const reply = cluster.send("counter-1", command); // It is tried again until there is a handler.
  await new Promise((resolve) => setTimeout(resolve, 300));
  command.by = 999;
  cluster.handle((command) => command);
  assertEquals(await reply, { by: 5 });
});

natsTest("a reply to a duplicate that fails in passing is made again", async (scene) => {
  let calls = 0;
  const handle: Parameters<typeof join>[4] = (cluster) =>
    cluster.handle(async (command, { actorId, store }) => {
      const version = await store.getLatestVersion(actorId);
      await appendEvents(store, actorId, version, [{ eventType: "Counted", data: { command } }]);
      return version + 1;
    }, {
      onDuplicate: (events) => {
        if (++calls === 1) throw new StoreUnavailableError("Cannot read: nobody answers");
        return events.at(-1)!.version;
      },
    });
  await using cluster = await join(scene, "a", { idle: 50 }, undefined, handle);
  const send = () => cluster.send("counter-1", null, { commandId: "once" });
  assertEquals(await send(), 1);
  // Its owner forgets the reply of an actor that is idle.
  await new Promise((resolve) => setTimeout(resolve, 500));
  assertEquals([await send(), calls], [1, 2]);
});

natsTest(
  "a handler stores nothing once its command is answered, no receipt either",
  async (scene) => {
    const late: Promise<unknown>[] = [];
    const nothing: Decider<null, null> = {
      initialState: () => null,
      evolve: (state) => state,
      decide: () => [],
    };
    const answered = Promise.withResolvers<void>();
    const handle: Parameters<typeof join>[4] = (cluster) =>
      cluster.handle((_command, { actorId, commandId, store }) => {
        const options = { commandId, record: true };
        late.push(answered.promise.then(() => execute(store, actorId, nothing, null, options)));
      });
    await using cluster = await join(scene, "a", {}, undefined, handle);
    await cluster.send("counter-1", null);
    answered.resolve();
    await assertRejects(() => late[0]!, TypeError, "the command has been answered");
  },
);

natsTest("a send to its own node ends with the node's connection", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  const cluster = await Cluster.join(connection, { namespace, nodeId: "a", onError: () => {} });
  const asked = Promise.withResolvers<void>();
  cluster.handle(() => {
    asked.resolve();
    return new Promise(() => {});
  });
  const sending = cluster.send("counter-1", null, { timeout: 60_000 });
  sending.catch(() => {});
  await asked.promise;
  await connection.close();
  const error = await assertRejects(() => sending);
  assert(isAetherError(error, "CommandOutcomeUnknownError"));
  await cluster.leave();
}, { leakCheck: false });

Deno.test("the signal of a command arms no timer after the command's end", () => {
  const signal = new CommandSignal(performance.now() + 60_000, () => new AbortController().signal);
  signal.end();
  assert(!signal.signal.aborted); // The sanitizer would find the timer.
});

Deno.test("commands that are asked for again push none out that came later", async () => {
  const place = (at: number) => ({ messages: [at], version: at });
  let stored = 0;
  const log = {
    search: () => {
      const ids = Array.from({ length: Math.min(stored, 1_000) }, (_, at) => stored - at).reverse();
      const found = new Map(ids.map((at) => [`c-${at}`, place(at)]));
      const since = Math.max(0, stored - 1_000);
      return Promise.resolve({ found, since, end: { version: stored, sequence: stored } });
    },
    outcome: () => Promise.resolve({ events: [], sequence: 0 }),
  } as unknown as CommandLog;
  const known = new KnownCommands(log, "order-1");
  const has = (at: number) =>
    known.has({ id: `c-${at}`, actorId: "order-1", command: null, isGiven: true });
  const add = async (count: number) => {
    for (const end = stored + count; stored < end;) {
      assertEquals(await has(stored + 1), false);
      known.add(`c-${++stored}`, { sequence: stored * 256, duplicate: false });
    }
  };
  await add(1_000);
  for (let at = 1; at <= 500; at++) {
    assert(await has(at));
    await known.outcome(`c-${at}`);
  }
  await add(400);
  for (let at = 401; at <= 1_400; at++) assert(await has(at), `c-${at}`);
});
