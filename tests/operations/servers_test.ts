import { assertEquals, assertRejects } from "@std/assert";
import { join } from "node:path";
import {
  createEvent,
  JetStreamEventStore,
  KvCheckpointStore,
  StoreRefusedError,
} from "../../store/mod.ts";
import { mustRun } from "../../tools/command.ts";
import { ROOT } from "../../tools/root.ts";
import { natsTest } from "../support/fixture.ts";

const FOLDER = join(ROOT, "docs", "operations");
const PASSWORDS = { ADMIN_PASSWORD: "a", SHOP_PASSWORD: "s", READER_PASSWORD: "r" };
const USERS = await Deno.readTextFile(join(FOLDER, "users.conf"));

for (const kind of ["one", "three"]) {
  Deno.test(`nats-server reads the configuration of ${kind}`, async () => {
    const env = { ...PASSWORDS, NAME: "nats-1" };
    const file = join(FOLDER, kind, "nats.conf");
    await mustRun(Deno.env.get("NATS_SERVER")!, ["-t", "-c", file], { env });
    const compose = await Deno.readTextFile(join(FOLDER, kind, "compose.yaml"));
    for (const name of Object.keys(PASSWORDS)) assertEquals(compose.includes(name), true, name);
  });
}

const config = Object.entries(PASSWORDS).reduce(
  (text, [name, value]) => text.replace(`$${name}`, value),
  USERS,
);

natsTest("each role may do its work, and no more", async (scene) => {
  const as = (user: string, pass: string, inbox: string) =>
    scene.connect({ user, pass, inboxPrefix: `_INBOX_${inbox}` });
  const namespace = "shop";
  const event = (version: number) =>
    createEvent({ eventType: "OrderPlaced", actorId: "order-1", version, data: null });
  {
    const admin = await as("admin", "a", "admin");
    await using _store = await JetStreamEventStore.open(admin, { namespace });
    await using _kept = await KvCheckpointStore.open(admin, { namespace });
  }
  await using shop = await JetStreamEventStore.open(await as("shop", "s", "shop"), { namespace });
  await shop.saveEvent(event(1));
  await using _checkpoints = await KvCheckpointStore.open(await as("shop", "s", "shop"), {
    namespace,
  });
  const connection = await as("reader", "r", "reader");
  await using reader = await JetStreamEventStore.open(connection, { namespace });
  assertEquals((await reader.getEvents("order-1")).length, 1);
  for await (const { version } of reader.subscribe()) {
    assertEquals(version, 1);
    break;
  }
  await assertRejects(() => reader.saveEvent(event(2)), StoreRefusedError);
  assertEquals(await shop.getLatestVersion("order-1", { fresh: true }), 1);
}, { server: { config } });
