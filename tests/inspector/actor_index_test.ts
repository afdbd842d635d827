import { assert, assertEquals } from "@std/assert";
import { ActorIndex } from "../../inspector/look/actor_index.ts";
import { sourceOf } from "../../inspector/look/source.ts";
import { appendEvents } from "../../store/mod.ts";
import { storeTest } from "../support/stores.ts";

storeTest("a count that has failed is tried again, though nothing is stored", async (stores) => {
  const { store } = await stores.open();
  await appendEvents(store, "order-1", 0, [{ eventType: "OrderPlaced", data: null }]);
  const source = sourceOf(store);
  let fails = true;
  const api = new Proxy(source.reader!.api, {
    get(target, name) {
      if (name === "get" && fails) return () => Promise.reject(new Error("Out of reach"));
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const reader = { ...source.reader!, api };
  const index = new ActorIndex(store, { ...source, reader }, new AbortController().signal);
  const settled = async () => {
    await index.categories(1);
    await index.settled();
    return (await index.categories(1)).state;
  };
  assertEquals(await settled(), "failed");
  fails = false;
  const deadline = performance.now() + 10_000;
  while (await settled() !== "ready") {
    assert(performance.now() < deadline, "It is never counted again");
    await new Promise((done) => setTimeout(done, 20));
  }
});
