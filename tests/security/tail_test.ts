import { assertEquals, assertRejects } from "@std/assert";
import { type Msg, wsconnect } from "@nats-io/nats-core";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { createEvent, type Event, execute, JetStreamEventStore } from "../../store/mod.ts";
import { NatsServer } from "../../tools/nats_server.ts";
import { freePort } from "../../tools/port.ts";

const PAGE = await Deno.readTextFile(new URL("../../docs/guides/browser.md", import.meta.url));
const [, CONF = ""] = /```conf\n(.*?)```/s.exec(PAGE) ?? [];
const [, SOURCE = "", TARGET = ""] = /-source '(.*?)' .*-destination '(.*?)'/.exec(PAGE) ?? [];
/** The page's program, as the body of a function that is given what it uses. */
const [, BLOCK = ""] = /```ts ignore\nimport .*?\n\n(.*?)```/s.exec(PAGE) ?? [];

Deno.test("the guide's user follows one category in ten lines, and can do nothing else", async () => {
  const port = freePort();
  const config = CONF.replace("8443", `${port}`);
  await using server = await NatsServer.start({ config });
  const shop = await connect({ servers: server.url, user: "shop", pass: "shop" });
  const connections: NatsConnection[] = [shop];
  const dial = async (options: { servers: string; user: string; pass: string }) => {
    const connection = await wsconnect({ ...options, servers: `ws://127.0.0.1:${port}` });
    connections.push(connection);
    return connection;
  };
  try {
    const namespace = "shop";
    await using store = await JetStreamEventStore.open(shop, { namespace });
    await republish(shop, store.stream);
    await using again = await JetStreamEventStore.open(shop, { namespace }); // still opens

    const shown: unknown[] = [];
    const seen = Promise.withResolvers<void>();
    const program = new Function("wsconnect", "show", `return (async () => {${BLOCK}})()`);
    const ready = Promise.withResolvers<void>();
    const tail = program(async (options: Parameters<typeof dial>[0]) => {
      const connection = await dial(options);
      const subscribe = connection.subscribe.bind(connection);
      connection.subscribe = (subject, options) => {
        const subscription = subscribe(subject, options);
        connection.flush().then(ready.resolve, ready.reject);
        return subscription;
      };
      return connection;
    }, ({ eventType, data, actorId }: Event) => {
      shown.push([eventType, data, actorId]);
      if (shown.length === 3) seen.resolve();
    });
    await ready.promise;
    const event = (actorId: string, version: number, data: unknown) =>
      createEvent({ eventType: `Placed${version}`, actorId, version, data });
    await again.saveEvent(event("customer-1", 1, { name: "Ada" })); // another category
    await again.saveEvents([event("order-1", 1, { total: 5 }), event("order-1", 2, null)]);
    const refuse = { initialState: () => 0, evolve: () => 0, decide: () => [] };
    await execute(again, "order-1", refuse, 1, { commandId: "c-1", record: true }); // a receipt
    await again.saveEvent(event("order-2", 1, "pen"));
    await seen.promise;
    assertEquals(shown, [
      ["Placed1", { total: 5 }, "order-1"],
      ["Placed2", null, "order-1"],
      ["Placed1", "pen", "order-2"],
    ]);

    const user = await dial({ servers: "", user: "tail", pass: "tail" });
    for (const subject of ["aether.shop.>", "aether-tail.shop.customer.>", ">", "_INBOX.>"]) {
      await assertRejects(() => firstOf(user, subject), Error, "Permissions Violation", subject);
    }
    const forbidden = [
      "aether.shop.event.0.order.order-1",
      "aether-tail.shop.order.order-1",
      "$JS.API.STREAM.MSG.GET.AETHER_shop",
      "$JS.API.CONSUMER.CREATE.AETHER_shop",
    ];
    for (const subject of forbidden) {
      const refused = violationOf(user, subject);
      user.publish(subject, "{}");
      await refused;
    }
    assertEquals((await again.getEvents("order-1")).length, 2);
    for (const connection of connections.slice(1)) await connection.close();
    await tail;
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
  }
});

/** As the guide's command line does it. */
async function republish(connection: NatsConnection, stream: string): Promise<void> {
  const ask = async (operation: string, body: unknown) =>
    (await connection.request(`$JS.API.${operation}.${stream}`, JSON.stringify(body))).json<
      { config: Record<string, unknown>; error?: unknown }
    >();
  const { config } = await ask("STREAM.INFO", {});
  const { error } = await ask("STREAM.UPDATE", {
    ...config,
    republish: { src: SOURCE, dest: TARGET },
  });
  assertEquals(error, undefined);
}

async function firstOf(connection: NatsConnection, subject: string): Promise<Msg | undefined> {
  for await (const message of connection.subscribe(subject)) return message;
  return undefined;
}

/** Resolves when the server refuses a publish to `subject`. */
async function violationOf(connection: NatsConnection, subject: string): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === "error" && `${status.error}`.includes(subject)) return;
  }
}
