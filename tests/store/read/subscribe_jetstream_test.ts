import { JetStreamEventStore } from "../../../store/jetstream/event_store.ts";
import { eventSubscriptionSuite } from "../../../testing/event_subscription/suite.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

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
