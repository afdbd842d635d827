import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import {
  createEvent,
  execute,
  InMemoryCheckpointStore,
  isAetherError,
  JetStreamEventStore,
  markRestored,
  Projection,
  StoreUnavailableError,
  StreamConfigError,
  StreamRegressedError,
  verify,
} from "../../../store/mod.ts";
import { backup, restore } from "../../support/backup.ts";
import { natsTest } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";

function fact(version: number) {
  return createEvent({ eventType: "Happened", actorId: "order-1", version, data: { version } });
}

natsTest(
  "A restored stream has another identity, and nothing of before is believed",
  async (scene) => {
    const connection = await scene.connect();
    const { namespace } = scene;
    const before = await JetStreamEventStore.open(connection, { namespace });
    const genesis = await backup(connection, before.stream);
    await before.saveEvents([fact(1), fact(2)]);
    const checkpoints = new InMemoryCheckpointStore();
    const handler = (): void => {};
    {
      await using projection = new Projection({ name: "p", store: before, checkpoints, handler });
      const running = projection.run();
      await projection.caughtUp;
      await projection[Symbol.asyncDispose]();
      await running;
    }
    const [first] = await Array.fromAsync(before.readAll());
    const cause = { identity: before.identity, sequence: first!.sequence, id: first!.id };

    await restore(connection, before.stream, genesis);
    const mark = await markRestored(connection, { namespace });
    assertEquals(mark.previousIdentity, before.identity);
    assertMatch(mark.identity, /^[\w-]+\+[\w-]+$/);
    await assertRejects(
      () => before.getLatestVersion("order-1", { fresh: true }),
      StreamRegressedError,
    );
    await before[Symbol.asyncDispose]();

    await using after = await JetStreamEventStore.open(connection, { namespace });
    assertEquals(after.identity, mark.identity);
    const { sequence } = await after.saveEvents([fact(1), fact(2)]);
    assert(sequence > mark.sequence);
    const again = new Projection({ name: "p", store: after, checkpoints, handler });
    await assertRejects(() => again.run(), StreamRegressedError);
    await again[Symbol.asyncDispose]();
    // A cause of the lost future bounds no search.
    const decider = {
      initialState: () => 0,
      evolve: (count: number) => count + 1,
      decide: () => ({ eventType: "Happened", data: null }),
    };
    const command = { commandId: "command-1", cause };
    await execute(after, "order-1", decider, null, { commandId: "command-1" });
    assertEquals((await execute(after, "order-1", decider, null, command)).duplicate, true);
    const { problems } = await verify(after);
    assertEquals(problems, []);
  },
);

natsTest("Each mark changes the identity, also beside another one", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  await (await JetStreamEventStore.open(connection, { namespace }))[Symbol.asyncDispose]();
  const marks = await Promise.all([1, 2, 3].map(() => markRestored(connection, { namespace })));
  marks.sort((a, b) => a.sequence - b.sequence);
  assertEquals(new Set(marks.map(({ identity }) => identity)).size, 3);
  const previous = marks.map(({ previousIdentity }) => previousIdentity);
  assertEquals(previous.slice(1), marks.slice(0, 2).map(({ identity }) => identity));
  await using store = await JetStreamEventStore.open(connection, { namespace });
  assertEquals(store.identity, marks.at(-1)!.identity);
});

natsTest("A mark whose answer is lost is stored once", async (scene) => {
  const { namespace } = scene;
  const operator = await scene.connect();
  const store = await JetStreamEventStore.open(operator, { namespace });
  await store[Symbol.asyncDispose]();
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const meal = proxy.eatAcks(1);
  const mark = await markRestored(connection, { namespace, timeout: 2_500 });
  assertEquals(meal.eaten.length, 1);
  const { state } = await api<{ state: { messages: number } }>(
    operator,
    `STREAM.INFO.${store.stream}`,
  );
  assertEquals(state.messages, 2);
  await using opened = await JetStreamEventStore.open(operator, { namespace });
  assertEquals(opened.identity, mark.identity);
});

natsTest("Without a stream, or without an answer, nothing is marked", async (scene) => {
  const connection = await scene.connect();
  const { namespace } = scene;
  const error = await assertRejects(
    () => markRestored(connection, { namespace }),
    StreamConfigError,
  );
  assertMatch(error.message, /does not exist; restore the backup first/);
  const { streams } = await api<{ streams: unknown[] | null }>(connection, "STREAM.LIST");
  assertEquals(streams ?? [], []);
  await assertRejects(() => markRestored(connection, { timeout: 0 }), RangeError);
  await scene.server.pause();
  const silent = await assertRejects(
    () => markRestored(connection, { namespace, timeout: 300 }),
    StoreUnavailableError,
  );
  assert(isAetherError(silent, "StoreUnavailableError"));
});
