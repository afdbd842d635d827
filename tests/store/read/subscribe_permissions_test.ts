import { assert, assertEquals } from "@std/assert";
import { isAetherError, JetStreamEventStore } from "../../../store/mod.ts";
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

/** A user of a server, by what it may publish. */
function user(name: string, publish: readonly string[]): string {
  const permissions = JSON.stringify({ publish, subscribe: [`_INBOX_${name}.>`] });
  return `{ user: ${name}, password: p, permissions: ${permissions} }`;
}

const config = `authorization { users: [
  { user: root, password: p },
  ${user("reader", [...STORE, ...CONSUMERS])},
  ${user("plain", STORE)},
  ${user("half", [...STORE, ...CONSUMERS.slice(0, 2)])}
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

for (const user of ["plain", "half"]) {
  natsTest(`A subscription that lacks a permission says so at once: ${user}`, async (scene) => {
    await using founder = await openAs(scene, "root");
    await founder.saveEvent(fact("order-1", 1));
    await using store = await openAs(scene, user);
    const start = performance.now();
    const error = await new Watch(store.subscribe()).end();
    assert(isAetherError(error, "StoreRefusedError"), `It ended with ${error}`);
    assert(performance.now() - start < 1_500);
  }, { server: { config } });
}
