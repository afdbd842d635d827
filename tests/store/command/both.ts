/** Tests that hold for a store in memory and on JetStream alike. */
import { type EventStore, InMemoryEventStore, JetStreamEventStore } from "../../../mod.ts";
import { natsTest } from "../../support/fixture.ts";

/** Opens a store of the test's events; each call gives one that knows nothing yet, if it can. */
export type Open = () => Promise<EventStore>;

/** Registers one test for each kind of store. */
export function both(name: string, body: (open: Open) => Promise<void>): void {
  Deno.test(`${name}, in memory`, async () => {
    await using store = new InMemoryEventStore();
    await body(() => Promise.resolve(store));
  });
  natsTest(`${name}, on JetStream`, async (scene) => {
    await using stack = new AsyncDisposableStack();
    const connection = await scene.connect();
    const { namespace } = scene;
    await body(async () => stack.use(await JetStreamEventStore.open(connection, { namespace })));
  });
}
