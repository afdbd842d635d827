import { assert, assertEquals, assertRejects } from "@std/assert";
import { NatsEventBus } from "../../bus/nats.ts";
import { createEvent, type Event } from "../../store/event.ts";
import { JetStreamEventStore } from "../../store/jetstream/event_store.ts";
import { natsTest, type Scene } from "../support/fixture.ts";

const PAGE = await Deno.readTextFile(new URL("../../docs/permissions.md", import.meta.url));
/** The configuration that the page of permissions gives, for another name. */
const ISOLATED = PAGE.match(/```conf\n(.*?)```/s)![1]!.replaceAll("shop", "mallory");
/** The control: the same users, held to nothing. */
const OPEN = `
  authorization {
    users: [{ user: admin, password: admin }, { user: mallory, password: mallory }]
  }
`;

/** Patterns by which somebody could hope to hear of others. */
const PATTERNS = ["victim", "*", ">", "*.*", "*.>", "victim.>", "victim.*", "victim.eu"];
/** Namespaces by which somebody could hope to reach others. */
const NAMESPACES = ["victim", "victim.eu", "*", ">", "*.eu", "victim.*", "victim.>", "mallory2"];
/** The same on the wire, without a bus that encodes. */
const SUBJECTS = [
  "aether-bus.OrderPlaced.order-1.victim",
  "aether-bus.OrderPlaced.order-1.victim.eu",
  "aether-bus.OrderPlaced.order-1.*",
  "aether-bus.OrderPlaced.order-1.>",
  "aether-bus.*.*.victim",
  "aether-bus.>",
  ">",
];

function event(init: Partial<Event> = {}): Event {
  const { eventType = "OrderPlaced", actorId = "order-1", version = 1, data = null } = init;
  return createEvent({ eventType, actorId, version, data });
}

/** Lets Mallory try all; gives what the victim saw, what Mallory saw, and how many were refused. */
async function attack(
  scene: Scene,
): Promise<{ reached: string[]; overheard: string[]; refused: number }> {
  const login = (user: string) => scene.connect({ user, pass: user });
  const refusals: unknown[] = [];
  await using victim = new NatsEventBus(await login("admin"));
  const connection = await login("mallory");
  await using mallory = new NatsEventBus(connection, { onError: (error) => refusals.push(error) });

  const reached: string[] = [];
  for (const pattern of ["victim", "victim.>"]) {
    victim.on(pattern, ({ eventType }, namespace) => {
      if (eventType !== "Secret") reached.push(namespace);
    });
  }
  const own = victim.subscribe("mallory.>");
  await own.ready;

  const overheard: string[] = [];
  const ears = PATTERNS.map((pattern) =>
    mallory.on(pattern, (_event, namespace) => void overheard.push(namespace), {
      eventTypes: ["Secret"],
    })
  );
  const deaf = (await Promise.allSettled(ears.map((ear) => ear.ready)))
    .filter(({ status }) => status === "rejected");

  for (const namespace of ["victim", "victim.eu"]) {
    await victim.publish(namespace, event({ eventType: "Secret" }));
  }
  for (const namespace of NAMESPACES) await mallory.publish(namespace, event());
  const body = JSON.stringify(event());
  for (const subject of SUBJECTS) connection.publish(subject, body);
  // Mallory's own namespaces still work; messages that were sent before on this connection are
  // through then.
  await mallory.publish("mallory.eu", event({ version: 7 }));
  assertEquals((await own[Symbol.asyncIterator]().next()).value?.version, 7);
  await connection.flush();

  assertEquals(deaf.length === ears.length || deaf.length === 0, true);
  return { reached, overheard, refused: refusals.length };
}

natsTest(
  "a user with permissions for one namespace hears and reaches no other",
  async (scene) => {
    const { reached, overheard, refused } = await attack(scene);
    assertEquals([reached, overheard], [[], []]);
    assertEquals(refused, PATTERNS.length + NAMESPACES.length + 2); // a bus reports only subjects of its own
  },
  { server: { jetstream: false, config: ISOLATED } },
);

natsTest(
  "what the page permits suffices for the store and the bus of the namespace",
  async (scene) => {
    const namespace = "mallory";
    const admin = await scene.connect({ user: "admin", pass: "admin" });
    await using _founder = await JetStreamEventStore.open(admin, { namespace });
    const login = { user: "mallory", pass: "mallory", inboxPrefix: "_INBOX_mallory" };
    const connection = await scene.connect(login);
    await using bus = new NatsEventBus(connection);
    await using other = new NatsEventBus(await scene.connect(login));
    await using store = await JetStreamEventStore.open(connection, { namespace, broadcaster: bus });
    const subscription = other.subscribe(namespace);
    await subscription.ready;
    await store.saveEvents([event(), event({ version: 2 })]);
    assertEquals((await store.getEvents("order-1")).length, 2);
    const versions: unknown[] = [];
    for await (const { version } of subscription) if (versions.push(version) === 2) break;
    assertEquals(versions, [1, 2]);
  },
  { server: { config: ISOLATED } },
);

natsTest(
  "Control: without the permissions the same user reaches other namespaces",
  async (scene) => {
    const { reached, overheard } = await attack(scene);
    assert(reached.includes("victim") && reached.includes("victim.eu"));
    assert(overheard.includes("victim") && overheard.includes("victim.eu"));
  },
  { server: { jetstream: false, config: OPEN } },
);

natsTest(
  "a subscription that the server refuses reports it, and its loop throws",
  async (scene) => {
    await using bus = new NatsEventBus(await scene.connect({ user: "mallory", pass: "mallory" }));
    const [one, other] = [bus.subscribe("victim"), bus.subscribe("victim")];
    await assertRejects(() => one.ready, Error, "Permissions Violation");
    for (const refused of [one, other]) {
      await assertRejects(
        async () => {
          for await (const _event of refused);
        },
        Error,
        "Permissions Violation",
      );
    }
    assertEquals(bus.metrics.activeSubscriptions, 0);
  },
  { server: { jetstream: false, config: ISOLATED } },
);
