import { assert, assertEquals } from "@std/assert";
import { LocalEventBus } from "../../../bus/mod.ts";
import {
  EVENT_STORED,
  type EventStored,
  InMemoryCheckpointStore,
  isAetherError,
  JetStreamEventStore,
} from "../../../store/mod.ts";
import { natsTest } from "../../support/fixture.ts";
import { fact, Model, quick, range, Run } from "./bed.ts";
import { Watch } from "../../support/watch.ts";

interface Connections {
  readonly connections: readonly { readonly subscriptions_list?: readonly string[] }[];
}

natsTest("A refused save never reaches bus, subscription or projection", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  await using bus = new LocalEventBus();
  await using store = await JetStreamEventStore.open(connection, { namespace, broadcaster: bus });
  await using rival = await JetStreamEventStore.open(await scene.connect(), {
    namespace,
    broadcaster: bus,
  });
  const told: string[] = [];
  await using _listener = bus.on(namespace, (event) => {
    if (event.eventType === EVENT_STORED) told.push((event as EventStored).data.eventId);
  });
  const watch = new Watch(store.subscribe());
  const model = new Model();
  const bed = { store, checkpoints: new InMemoryCheckpointStore() };
  await using run = new Run(quick(bed, { handler: model.handle }));

  // The control: a subscriber on the subjects themselves sees refused events.
  const heard = new Set<string>();
  const spy = await scene.connect();
  const ears = spy.subscribe(`aether.${namespace}.>`, {
    callback: (_error, message) => {
      const id = message.headers?.get("Aether-Id");
      if (id) heard.add(id);
    },
  });
  await spy.flush();
  const saved: string[] = [];
  const refused: string[] = [];
  const subjects: string[] = [];
  for (const version of range(1, 50)) {
    // Both build on the same head, and race; the batches fail by their second event as well.
    const tries = [store, rival].map((each) =>
      [
        each,
        [fact("order-1", version), fact(`lone-${each === store ? 1 : 2}`, version)],
      ] as const
    );
    await Promise.all(tries.map(async ([each, events]) => {
      const ids = events.map(({ id }) => id);
      try {
        await each.saveEvents(events);
        saved.push(...ids);
      } catch (error) {
        assert(isAetherError(error, "VersionConflictError"), String(error));
        refused.push(...ids);
      }
    }));
  }
  const { connections } = await scene.server.monitor<Connections>("/connz?subs=true");
  for (const { subscriptions_list = [] } of connections) subjects.push(...subscriptions_list);
  await spy.flush();
  ears.unsubscribe();

  await run.projection.caughtUp;
  await watch.further(0);
  await store.saveEvent(fact("last-1", 1));
  await run.projection.caughtUp;
  while (watch.seen.length < saved.length + 1) await watch.further(1);
  assertEquals([saved.length, refused.length], [100, 100]);
  assert(refused.some((id) => heard.has(id)), "The control hears refused events");
  const shown = [told, watch.seen.map(({ id }) => id), model.seen.map(({ id }) => id)];
  for (const ids of shown) {
    assertEquals(ids.filter((id) => refused.includes(id)), []);
    assertEquals(saved.filter((id) => !ids.includes(id)), []);
  }
  const onEvents = subjects.filter((subject) => subject.startsWith("aether."));
  assertEquals(onEvents, [`aether.${namespace}.>`], "Only the control listens to event subjects");
});
