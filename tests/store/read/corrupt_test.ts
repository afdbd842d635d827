import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { headers, type NatsConnection } from "@nats-io/transport-node";
import {
  type CorruptEventError,
  isAetherError,
  JetStreamEventStore,
  type StreamRegressedError,
} from "../../../store/mod.ts";
import { Layout } from "../../../store/format/layout.ts";
import { fact, facts, storeApart } from "../../support/fault.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

/** The content of a message on an actor's subject. */
interface Forgery {
  readonly actorId: string;
  readonly version: number;
  readonly previous: number;
  readonly body?: string;
  readonly without?: string;
}

/** A writer beside the store, on the subjects of its actors. */
class Forger {
  readonly #connection: NatsConnection;
  readonly #store: JetStreamEventStore;

  constructor(connection: NatsConnection, store: JetStreamEventStore) {
    this.#connection = connection;
    this.#store = store;
  }

  subjectOf(actorId: string): string {
    const { namespace, shards } = this.#store;
    return new Layout(namespace).event(actorId, shards);
  }

  /** Writes a message without any header; gives the position of what should be there. */
  async scribble(actorId: string, body: string): Promise<number> {
    const answer = await this.#connection.request(this.subjectOf(actorId), body, {
      timeout: 5_000,
    });
    return answer.json<{ seq: number }>().seq * 256;
  }

  /** Writes a message like an event's except for the forged parts; returns its position. */
  async forge({ actorId, version, previous, body, without }: Forgery): Promise<number> {
    const event = fact(actorId, version);
    const fields = headers();
    fields.set("Aether-Op", crypto.randomUUID());
    fields.set("Aether-Id", event.id);
    fields.set("Aether-Type", event.eventType);
    fields.set("Aether-Version", String(version));
    fields.set("Aether-Previous", String(previous));
    fields.set("Aether-Count", "1");
    if (without !== undefined) fields.delete(without);
    const answer = await this.#connection.request(
      this.subjectOf(actorId),
      body ?? JSON.stringify(event),
      { headers: fields, timeout: 5_000 },
    );
    return answer.json<{ seq: number }>().seq * 256;
  }
}

async function open(scene: Scene): Promise<{ store: JetStreamEventStore; forger: Forger }> {
  const connection = await scene.connect();
  const { namespace } = scene;
  const store = await JetStreamEventStore.open(connection, { namespace, timeout: 2_000 });
  return { store, forger: new Forger(connection, store) };
}

/** The error of a read or save that meets a corrupt message. */
async function corruptionOf(work: () => Promise<unknown>): Promise<CorruptEventError> {
  const error = await assertRejects(work);
  assert(isAetherError(error, "CorruptEventError"), String(error));
  return error;
}

const GARBAGE: Record<string, { readonly body: string; readonly reason: RegExp }> = {
  "no JSON": { body: "{", reason: /its body is not JSON in UTF-8/ },
  "JSON that is no event": { body: "[1]", reason: /its id is wrong/ },
  "null": { body: "null", reason: /its body is null, not an event/ },
  "an event of another actor": {
    body: JSON.stringify(fact("order-2", 2)),
    reason: /its actorId is wrong/,
  },
  "an event of another version than its header": {
    body: JSON.stringify(fact("order-1", 3)),
    reason: /its body says version 3, its header 2/,
  },
  "an event without data": {
    body: JSON.stringify({ ...fact("order-1", 2), data: undefined }),
    reason: /its data is wrong/,
  },
  "an event without a valid time": {
    body: JSON.stringify({ ...fact("order-1", 2), timestamp: "yesterday" }),
    reason: /its timestamp is wrong/,
  },
  "an event with a number for its time": {
    body: JSON.stringify({ ...fact("order-1", 2), timestamp: 5 }),
    reason: /its timestamp is wrong/,
  },
  "an event without a time": {
    body: JSON.stringify({ ...fact("order-1", 2), timestamp: null }),
    reason: /its timestamp is wrong/,
  },
};

natsTest(
  "Garbage in an actor's history is reported with its place, and the rest is unharmed",
  async (scene) => {
    const { store, forger } = await open(scene);
    await using _ = store;
    for (const [what, { body, reason }] of Object.entries(GARBAGE)) {
      const actorId = "order-1";
      const namespace = `${scene.namespace}-${what.replaceAll(" ", "-")}`;
      await using own = await JetStreamEventStore.open(await scene.connect(), { namespace });
      const writer = new Forger(await scene.connect(), own);
      await own.saveEvent(fact(actorId, 1));
      const sequence = await writer.forge({ actorId, version: 2, previous: 1, body });
      await own.saveEvent(fact(actorId, 3));
      const error = await corruptionOf(() => own.getEvents(actorId));
      assertEquals(error.sequence, sequence, what);
      assertMatch(error.message, reason);
      assertEquals((await own.getEvents(actorId, 3)).map(({ version }) => version), [3], what);
      await own.saveEvent(fact("order-2", 1));
      assertEquals((await own.getEvents("order-2")).length, 1);
    }
    await store.saveEvent(fact("order-1", 1));
    const sequence = await forger.forge({
      actorId: "order-1",
      version: 2,
      previous: 1,
      without: "Aether-Previous",
    });
    const error = await corruptionOf(() => store.getEvents("order-1"));
    assertEquals(error.sequence, sequence);
    assertMatch(error.message, /it has no Aether-Previous header/);
  },
);

natsTest("Garbage as an actor's last message: reads and saves report its place", async (scene) => {
  const { store, forger } = await open(scene);
  await using _ = store;
  await store.saveEvent(fact("order-1", 1));
  await store.saveEvent(fact("order-2", 1));
  const sequence = await forger.scribble("order-1", "Hello");
  await using cold = await JetStreamEventStore.open(await scene.connect(), {
    namespace: scene.namespace,
  });
  for (const some of [store, cold]) {
    for (
      const work of [
        () => some.saveEvent(fact("order-1", 2)),
        () => some.saveEvents([fact("order-2", 2), fact("order-1", 2)]),
        () => some.saveEvent(fact("order-1", 1)),
        () => some.getEvents("order-1"),
        () => some.getLatestVersion("order-1", { fresh: true }),
      ]
    ) {
      const error = await corruptionOf(work);
      assertEquals(error.sequence, sequence);
      assertMatch(error.message, /so something else wrote it to "aether\..*revoke that writer's/);
    }
  }
  assertEquals((await cold.getEvents("order-2")).length, 1);
  await store.saveEvent(fact("order-2", 2));
  assertEquals((await store.getEvents("order-2")).length, 2);
});

natsTest("Garbage as an actor's only message: a first save reports its place", async (scene) => {
  const { store, forger } = await open(scene);
  await using _ = store;
  const sequence = await forger.scribble("order-1", "Hello");
  for (
    const work of [
      () => store.saveEvent(fact("order-1", 1)),
      () => store.getEvents("order-1"),
      () => store.getLatestVersion("order-1"),
    ]
  ) {
    assertEquals((await corruptionOf(work)).sequence, sequence);
  }
});

natsTest("Garbage among the events of one message is reported with its place", async (scene) => {
  const { store, forger } = await open(scene);
  await using _ = store;
  const connection = await scene.connect();
  await store.saveEvent(fact("order-1", 1));
  const events = facts("order-1", 2, 4);
  const bodies = events.map((event) => `${JSON.stringify(event)}\n`);
  bodies[2] = "{]\n";
  const list = (values: readonly (string | number)[]) => values.join(" ");
  const fields = headers();
  fields.set("Aether-Op", crypto.randomUUID());
  fields.set("Aether-Id", list(events.map(({ id }) => id)));
  fields.set("Aether-Type", list(events.map(({ eventType }) => eventType)));
  fields.set("Aether-Version", "5");
  fields.set("Aether-Previous", "1");
  fields.set("Aether-Count", "4");
  fields.set("Aether-Sizes", list(bodies.map(({ length }) => length)));
  const subject = forger.subjectOf("order-1");
  const options = { headers: fields, timeout: 5_000 };
  const answer = await connection.request(subject, bodies.join(""), options);
  const sequence = answer.json<{ seq: number }>().seq * 256 + 2;
  await store.saveEvent(fact("order-1", 6));
  const ways = [
    () => store.getEvents("order-1"),
    () => store.getEvents("order-1", 3),
    () => Array.fromAsync(store.readEvents("order-1", { direction: "backwards" })),
    () => Array.fromAsync(store.readAll({ from: sequence })),
    () => store.subscribe({ from: sequence })[Symbol.asyncIterator]().next(),
  ];
  for (const work of ways) {
    const error = await corruptionOf(work);
    assertEquals(error.sequence, sequence);
    assertMatch(error.message, /its body is not JSON in UTF-8/);
  }
  assertEquals((await store.getEvents("order-1", 5)).map(({ version }) => version), [5, 6]);
  const rest = await Array.fromAsync(store.readAll({ from: sequence + 1 }));
  assertEquals(rest.map(({ version }) => version), [5, 6]);
  const salvaged = await store.getEventsWithErrors("order-1");
  assertEquals(salvaged.events.map(({ version }) => version), [1, 2, 3, 5, 6]);
  assertEquals(salvaged.errors.map((error) => error.sequence), [sequence]);
  // A lookup by headers needs no body.
  assertEquals((await store.saveEvents(events)).duplicate, true);
});

natsTest("A read with a bound or a limit ends before garbage behind it", async (scene) => {
  const { store, forger } = await open(scene);
  await using _ = store;
  const connection = await scene.connect();
  const lengths = { "short-1": 3, "long-1": 600 };
  for (const [actorId, length] of Object.entries(lengths)) {
    await storeApart(connection, store, facts(actorId, 1, length));
    await store.getEvents(actorId);
    await forger.scribble(actorId, "Hello");
    const cold = () =>
      JetStreamEventStore.open(connection, { namespace: scene.namespace, timeout: 2_000 });
    for (const from of [1, length - 1, length]) {
      for (const range of [{ toVersion: length }, { limit: length - from + 1 }]) {
        await using other = await cold();
        for (const reader of [store, other]) {
          const events = await Array.fromAsync(
            reader.readEvents(actorId, { fromVersion: from, ...range }),
          );
          const versions = Array.from({ length: length - from + 1 }, (_, at) => from + at);
          assertEquals(events.map(({ version }) => version), versions);
        }
        // Control: one more, and the read comes to the garbage.
        const more = range.limit === undefined
          ? { toVersion: length + 1 }
          : { limit: range.limit + 1 };
        await corruptionOf(() =>
          Array.fromAsync(other.readEvents(actorId, { fromVersion: from, ...more }))
        );
      }
    }
  }
});

natsTest("A reader tells of no loss behind an unreadable first message", async (scene) => {
  const { store, forger } = await open(scene);
  await using _ = store;
  const actorId = "order-1";
  const sequence = await forger.forge({ actorId, version: 1, previous: 0, without: "Aether-Id" });
  await storeApart(await scene.connect(), store, [fact(actorId, 2), fact(actorId, 3)]);
  for (const filter of [{}, { actorId }]) {
    const reads = {
      readAll: (from: number) => store.readAll({ from, filter }),
      subscribe: (from: number) => store.subscribe({ from, filter }),
    };
    for (const [way, read] of Object.entries(reads)) {
      const first = () => read(0)[Symbol.asyncIterator]().next();
      assertEquals((await corruptionOf(first)).sequence, sequence, way);
      const rest = read(sequence + 1)[Symbol.asyncIterator]();
      for (const version of [2, 3]) {
        const { value } = await rest.next();
        assertEquals(value?.version, version, way);
      }
      await rest.return?.();
    }
  }
});

natsTest(
  "listActors() gives an actor once where another shard has garbage of it",
  async (scene) => {
    const { store } = await open(scene);
    await using _ = store;
    const connection = await scene.connect();
    await store.saveEvent(fact("order-1", 1));
    const own = new Forger(connection, store).subjectOf("order-1").split(".");
    const other = own.with(3, own[3] === "0" ? "1" : "0").join(".");
    await connection.request(other, "Hello", { timeout: 5_000 });
    assertEquals(await Array.fromAsync(store.listActors()), ["order-1"]);
  },
);

natsTest("A missing middle is reported with the place behind it", async (scene) => {
  const { store, forger } = await open(scene);
  await using _ = store;
  const actorId = "order-1";
  await store.saveEvents([fact(actorId, 1), fact(actorId, 2)]);
  const sequence = await forger.forge({ actorId, version: 5, previous: 4 });
  const error = await corruptionOf(() => store.getEvents(actorId));
  assertEquals(error.sequence, sequence);
  assertMatch(error.message, /follows on version 4, but version 2 is stored before it/);
  await corruptionOf(() => store.getEvents(actorId, 2));
  // A gap that the writer has left itself is none: version 5 follows on version 2.
  await store.saveEvents([fact("order-2", 1), fact("order-2", 2)]);
  await forger.forge({ actorId: "order-2", version: 5, previous: 2 });
  assertEquals((await store.getEvents("order-2")).map(({ version }) => version), [1, 2, 5]);
});

natsTest("A version that does not grow is reported with its place", async (scene) => {
  const { store, forger } = await open(scene);
  await using _ = store;
  await store.saveEvents([fact("order-1", 1), fact("order-1", 3)]);
  const sequence = await forger.forge({ actorId: "order-1", version: 2, previous: 3 });
  await using cold = await JetStreamEventStore.open(await scene.connect(), {
    namespace: scene.namespace,
  });
  for (const from of [0, 1, 2]) {
    const error = await corruptionOf(() => cold.getEvents("order-1", from));
    assertEquals(error.sequence, sequence, `Read from version ${from}`);
    assertMatch(error.message, /version 2 of "order-1" follows version 3/);
  }
});

natsTest("A message lost on its way to a reader is no corruption", async (scene) => {
  const { store } = await open(scene);
  await using _ = store;
  await storeApart(await scene.connect(), store, facts("order-1", 1, 10));
  await store.saveEvents(facts("order-1", 11, 5));
  await store.saveEvents(facts("order-1", 16, 5));
  const proxy = scene.proxy();
  await using reader = await JetStreamEventStore.open(
    await scene.connect({ servers: proxy.url }),
    { namespace: scene.namespace },
  );
  for (const lost of ["1", "7", "15", "20"]) {
    const meal = proxy.eatFromServer(
      (frame) =>
        frame.headers?.get("Aether-Version") === lost && frame.headers.has("Nats-Num-Pending"),
      1,
    );
    const events = await reader.getEvents("order-1", 1);
    assertEquals(meal.eaten.length, 1);
    assertEquals(
      events.map(({ version }) => version),
      Array.from({ length: 20 }, (_, at) => at + 1),
    );
  }
});

natsTest("A missing middle is reported when a long history is read from there", async (scene) => {
  const { store, forger } = await open(scene);
  const actorId = "order-1";
  await using _ = store;
  const connection = await scene.connect();
  await storeApart(connection, store, facts(actorId, 1, 600));
  const sequence = await forger.forge({ actorId, version: 603, previous: 602 });
  await storeApart(connection, store, facts(actorId, 604, 600));
  await using cold = await JetStreamEventStore.open(await scene.connect(), {
    namespace: scene.namespace,
  });
  for (const from of [0, 1, 600, 601, 602]) {
    const error = await corruptionOf(() => cold.getEvents(actorId, from));
    assertEquals(error.sequence, sequence, `Read from version ${from}`);
  }
  assertEquals((await cold.getEvents(actorId, 603)).length, 601);
});

natsTest("An id that is stored at another version is no duplicate", async (scene) => {
  const { store } = await open(scene);
  await using _ = store;
  const event = fact("order-1", 3);
  await store.saveEvents([fact("order-1", 1), event]);
  const error = await assertRejects(() => store.saveEvent({ ...event, version: 2 }));
  assert(isAetherError(error, "VersionConflictError"), String(error));
  assertEquals(error.currentVersion, 3);
});

natsTest("A stream that lost its tail is reported by a store that remembers it", async (scene) => {
  const { store } = await open(scene);
  await using _ = store;
  const { server } = scene;
  const { jetstream } = await server.monitor<{ jetstream: { config: { store_dir: string } } }>(
    "/varz",
  );
  const folder = jetstream.config.store_dir;
  const copy = `${folder}.copy`;
  await store.saveEvents([fact("order-1", 1), fact("order-2", 1)]);
  const { sequence: kept } = await store.saveEvent(fact("order-1", 2));
  await server.stop();
  await run("cp", "-a", folder, copy);
  await server.restart();
  const { sequence: lost } = await store.saveEvent(fact("order-1", 3));
  await server.stop();
  await run("rm", "-rf", folder);
  await run("mv", copy, folder);
  await server.restart();
  const regression = async (work: () => Promise<unknown>): Promise<StreamRegressedError> => {
    const error = await assertRejects(work);
    assert(isAetherError(error, "StreamRegressedError"), String(error));
    return error;
  };
  for (
    const work of [
      () => store.saveEvent(fact("order-1", 4)),
      () => store.getLatestVersion("order-1", { fresh: true }),
      () => store.getEvents("order-1"),
      () => store.getEvents("order-2"),
      () => store.getEventsWithErrors("order-1"),
      () => Array.fromAsync(store.readEvents("order-1", { limit: 1 })),
      () => Array.fromAsync(store.readEvents("order-1", { direction: "backwards" })),
      () => Array.fromAsync(store.readAll()),
      () => Array.fromAsync(store.readAll({ filter: { category: "order" } })),
      () => Array.fromAsync(store.listActors()),
    ]
  ) {
    const error = await regression(work);
    assertEquals([error.expectedSequence, error.actualSequence], [lost, kept]);
  }
  // A store that never heard of the tail has nothing to compare with.
  await using cold = await JetStreamEventStore.open(await scene.connect(), {
    namespace: scene.namespace,
  });
  assertEquals((await cold.getEvents("order-1")).length, 2);
  // The stream grows past what was lost: the store that knew of it does nothing any more.
  await cold.saveEvents([fact("order-2", 2), fact("order-2", 3)]);
  await regression(() => store.getEvents("order-2"));
  await regression(() => store.getEvents("order-1"));
  await regression(() => store.saveEvent(fact("order-1", 4)));
});

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  assert(success, new TextDecoder().decode(stderr));
}
