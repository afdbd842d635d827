import {
  FencedEventStore,
  type FencedEventStoreOptions,
} from "../../../store/fencing/fenced_store.ts";
import { eventStoreSuite } from "../../../testing/event_store/suite.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

const SHARDS = 16;

/** Runs the suite, or the part of it that `wanted` picks, on stores that own all shards. */
function suite(title: string, own: Partial<FencedEventStoreOptions>, wanted = /./): void {
  let scene: Scene;
  /** The last of the stores that one test opens has the shards. */
  let opened = 0;
  eventStoreSuite({
    test: (name, run) => {
      if (!wanted.test(name)) return;
      natsTest(`${title}: ${name}`, (own) => {
        scene = own;
        return run();
      });
    },
    create: async (options) => {
      const nodeId = `node-${++opened}`;
      const store = await FencedEventStore.open(await scene.connect(), {
        ...{ nodeId, shards: SHARDS, ...own },
        ...options,
      });
      await Promise.all(
        Array.from({ length: store.shards }, (_, shard) => store.claim(shard, opened)),
      );
      return store;
    },
    capabilities: {
      // Only where the stream is not asked can two stores write side by side.
      reopen: own.mode === "optimistic",
      maxBytes: 1024 * 1024 - 2048,
      reserved: own.shards ?? SHARDS,
    },
  });
}

suite("FencedEventStore", {});
suite("FencedEventStore, optimistic", { mode: "optimistic" });
suite("FencedEventStore, 256 shards, reads fenced", { shards: 256, reads: "fenced" }, /batch|read/);
suite("FencedEventStore, no cache to speak of", { cacheSize: 1 }, /batch|version|expect/);
