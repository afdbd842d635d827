/**
 * Logs every saved event with the request that it came from. A store publishes `EventStored` after
 * each save, so the log has a line at once, yet a crash in between loses it. So a projection writes
 * the missing lines.
 *
 * @module
 */

import {
  createEvent,
  EVENT_STORED,
  type EventStored,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  LocalEventBus,
  Projection,
} from "@flowmade-one/aether";

const namespace = "shop";
const bus = new LocalEventBus();
const store = new InMemoryEventStore({ namespace, broadcaster: bus });

/** The log: a line for each event, by the event's id. */
const log = new Map<string, string>();

const listening = bus.on<EventStored>(namespace, ({ data, metadata }) => {
  log.set(data.eventId, `${data.actorId} ${data.version} by ${metadata?.correlationId}, live`);
}, { eventTypes: [EVENT_STORED] });

const audit = new Projection({
  name: "audit",
  store,
  checkpoints: new InMemoryCheckpointStore(), // KvCheckpointStore, if the log outlives a process
  handler: ({ id, actorId, version, metadata }) => {
    if (log.has(id)) return;
    log.set(id, `${actorId} ${version} by ${metadata?.correlationId}, found later`);
  },
});

const save = (actorId: string, version: number, correlationId: string) =>
  store.saveEvent(createEvent({
    eventType: "Changed",
    actorId,
    version,
    data: null,
    metadata: { correlationId },
  }));
await save("order-1", 1, "request-1");
await save("order-1", 2, "request-2");
await listening[Symbol.asyncDispose](); // As if the process were down for a while.
await save("order-2", 1, "request-3");

const running = audit.run();
await audit.caughtUp;
for (const line of log.values()) console.log(line);

await audit[Symbol.asyncDispose]();
await running;
await store[Symbol.asyncDispose]();
await bus[Symbol.asyncDispose]();
