import { assert, assertEquals } from "@std/assert";
import { type Event, JetStreamEventStore } from "../../../store/mod.ts";
import { facts, storeApart } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";
import { type Opened, type Stores, storeTest } from "../../support/stores.ts";

const COUNT = 3000;

/** A history of so many messages, each of one event. */
async function fill({ store, connection }: Opened): Promise<void> {
  await storeApart(connection, store, facts("order-1", 1, COUNT));
}

function checkWhole(events: readonly Event[]): void {
  assertEquals(events.length, COUNT);
  events.forEach(({ version }, at) => assertEquals(version, at + 1));
}

/** A store that knows nothing yet, and the names of the consumers that it makes. */
async function watched(stores: Stores) {
  const proxy = stores.scene.proxy();
  const made: string[] = [];
  proxy.eatFromClient(({ subject }) => {
    if (subject.startsWith("$JS.API.CONSUMER.CREATE.")) made.push(subject.split(".").at(-1)!);
    return false;
  });
  return { ...await stores.open({}, proxy.url), made };
}

storeTest("A long history is read through a consumer, a short one is not", async (stores) => {
  await fill(await stores.open());
  const { store, made } = await watched(stores);
  const connection = await stores.scene.connect();
  await storeApart(connection, store, facts("order-2", 1, 150));
  assertEquals((await store.getEvents("order-2")).length, 150);
  // Many events in few messages are no long history.
  await store.saveEvents(facts("order-3", 1, 5_000));
  assertEquals((await store.getEvents("order-3")).length, 5_000);
  assertEquals(
    (await Array.fromAsync(store.readEvents("order-1", { toVersion: 150 }))).length,
    150,
  );
  assertEquals(made, []);
  checkWhole(await store.getEvents("order-1"));
  assertEquals(made.length, 1);
  const all = await Array.fromAsync(store.readAll());
  checkWhole(all.filter(({ actorId }) => actorId === "order-1"));
  assertEquals(made.length, 2);
});

storeTest("A cancelled read leaves no consumer", async (stores) => {
  await fill(await stores.open());
  const { store, made } = await watched(stores);
  for await (const { version } of store.readEvents("order-1")) if (version === 200) break;
  assertEquals(made.length, 1);
  // The fixture looks for those that are left.
});

storeTest("A read that is left early keeps no later one from a consumer", async (stores) => {
  await fill(await stores.open());
  const { store, made } = await watched(stores);
  let left = 0;
  for (; made.length < 2 && left < 5; left++) {
    // In a page that came through the consumer, while the next one is under way.
    for await (const { version } of store.readEvents("order-1")) if (version === 700) break;
    // The pull that nobody waits for would have run into its time by then.
    await new Promise((resolve) => setTimeout(resolve, 600));
  }
  const before = made.length;
  checkWhole(await store.getEvents("order-1"));
  assertEquals(made.length, before + 1, `${left} left`);
});

storeTest("A read does without its consumer when that is gone", async (stores) => {
  await fill(await stores.open());
  const { store, connection, made } = await watched(stores);
  const events: Event[] = [];
  for await (const event of store.readEvents("order-1")) {
    events.push(event);
    if (event.version % 700 !== 0) continue;
    for (const name of made.splice(0)) {
      await connection.request(`$JS.API.CONSUMER.DELETE.${store.stream}.${name}`);
    }
  }
  checkWhole(events);
});

natsTest("A message that a consumer loses on its way is read again", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using store = await JetStreamEventStore.open(connection, { namespace });
  await fill({ store, connection });
  const proxy = scene.proxy();
  await using reader = await JetStreamEventStore.open(
    await scene.connect({ servers: proxy.url }),
    { namespace },
  );
  for (const lost of [129, 200, 640, COUNT]) {
    const meal = proxy.eatFromServer(
      ({ replyTo, headers }) =>
        replyTo?.startsWith("$JS.ACK.") === true && headers?.get("Aether-Version") === `${lost}`,
      1,
    );
    checkWhole(await reader.getEvents("order-1"));
    assertEquals(meal.eaten.length, 1, `Version ${lost} went through no consumer`);
  }
});

storeTest(
  "Where consumers are not answered for, long histories are read without",
  async (stores) => {
    await fill(await stores.open());
    const proxy = stores.scene.proxy();
    const meal = proxy.eatFromClient(({ subject }) =>
      subject.startsWith("$JS.API.CONSUMER.CREATE.")
    );
    const { store } = await stores.open({}, proxy.url);
    checkWhole(await store.getEvents("order-1"));
    assertEquals(meal.eaten.length, 1);
    for (let round = 0; round < 3; round++) checkWhole(await store.getEvents("order-1"));
    assertEquals(meal.eaten.length, 1, "Each read has waited for a consumer again");
  },
);

natsTest("If no consumer may be made, a long history is read without", async (scene) => {
  const { namespace } = scene;
  const founder = await scene.connect({ user: "root", pass: "p" });
  await using store = await JetStreamEventStore.open(founder, { namespace });
  await fill({ store, connection: founder });
  const connection = await scene.connect({ user: "reader", pass: "p" });
  const denials: unknown[] = [];
  const statuses = connection.status();
  const listening = (async () => {
    for await (const status of statuses) if (status.type === "error") denials.push(status.error);
  })();
  await using reader = await JetStreamEventStore.open(connection, { namespace });
  checkWhole(await reader.getEvents("order-1"));
  checkWhole(await reader.getEvents("order-1"));
  assert(denials.length <= 1, `${denials.length} denials: it should not ask twice`);
  (statuses as unknown as { stop(): void }).stop();
  await listening;
}, {
  server: {
    config: `authorization { users: [
      { user: root, password: p },
      { user: reader, password: p, permissions: { publish: { deny: "$JS.API.CONSUMER.>" } } },
    ] }`,
  },
});
