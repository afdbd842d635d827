import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { LocalEventBus } from "../../bus/mod.ts";
import { InMemoryEventStore } from "../../store/mod.ts";
import { eventBusSuite, eventStoreSuite, projectionSpec } from "../../testing/mod.ts";

/** A store that reads nothing, and throws when it is disposed. */
class Broken extends InMemoryEventStore {
  override getEvents(): Promise<never[]> {
    return Promise.reject(new Error("from getEvents()"));
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    disposed++;
    throw new Error("from the disposal");
  }
}
let disposed = 0;

/** The failures that a test ended with, as texts. */
async function failuresOf(run: () => Promise<void>): Promise<string[]> {
  const error = await assertRejects(run, Error);
  return error instanceof AggregateError
    ? error.errors.map((one: Error) => one.message)
    : [error.message];
}

Deno.test("a suite tells what a test found, though the disposal of its stores fails too", async () => {
  const tests = new Map<string, () => Promise<void>>();
  eventStoreSuite({
    test: (name, run) => void tests.set(name, run),
    create: (options) => new Broken(options),
    capabilities: { reopen: true, maxBytes: undefined },
  });
  disposed = 0;
  const run = tests.get("getEvents() begins at fromVersion, in gaps and beyond the end too")!;
  assertEquals(await failuresOf(run), ["from getEvents()", "from the disposal"]);
  const two = tests.get("a store that remembers too little saves all the same")!;
  assertEquals((await failuresOf(two)).slice(1), ["from the disposal", "from the disposal"]);
  assertEquals(disposed, 3, "stores that were disposed");
  assertEquals(
    await failuresOf(tests.get("disposal may be asked for twice")!),
    ["from the disposal", "from the disposal"],
  );
});

Deno.test("a suite of buses tells what a test found, though the disposal fails too", async () => {
  const tests = new Map<string, () => Promise<void>>();
  eventBusSuite({
    test: (name, run) => void tests.set(name, run),
    create: () => {
      const bus = new LocalEventBus();
      bus.subscribe = () => {
        throw new Error("from subscribe()");
      };
      return {
        bus,
        [Symbol.asyncDispose]: async () => {
          await bus[Symbol.asyncDispose]();
          throw new Error("from the disposal");
        },
      };
    },
    capabilities: { nodes: false },
  });
  const [run] = tests.values();
  assertEquals(await failuresOf(run!), ["from subscribe()", "from the disposal"]);
});

Deno.test("projectionSpec() tells the difference that it found, though close() throws too", async () => {
  const spec = projectionSpec(() => ({
    handler: () => {},
    read: () => 1,
    close: () => {
      throw new Error("from close()");
    },
  }));
  const failures = await failuresOf(() => spec.given().then(2));
  assertEquals(failures.length, 2);
  assertEquals([failures[0]!.split("\n")[0], failures[1]], [
    ...["Expected read model to be 2, got 1", "from close()"],
  ]);
  assertEquals(await failuresOf(() => spec.given().then(1)), ["from close()"]);
});

Deno.test("eventStoreSuite() refuses a limit that has no room for its events", () => {
  for (const maxBytes of [NaN, -1, 0, 2_047, 3000.5]) {
    const register = () =>
      eventStoreSuite({
        ...{ test: () => {}, create: () => new InMemoryEventStore() },
        capabilities: { reopen: false, maxBytes },
      });
    assertThrows(register, RangeError, "maxBytes");
  }
});
