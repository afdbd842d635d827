import { InMemoryEventStore } from "../../store/memory/event_store.ts";
import { control } from "./suite_control.ts";

const KEEPS = "a store keeps its identity, a string that is not empty";

control("has an empty identity", (options) =>
  new class extends InMemoryEventStore {
    override readonly identity = "";
  }(options), [KEEPS]);

control("changes its identity", (options) =>
  new class extends InMemoryEventStore {
    #asked = 0;
    declare readonly identity: string;
    constructor() {
      super(options);
      Object.defineProperty(this, "identity", { get: () => `store-${++this.#asked}` });
    }
  }(), [KEEPS]);

control("takes one identity for all namespaces", (options) =>
  new class extends InMemoryEventStore {
    override readonly identity = "store";
  }(options), ["stores of two namespaces have two identities"]);

control(
  "has another identity each time that it is opened",
  (options) => new InMemoryEventStore(options),
  ["stores over the same events have one identity"],
  true,
);
