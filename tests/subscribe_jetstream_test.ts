import { JetStreamEventStore } from "../store/jetstream.ts";
import { eventSubscriptionSuite } from "../testing/event_subscription.ts";
import { natsTest, type Scene } from "./fixture.ts";

let scene: Scene;
eventSubscriptionSuite({
  test: (name, run) =>
    natsTest(`JetStreamEventStore: ${name}`, (own) => {
      scene = own;
      return run();
    }),
  create: async (options) =>
    await JetStreamEventStore.open(await scene.connect(), { timeout: 5_000, ...options }),
  capabilities: { reopen: true },
});
