import { assertEquals } from "@std/assert";
import { KnownCommands } from "../../../cluster/commands/known_commands.ts";
import type { CommandLog, CommandSearch } from "../../../store/command_log.ts";

Deno.test("a search under way when all is forgotten counts for nothing, and is made again", async () => {
  const before = Promise.withResolvers<CommandSearch>();
  const none = { found: new Map(), since: 0, end: { version: 0, sequence: 0 } };
  const place = { messages: [5], version: 1 };
  const answers = [
    before.promise,
    Promise.resolve({ ...none, found: new Map([["command", place]]) }),
  ];
  const log = { search: () => answers.shift()! } as unknown as CommandLog;
  const known = new KnownCommands(log, "order-1");
  const has = known.has({ id: "command", actorId: "order-1", command: null });
  // A save without an answer: what was asked for before may lack its events.
  known.forget();
  before.resolve(none);
  assertEquals([await has, answers.length], [true, 0]);
});
