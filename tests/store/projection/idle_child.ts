/**
 * A program that asks whether a projection has caught up, and runs none. It says what comes of it.
 *
 * @module
 */

import {
  createEvent,
  InMemoryCheckpointStore,
  InMemoryEventStore,
  Projection,
} from "../../../store/mod.ts";

const store = new InMemoryEventStore();
await store.saveEvent(
  createEvent({ eventType: "Placed", actorId: "order-1", version: 1, data: null }),
);
const projection = new Projection({
  name: "model",
  store,
  checkpoints: new InMemoryCheckpointStore(),
  handler: () => {},
  onError: (error) => console.log(String(error)),
});
projection.caughtUp.then(console.log, console.log);
