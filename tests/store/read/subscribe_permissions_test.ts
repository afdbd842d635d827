import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { isAetherError, JetStreamEventStore, StoreRefusedError } from "../../../store/mod.ts";
import { fact } from "../../support/fault.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { Watch } from "../../support/watch.ts";

const STORE = [
  "aether.shop.>",
  "$JS.API.STREAM.INFO.AETHER_shop",
  "$JS.API.STREAM.MSG.GET.AETHER_shop",
  "$JS.API.DIRECT.GET.AETHER_shop",
];
const CONSUMERS = [
  "$JS.API.CONSUMER.CREATE.AETHER_shop.>",
  "$JS.API.CONSUMER.DELETE.AETHER_shop.>",
  "$JS.API.CONSUMER.MSG.NEXT.AETHER_shop.>",
];

/** A user of a server, by what it may publish, and which answers it may receive. */
function user(name: string, publish: readonly string[], answers = ">"): string {
  // The inbox of deliveries has a token more than that of answers.
  const subscribe = [`_INBOX_${name}.${answers === "*" ? "*.*" : answers}`];
  const permissions = JSON.stringify({ publish, subscribe });
  return `{ user: ${name}, password: p, permissions: ${permissions} }`;
}

const config = `authorization { users: [
  { user: root, password: p },
  ${user("reader", [...STORE, ...CONSUMERS])},
  ${user("plain", STORE)},
  ${user("half", [...STORE, ...CONSUMERS.slice(0, 2)])},
  ${user("deaf", [...STORE, ...CONSUMERS], "*")}
] }`;

async function openAs(scene: Scene, user: string): Promise<JetStreamEventStore> {
  const connection = await scene.connect({ user, pass: "p", inboxPrefix: `_INBOX_${user}` });
  return await JetStreamEventStore.open(connection, { namespace: "shop" });
}

natsTest(
  "Making, pulling from and deleting consumers is all that a subscription needs",
  async (scene) => {
    await using founder = await openAs(scene, "root");
    await using store = await openAs(scene, "reader");
    await founder.saveEvent(fact("order-1", 1));
    const controller = new AbortController();
    const watch = new Watch(store.subscribe({ signal: controller.signal }));
    await watch.further(1);
    await founder.saveEvent(fact("order-1", 2));
    await watch.further(1);
    controller.abort();
    assertEquals(await watch.end(), undefined);
  },
  { server: { config } },
);

for (const user of ["plain", "half", "deaf"]) {
  natsTest(`A subscription that lacks a permission says so at once: ${user}`, async (scene) => {
    await using founder = await openAs(scene, "root");
    await founder.saveEvent(fact("order-1", 1));
    await using store = await openAs(scene, user);
    const start = performance.now();
    const error = await new Watch(store.subscribe()).end();
    assert(isAetherError(error, "StoreRefusedError"), `It ended with ${error}`);
    assert(performance.now() - start < 1_500);
    assertMatch(error.advice, /permission/);
  }, { server: { config } });
}

natsTest(
  "A connection with as many subscriptions as it may have says so, rather than try without end",
  async (scene) => {
    const connection = await scene.connect();
    await using store = await JetStreamEventStore.open(connection, { timeout: 1_000 });
    await store.saveEvent(fact("order-1", 1));
    const others = ["a", "b", "c"].map((subject) => connection.subscribe(subject));
    await connection.flush();
    const error = await new Watch(store.subscribe()).end();
    assert(isAetherError(error, "StoreRefusedError"), `It ended with ${error}`);
    assertMatch(error.advice, /max_subscriptions/);
    const opened = await assertRejects(
      () => JetStreamEventStore.open(connection, { timeout: 1_000 }),
      StoreRefusedError,
    );
    assertMatch(opened.advice, /max_subscriptions/);
    // What works already goes on; with room again, so does what was refused.
    await store.saveEvent(fact("order-1", 2));
    others[0]!.unsubscribe();
    await using again = await JetStreamEventStore.open(connection, { timeout: 1_000 });
    assertEquals((await again.getEvents("order-1")).length, 2);
    others[1]!.unsubscribe();
    const controller = new AbortController();
    const watch = new Watch(again.subscribe({ signal: controller.signal }));
    await watch.further(2);
    controller.abort();
    assertEquals(await watch.end(), undefined);
  },
  { server: { config: "max_subscriptions: 4" } },
);
