import type { NatsConnection } from "@nats-io/transport-node";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  appendEvents,
  type EventStore,
  execute,
  isAetherError,
  JetStreamEventStore,
  type JetStreamEventStoreOptions,
  rehydrate,
} from "../../../store/mod.ts";
import { add, assertOnce, counter, type CounterEvent } from "../../support/counter.ts";
import { together, Worker } from "./execute_process.ts";
import { assertUnbroken, storedIn, tampered, withoutExpectation } from "../../support/fault.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { type Proxy, seededRandom } from "../../support/proxy.ts";

const ACTOR = "counter-1";
const WRITERS = 20;
const EACH = 25;

/** Opens a store with a connection of its own, as in another process. */
type Open = (options?: JetStreamEventStoreOptions & Through) => Promise<JetStreamEventStore>;

/** The connection of a store. */
interface Through {
  readonly proxy?: Proxy;
  readonly connection?: NatsConnection;
}

/** A test with a server, whose stores are disposed when it ends. */
function storeTest(name: string, run: (open: Open, scene: Scene) => Promise<void>): void {
  natsTest(name, async (scene) => {
    await using stack = new AsyncDisposableStack();
    const { namespace } = scene;
    const open: Open = async ({ proxy, connection, ...options } = {}) => {
      connection ??= await scene.connect(proxy && { servers: proxy.url });
      return stack.use(await JetStreamEventStore.open(connection, { namespace, ...options }));
    };
    await run(open, scene);
  });
}

function namesOf(writer: number): string[] {
  return Array.from({ length: EACH }, (_, at) => `${writer}.${at}`);
}

const ALL = Array.from({ length: WRITERS }, (_, writer) => namesOf(writer)).flat();

storeTest(
  "20 writers, 500 commands one after the other on one actor: none refused",
  async (open) => {
    const stores = await Promise.all(Array.from({ length: WRITERS }, () => open()));
    await Promise.all(stores.map(async (store, writer) => {
      // The time that a busy machine takes.
      const options = { timeout: 60_000 };
      for (const name of namesOf(writer)) {
        await execute(store, ACTOR, counter, add(name), options);
      }
    }));
    await assertOnce(stores[0]!, ACTOR, ALL);
  },
);

storeTest("20 writers, 500 commands at once on one actor: none refused", async (open) => {
  const stores = await Promise.all(Array.from({ length: WRITERS }, () => open()));
  await Promise.all(
    stores.flatMap((store, writer) =>
      namesOf(writer).map((name) => execute(store, ACTOR, counter, add(name)))
    ),
  );
  await assertOnce(stores[0]!, ACTOR, ALL);
  const { state } = await rehydrate(stores[1]!, ACTOR, counter);
  assertEquals(state.total, ALL.length);
});

storeTest("Control: the same writers are refused if they do not try again", async (open) => {
  const stores = await Promise.all(Array.from({ length: WRITERS }, () => open()));
  let refused = 0;
  await Promise.all(stores.map(async (store, writer) => {
    for (const name of namesOf(writer)) {
      const { version } = await rehydrate(store, ACTOR, counter);
      await naive(store, version, name).catch((error) => {
        if (!isAetherError(error, "VersionConflictError")) throw error;
        refused++;
      });
    }
  }));
  assert(refused > 0);
});

storeTest("Control: without the store's guard commands are lost", async (open, scene) => {
  await open(); // A store that has to make the stream needs guards itself.
  const stores = await Promise.all(Array.from({ length: WRITERS }, async () => {
    const connection = tampered(await scene.connect(), withoutExpectation);
    return await open({ connection });
  }));
  await Promise.allSettled(stores.map(async (store, writer) => {
    for (const name of namesOf(writer)) await execute(store, ACTOR, counter, add(name));
  }));
  const stored = await storedIn(await scene.connect(), stores[0]!.stream, { guarded: false });
  assertThrows(() => assertUnbroken(stored));
});

for (const inFlight of [1, 125]) {
  storeTest(
    `4 processes, 500 commands on one actor, ${inFlight} in flight each: none refused`,
    async (open, scene) => {
      const store = await open();
      const names = [1, 2, 3, 4].map((process) => `process ${process}`);
      await using stack = new AsyncDisposableStack();
      const { url } = scene.server;
      const processes = names.map((name) =>
        stack.use(new Worker(url, scene.namespace, ACTOR, name, 125, inFlight))
      );
      const reports = await together(processes);
      assertEquals(reports.flatMap(({ refusals }) => refusals), []);
      const commands = names.flatMap((name) =>
        Array.from({ length: 125 }, (_, at) => `${name} ${at}`)
      );
      await assertOnce(store, ACTOR, commands);
    },
  );
}

storeTest("A process that always has more to do does not keep others out", async (open) => {
  const [busy, other] = [await open(), await open()];
  let isOver = false;
  const hog = (async () => {
    while (!isOver) await execute(busy, ACTOR, counter, add("busy"));
  })();
  try {
    for (let at = 0; at < 20; at++) await execute(other, ACTOR, counter, add(`other ${at}`));
  } finally {
    isOver = true;
    await hog;
  }
});

/** Runs commands and says which were carried out, and which may have been. */
async function outcomesOf(
  commands: readonly string[],
  run: (name: string) => Promise<unknown>,
): Promise<{ done: string[]; doubtful: string[] }> {
  const [done, doubtful]: [string[], string[]] = [[], []];
  await Promise.all(commands.map(async (name) => {
    try {
      await run(name);
      done.push(name);
    } catch (error) {
      if (isAetherError(error, "SaveOutcomeUnknownError")) doubtful.push(name);
      else if (!isAetherError(error, "StoreUnavailableError")) throw error;
    }
  }));
  return { done, doubtful };
}

/** Checks that what was carried out is stored once, and nothing but what may have been beside. */
async function assertTruthful(
  store: EventStore,
  { done, doubtful }: { done: readonly string[]; doubtful: readonly string[] },
): Promise<void> {
  const events = await store.getEvents<CounterEvent>(ACTOR);
  const found = events.map(({ data }) => data!.command);
  assertEquals(new Set(found).size, found.length, "A command is stored twice");
  assertEquals(done.filter((name) => !found.includes(name)), []);
  const told = new Set([...done, ...doubtful]);
  assertEquals(found.filter((name) => !told.has(name)), []);
}

storeTest("Acks that are lost: each command is carried out once", async (open, scene) => {
  const proxy = scene.proxy();
  const store = await open({ proxy, timeout: 500 });
  const random = seededRandom(7);
  proxy.eatAcksWhere(() => random() < 0.3);
  const names = Array.from({ length: 100 }, (_, at) => `${at}`);
  for (const name of names) await execute(store, ACTOR, counter, add(name));
  const together = names.map((name) => `${name}, together`);
  await Promise.all(together.map((name) => execute(store, ACTOR, counter, add(name))));
  await assertOnce(await open(), ACTOR, [...names, ...together]);
});

storeTest(
  "Nothing is answered for a while: each command is carried out once",
  async (open, scene) => {
    const proxy = scene.proxy();
    const store = await open({ proxy, timeout: 100 });
    await execute(store, ACTOR, counter, add("before"));
    const meal = proxy.eatFromServer((frame) => frame.verb.endsWith("MSG"), 12);
    await execute(store, ACTOR, counter, add("meanwhile"));
    await meal.done;
    await assertOnce(await open(), ACTOR, ["before", "meanwhile"]);
  },
);

storeTest(
  "Control: a writer that decides again while an outcome is unknown saves twice",
  async (open, scene) => {
    const proxy = scene.proxy();
    const store = await open({ proxy, timeout: 100 });
    await naive(store, 0, "before");
    const meal = proxy.eatFromServer((frame) => frame.verb.endsWith("MSG"));
    const lost = () => naive(store, 1, "meanwhile");
    const error = await assertRejects(lost);
    assert(isAetherError(error, "SaveOutcomeUnknownError"));
    meal.stop();
    const { version } = await rehydrate(store, ACTOR, counter);
    await naive(store, version, "meanwhile");
    await assertRejects(() => assertOnce(store, ACTOR, ["before", "meanwhile"]));
  },
);

storeTest(
  "A server killed in mid command: each command that succeeded is stored once",
  async (open, scene) => {
    const store = await open({ timeout: 3_000 });
    const names = Array.from({ length: 200 }, (_, at) => `${at}`);
    await execute(store, ACTOR, counter, add("first"));
    const outcomes = outcomesOf(names, async (name) => {
      const result = await execute(store, ACTOR, counter, add(name));
      return result;
    });
    await scene.server.kill();
    await scene.server.restart();
    const { done, doubtful } = await outcomes;
    await execute(store, ACTOR, counter, add("last"));
    await assertTruthful(store, { done: ["first", ...done, "last"], doubtful });
  },
);

storeTest("A server killed again and again under commands", async (open, scene) => {
  const store = await open();
  const done: string[] = [];
  const doubtful: string[] = [];
  let isOver = false;
  let progress = Promise.withResolvers<void>();
  const work = (async () => {
    for (let round = 0; !isOver; round++) {
      const names = Array.from({ length: 5 }, (_, at) => `${round}.${at}`);
      const outcomes = await outcomesOf(
        names,
        (name) => execute(store, ACTOR, counter, add(name)),
      );
      done.push(...outcomes.done);
      doubtful.push(...outcomes.doubtful);
      progress.resolve();
      progress = Promise.withResolvers();
    }
  })();
  for (let round = 0; round < 3; round++) {
    for (let count = 0; count < 5; count++) await progress.promise;
    await scene.server.kill();
    await scene.server.restart();
  }
  isOver = true;
  await work;
  await assertTruthful(store, { done, doubtful });
});

storeTest(
  "Commands on a closed connection end by the deadline at the latest",
  async (open, scene) => {
    const connection = await scene.connect();
    const store = await open({ connection, timeout: 200 });
    await execute(store, ACTOR, counter, add("before"));
    await connection.close();
    const error = await execute(store, ACTOR, counter, add("after"), { timeout: 500 })
      .catch((error: unknown) => error);
    assert(isAetherError(error, "StoreUnavailableError"));
  },
);

/** One try, with new events each time. */
async function naive(store: EventStore, version: number, command: string): Promise<void> {
  const data = { by: 1, command };
  await appendEvents<CounterEvent>(store, ACTOR, version, [{ eventType: "Added", data }]);
}
