import { JetStreamEventStore } from "../../../store/jetstream/event_store.ts";
import type { JetStreamEventStoreOptions } from "../../../store/jetstream/options.ts";
import { eventStoreSuite } from "../../../testing/event_store/suite.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

/**
 * Runs the suite, or the part of it that `wanted` picks, with a nats-server for each test that
 * takes messages of `maxPayload` bytes.
 */
function suite(
  title: string,
  own: JetStreamEventStoreOptions,
  wanted = /./,
  maxPayload = 1024 * 1024,
): void {
  let scene: Scene;
  eventStoreSuite({
    test: (name, run) => {
      if (!wanted.test(name)) return;
      natsTest(`${title}: ${name}`, (own) => {
        scene = own;
        return run();
      }, { server: { config: `max_payload: ${maxPayload}` } });
    },
    // Each store has a connection of its own, as it would in another process.
    create: async (options) =>
      await JetStreamEventStore.open(await scene.connect(), { ...own, ...options }),
    capabilities: { reopen: true, maxBytes: maxPayload - 2048 },
  });
}

suite("JetStreamEventStore", {});
/** The tests that depend on the bytes that one message has room for. */
const EDGES =
  /a save of \d+ events|message is stored|none torn|largest event|too large|EventTooLarge/;
for (const bytes of [16_384, 65_536]) {
  suite(`JetStreamEventStore, max_payload ${bytes}`, {}, EDGES, bytes);
}
suite("JetStreamEventStore, one shard", { shards: 1 }, /hostile|share|order all/);
suite("JetStreamEventStore, no cache to speak of", { cacheSize: 1 }, /batch|version|expect/);
suite(
  "JetStreamEventStore, deliver-last",
  { versionLookup: "deliver-last" },
  /getLatestVersion|hostile actor|seen by every read/,
);
suite("JetStreamEventStore, groupCommit", { groupCommit: true }, /whose events have|drafts and/);
