import { assert, assertEquals, assertMatch } from "@std/assert";
import { DeliverPolicy, jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Event, isAetherError, JetStreamEventStore } from "../../../store/mod.ts";
import { backup, restore } from "../../support/backup.ts";
import { fact } from "../../support/fault.ts";
import { natsTest, nextStatus, type Scene } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";
import { Watch } from "../../support/watch.ts";

interface Stage extends AsyncDisposable {
  readonly store: JetStreamEventStore;
  readonly operator: NatsConnection;
  readonly watch: Watch;
  /** Opens another store of the namespace, and saves `events` through it. */
  readonly grow: (events: readonly Event[]) => Promise<void>;
  /** Does `work` while the store of the subscription has no connection. */
  readonly away: (work: () => Promise<void>) => Promise<void>;
}

/** Five events, and a subscription that has seen them and waits for more. */
async function stage(scene: Scene): Promise<Stage> {
  const { namespace } = scene;
  const options = { namespace, timeout: 1_000 };
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const store = await JetStreamEventStore.open(connection, options);
  const grow = async (events: readonly Event[]): Promise<void> => {
    await using other = await JetStreamEventStore.open(await scene.connect(), { namespace });
    for (const event of events) await other.saveEvent(event);
  };
  await grow([1, 2, 3, 4, 5].map((version) => fact("order-1", version)));
  const watch = new Watch(store.subscribe());
  await watch.further(5);
  const away = async (work: () => Promise<void>): Promise<void> => {
    const reconnected = nextStatus(connection, "reconnect");
    proxy.refusing = true;
    proxy.cut();
    await work();
    proxy.refusing = false;
    await reconnected;
  };
  const operator = await scene.connect();
  return {
    store,
    operator,
    watch,
    grow,
    away,
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

async function assertRegressed(watch: Watch, reason: RegExp): Promise<void> {
  const error = await watch.end();
  assert(isAetherError(error, "StreamRegressedError"), `It ended with ${error}`);
  assertMatch(error.message, reason);
  assertEquals(watch.seen.length, 5, "Nothing of the other stream came");
}

/** Events of one actor, from version 1 on. */
function facts(actorId: string, count: number): Event[] {
  return Array.from({ length: count }, (_, at) => fact(actorId, at + 1));
}

natsTest("A stream restored without its tail ends a subscription", async (scene) => {
  await using own = await stage(scene);
  const { store, operator, watch, grow, away } = own;
  await away(async () => {
    await restore(operator, store.stream, await backup(operator, store.stream));
    await grow(facts("order-1", 1));
  });
  await assertRegressed(watch, /ends at sequence 512, though sequence 1536 was/);
});

natsTest("A restored stream that grew past the last event ends a subscription", async (scene) => {
  await using own = await stage(scene);
  const { store, operator, watch, grow, away } = own;
  await away(async () => {
    await restore(operator, store.stream, await backup(operator, store.stream));
    await grow(facts("order-1", 8));
  });
  await assertRegressed(watch, /sequence 6 does not hold what it held before/);
});

natsTest("A restored stream with others in the tail ends a subscription", async (scene) => {
  await using own = await stage(scene);
  const { store, operator, watch, grow, away } = own;
  await away(async () => {
    await restore(operator, store.stream, await backup(operator, store.stream));
    await grow([...facts("order-1", 4), ...facts("order-2", 8)]);
  });
  await assertRegressed(watch, /sequence 6 does not hold what it held before/);
});

natsTest("Another stream of the same name ends a subscription", async (scene) => {
  await using own = await stage(scene);
  const { store, operator, watch, grow, away } = own;
  await away(async () => {
    await api(operator, `STREAM.DELETE.${store.stream}`);
    await grow(facts("order-1", 8));
  });
  await assertRegressed(watch, /it is another one than was opened/);
});

natsTest("A stream exchanged under a live subscription ends it", async (scene) => {
  await using own = await stage(scene);
  const { store, operator, watch, grow } = own;
  await restore(operator, store.stream, await backup(operator, store.stream));
  await grow(facts("order-2", 8));
  // It may look while the stream is still short, or has grown by then.
  await assertRegressed(watch, /does not hold what it held before|though sequence 1536 was/);
});

natsTest("A stream that is gone ends a subscription", async (scene) => {
  await using own = await stage(scene);
  const { store, operator, watch } = own;
  await api(operator, `STREAM.DELETE.${store.stream}`);
  await assertRegressed(watch, /ends at sequence 0, though sequence 1536 was/);
});

natsTest("A new subscription sees that the store's own saves are gone", async (scene) => {
  await using own = await stage(scene);
  const { store, operator, watch, grow } = own;
  const { sequence } = await store.saveEvent(fact("order-2", 1));
  await watch.reach(sequence);
  await restore(operator, store.stream, await backup(operator, store.stream));
  await grow(facts("order-1", 1));
  const error = await new Watch(store.subscribe()).end();
  assert(isAetherError(error, "StreamRegressedError"), `It ended with ${error}`);
  assertEquals([error.expectedSequence, error.actualSequence], [sequence, 2 * 256]);
});

natsTest("Control: an ordered consumer beyond the end skips in silence", async (scene) => {
  await using own = await stage(scene);
  const { store, operator, grow } = own;
  await restore(operator, store.stream, await backup(operator, store.stream));
  const consumer = await jetstream(operator).consumers.get(store.stream, {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: 7,
  });
  const messages = await consumer.consume();
  await grow(facts("order-1", 7));
  for await (const { seq } of messages) {
    assertEquals(seq, 7, "What came before it is not told of");
    break;
  }
  await consumer.delete();
});
