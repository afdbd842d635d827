import { equal, ok } from "../assert.ts";
import { sample, samples, type StoreTest } from "./kit.ts";

/** A store's identity: separates its events from another store's. */
export function identities(test: StoreTest, together: StoreTest): void {
  test("a store keeps its identity, a string that is not empty", async ({ open }) => {
    const store = await open();
    const { identity } = store;
    equal(typeof identity, "string", "type of the identity");
    ok(identity !== "", "the identity is not empty");
    await store.saveEvent(sample());
    equal(store.identity, identity, "identity after a save");
    await store.saveEvents(samples("order-2", [1, 2]));
    equal(store.identity, identity, "identity after a batch");
    await store[Symbol.asyncDispose]();
    equal(store.identity, identity, "identity after disposal");
  });

  test("stores of two namespaces have two identities", async ({ namespace, open }) => {
    const [one, other] = [await open(), await open({ namespace: `${namespace}-other` })];
    ok(one.identity !== other.identity, "the identities differ");
  });

  together("stores over the same events have one identity", async ({ open }) => {
    const first = await open();
    const second = await open();
    equal(second.identity, first.identity, "identity of the second store");
    await second.saveEvent(sample());
    const third = await open();
    equal(third.identity, first.identity, "identity of a store that is opened later");
  });
}
