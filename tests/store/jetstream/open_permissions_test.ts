import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { isAetherError, JetStreamEventStore } from "../../../store/mod.ts";
import { attempt, fact, tally } from "../../support/fault.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

const STREAM = "AETHER_shop";

/** The permissions that a store needs on an existing stream: no other namespace, no consumers. */
const STORE = [
  "aether.shop.>",
  `$JS.API.STREAM.INFO.${STREAM}`,
  `$JS.API.STREAM.MSG.GET.${STREAM}`,
  `$JS.API.DIRECT.GET.${STREAM}`,
];
const CONSUMERS = [
  `$JS.API.CONSUMER.CREATE.${STREAM}`,
  `$JS.API.CONSUMER.CREATE.${STREAM}.>`,
  `$JS.API.CONSUMER.INFO.${STREAM}.>`,
  `$JS.API.CONSUMER.DELETE.${STREAM}.>`,
  `$JS.API.CONSUMER.MSG.NEXT.${STREAM}.>`,
];

/** A server's users: one that may do all, others by what they may publish and subscribe to. */
function users(limited: Record<string, { publish: string[]; subscribe?: string[] }>): string {
  const entries = Object.entries(limited).map(([user, { publish, subscribe }]) => {
    const permissions = JSON.stringify({ publish, subscribe: subscribe ?? [`_INBOX_${user}.>`] });
    return `{ user: ${user}, password: p, permissions: ${permissions} }`;
  });
  const config = `authorization { users: [ { user: root, password: p }, ${entries.join(", ")} ] }`;
  return config;
}

async function openAs(scene: Scene, user: string, options = {}): Promise<JetStreamEventStore> {
  const connection = await scene.connect({ user, pass: "p", inboxPrefix: `_INBOX_${user}` });
  return await JetStreamEventStore.open(connection, { namespace: "shop", ...options });
}

/** The error of `work`, which is not to take long. */
async function soon(work: () => Promise<unknown>): Promise<Error> {
  const start = performance.now();
  const error = await assertRejects(work);
  const ms = performance.now() - start;
  assert(ms < 1_500, `It took ${ms} ms`);
  assert(isAetherError(error, "StoreRefusedError"), String(error));
  return error;
}

natsTest(
  "The permissions for one namespace are enough for a store, and for no other namespace",
  async (scene) => {
    await using founder = await openAs(scene, "root");
    await using store = await openAs(scene, "shop");
    assertEquals(store.identity, founder.identity);
    const outcomes = [
      await attempt(store, fact("order-1", 1)),
      await attempt(store, fact("order-1", 2), fact("order-2", 1)),
      await attempt(store, fact("order-1", 1)),
    ];
    assertEquals(tally(outcomes), { saved: 2, conflict: 1 });
    assertEquals((await store.getEvents("order-1")).length, 2);
    assertEquals(await store.getLatestVersion("order-1", { fresh: true }), 2);
    const error = await soon(() => openAs(scene, "shop", { namespace: "billing" }));
    assertMatch(error.message, /AETHER_billing".*denied/);
  },
  { server: { config: users({ shop: { publish: STORE } }) } },
);

natsTest("With consumers permitted too, versions can be looked up by one", async (scene) => {
  await using founder = await openAs(scene, "root");
  await founder.saveEvent(fact("order-1", 1));
  await using store = await openAs(scene, "shop", { versionLookup: "deliver-last" });
  assertEquals(await store.getLatestVersion("order-1"), 1);
  assertEquals(await store.getLatestVersion("order-2"), 0);
}, { server: { config: users({ shop: { publish: [...STORE, ...CONSUMERS] } }) } });

natsTest("A missing permission is reported at once and in plain words", async (scene) => {
  await using founder = await openAs(scene, "root");
  await founder.saveEvent(fact("order-1", 1));
  await using reader = await openAs(scene, "reader");
  assertEquals((await reader.getEvents("order-1")).length, 1);
  const saving = await soon(() => reader.saveEvent(fact("order-1", 2)));
  assertMatch(saving.message, /"aether\.shop\.event\..*denied; nothing was saved/);
  const batch = await soon(() => reader.saveEvents([fact("order-1", 2), fact("order-2", 1)]));
  assertMatch(batch.message, /"aether\.shop\.event\..*denied; nothing was saved/);
  await using writer = await openAs(scene, "writer");
  assertEquals((await writer.saveEvent(fact("order-1", 2))).duplicate, false);
  const reading = await soon(() => writer.getEvents("order-1"));
  assertMatch(reading.message, /DIRECT\.GET.*denied/);
  for (const user of ["nothing", "mute"]) {
    const opening = await soon(() => openAs(scene, user));
    assertMatch(opening.message, /see that the server runs with JetStream and permits its API/);
  }
  const founding = await soon(() => openAs(scene, "reader", { namespace: "new" }));
  assertMatch(founding.message, /denied/);
}, {
  server: {
    config: users({
      reader: { publish: STORE.slice(1) },
      writer: { publish: STORE.slice(0, 3) },
      nothing: { publish: ["other"] },
      mute: { publish: [">"], subscribe: ["other"] },
    }),
  },
});

natsTest("A batch with one subject that is not permitted is reported at once", async (scene) => {
  await using founder = await openAs(scene, "root");
  await founder.saveEvent(fact("order-1", 1));
  await using store = await openAs(scene, "orders");
  const batch = [fact("stock-1", 1), fact("order-1", 2)];
  const error = await soon(() => store.saveEvents(batch));
  assertMatch(error.message, /denied; nothing was saved/);
  assertMatch(error.message, /\.stock-1"/);
  await store.saveEvents([fact("order-1", 2), fact("order-2", 1)]);
}, {
  server: {
    config: users({ orders: { publish: ["aether.shop.event.*.order.*", ...STORE.slice(1)] } }),
  },
});
