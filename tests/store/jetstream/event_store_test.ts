import { JetStreamEventStore } from "../../../store/jetstream/event_store.ts";
import type { JetStreamEventStoreOptions } from "../../../store/jetstream/options.ts";
import { eventStoreSuite } from "../../../testing/event_store/suite.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

/** Runs the suite, or the part of it that `wanted` picks, with a nats-server for each test. */
function suite(title: string, own: JetStreamEventStoreOptions, wanted = /./): void {
  let scene: Scene;
  eventStoreSuite({
    test: (name, run) => {
      if (!wanted.test(name)) return;
      natsTest(`${title}: ${name}`, (own) => {
        scene = own;
        return run();
      });
    },
    // Each store has a connection of its own, as it would in another process.
    create: async (options) =>
      await JetStreamEventStore.open(await scene.connect(), { ...own, ...options }),
    capabilities: { reopen: true, maxBytes: 1024 * 1024 - 2048 },
  });
}

suite("JetStreamEventStore", {});
suite("JetStreamEventStore, one shard", { shards: 1 }, /hostile|share|order all/);
suite("JetStreamEventStore, no cache to speak of", { cacheSize: 1 }, /batch|version|expect/);
suite(
  "JetStreamEventStore, deliver-last",
  { versionLookup: "deliver-last" },
  /getLatestVersion|hostile actor|seen by every read/,
);
