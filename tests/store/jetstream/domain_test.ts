import { assert, assertEquals, assertRejects } from "@std/assert";
import { isAetherError, JetStreamEventStore, JetStreamSnapshotStore } from "../../../store/mod.ts";
import {
  KvCheckpointStore,
  ProjectionLeases,
  StoreRefusedError,
  StreamConfigError,
} from "../../../store/mod.ts";
import { apiPrefixOf } from "../../../store/nats/api_prefix.ts";
import { fact } from "../../support/fault.ts";
import { natsTest } from "../../support/fixture.ts";
import { leafTest } from "./leaf.ts";

/** Of `count` actors, those that both stores have saved at version 1. */
async function savedByBoth(
  one: JetStreamEventStore,
  two: JetStreamEventStore,
  count: number,
): Promise<number> {
  let both = 0;
  for (let at = 0; at < count; at++) {
    const saves = [one, two].map((store) => store.saveEvent(fact(`order-${at}`, 1)));
    const results = await Promise.allSettled(saves);
    if (results.every(({ status }) => status === "fulfilled")) both++;
  }
  return both;
}

for (const domains of [{ hub: "hub", leaf: "leaf" }, { hub: "hub" }, { leaf: "leaf" }, {}]) {
  const named = `hub ${domains.hub ?? "-"}, leaf ${domains.leaf ?? "-"}`;
  leafTest(
    `No second stream is made on the subjects of another JetStream (${named})`,
    async (scene) => {
      const { namespace, hub, leaf } = scene;
      await scene.link();
      await using store = await JetStreamEventStore.open(hub, { namespace });
      await using snapshots = await JetStreamSnapshotStore.open(hub, { namespace });
      for (const { open } of [JetStreamEventStore, JetStreamSnapshotStore]) {
        const opening = async () => await open(leaf, { namespace });
        await assertRejects(opening, StreamConfigError, "another stream has the subject");
      }
      // Nothing was made, so the owner of the subjects goes on.
      await store.saveEvent(fact("order-7", 1));
      await store.saveEvent(fact("order-7", 2));
      assertEquals(await store.getLatestVersion("order-7"), 2);
      const state = { actorId: "order-7", name: "sum", version: 2, schemaVersion: 1, state: 1 };
      assert(await snapshots.saveSnapshot({ ...state, timestamp: new Date() }));
    },
    domains,
  );
}

leafTest(
  "Two streams that were made apart are not opened once they hear each other",
  async (scene) => {
    const { namespace, hub, leaf } = scene;
    for (const connection of [hub, leaf]) {
      await (await JetStreamEventStore.open(connection, { namespace }))[Symbol.asyncDispose]();
    }
    await scene.link();
    for (const connection of [hub, leaf]) {
      const opening = () => JetStreamEventStore.open(connection, { namespace });
      await assertRejects(opening, StreamConfigError, "another stream has the subject");
    }
  },
);

for (const domains of [{ hub: "hub", leaf: "leaf" }, { hub: "same", leaf: "same" }, {}]) {
  const named = `hub ${domains.hub ?? "-"}, leaf ${domains.leaf ?? "-"}`;
  leafTest(
    `A store saves no more once another stream has acknowledged a save (${named})`,
    async (scene) => {
      const { namespace, hub, leaf } = scene;
      await using one = await JetStreamEventStore.open(hub, { namespace });
      await using two = await JetStreamEventStore.open(leaf, { namespace });
      assertEquals(await savedByBoth(one, two, 5), 5); // Two stores, as long as they are apart.
      await scene.link();
      for (const [at, store] of [one, two].entries()) {
        for (let version = 1;; version++) {
          const error = await store.saveEvent(fact(`order-9${at}`, version)).then(
            () => undefined,
            (error) => error,
          );
          if (error === undefined) {
            assert(version < 200, "it never notices");
            await new Promise((resolve) => setTimeout(resolve, 5));
            continue;
          }
          assert(isAetherError(error, "StoreRefusedError"), String(error));
          assert(error.message.includes("only one stream may have its subjects"), error.message);
          break;
        }
      }
      assertEquals(await savedByBoth(one, two, 5), 0);
    },
    domains,
  );
}

natsTest("A save is not where another domain's acknowledgement says", async (scene) => {
  const { namespace } = scene;
  const connection = await scene.connect();
  const other = await scene.connect();
  for (const round of [1, 2, 3, 4, 5]) {
    const own = `${namespace}-${round}`;
    await using store = await JetStreamEventStore.open(connection, { namespace: own });
    const foreign = JSON.stringify({ stream: store.stream, domain: "leaf", seq: 999, count: 2 });
    // It is quicker than the stream, which takes milliseconds for a batch.
    const impostor = other.subscribe(`aether.${own}.>`, {
      callback: (_error, message) => void (message.reply && message.respond(foreign)),
    });
    await other.flush();
    const { sequence } = await store.saveEvents([fact("order-7", 1), fact("order-8", 1)]);
    assert(sequence < 900 * 256, `the receipt says ${sequence}`);
    const more = async () => {
      for (let version = 2; version < 200; version++) {
        assert((await store.saveEvent(fact("order-7", version))).sequence < 900 * 256);
      }
    };
    await assertRejects(more, StoreRefusedError, "only one stream may have its subjects");
    impostor.unsubscribe();
  }
});

leafTest(
  "With a domain, all that opens works on that domain's JetStream from the leaf",
  async (scene) => {
    const { namespace, hub, leaf } = scene;
    await scene.link();
    for (const where of [{ domain: "hub" }, { apiPrefix: "$JS.hub.API" }]) {
      const there = { namespace, ...where };
      await using store = await JetStreamEventStore.open(leaf, there);
      await using lookup = await JetStreamEventStore.open(leaf, {
        ...there,
        versionLookup: "deliver-last",
      });
      await using direct = await JetStreamEventStore.open(hub, { namespace });
      assertEquals(store.identity, direct.identity);
      const version = await direct.getLatestVersion("order-7", { fresh: true }) + 1;
      await store.saveEvents([fact("order-7", version), fact("order-8", version)]);
      assertEquals(await direct.getLatestVersion("order-7", { fresh: true }), version);
      assertEquals(await lookup.getLatestVersion("order-7"), version);
      assertEquals((await store.getEvents("order-7")).length, version);
      for await (const event of store.subscribe({ filter: { actorId: "order-7" } })) {
        if (event.version === version) break;
      }
      await using snapshots = await JetStreamSnapshotStore.open(leaf, there);
      const state = { actorId: "order-7", name: "sum", version, schemaVersion: 1, state: version };
      assert(await snapshots.saveSnapshot({ ...state, timestamp: new Date() }));
      await using checkpoints = await KvCheckpointStore.open(leaf, there);
      await using same = await KvCheckpointStore.open(hub, { namespace });
      assert(await checkpoints.save("mail.1.0", { revision: version, body: "{}" }));
      assertEquals((await same.load("mail.1.0"))?.revision, version);
      await using _leases = await ProjectionLeases.open(leaf, there);
    }
  },
);

natsTest(
  "A domain or prefix that is no part of a subject is refused before anything is sent",
  async (scene) => {
    const connection = await scene.connect();
    const bad = [
      { domain: "" },
      { domain: "a.b" },
      { domain: "a b" },
      { domain: ">" },
      { domain: "ä" },
      { apiPrefix: "" },
      { apiPrefix: "$JS.API." },
      { apiPrefix: "$JS.*.API" },
      { apiPrefix: "a\r\nb" },
      { domain: "hub", apiPrefix: "$JS.hub.API" },
      { domain: 7 as unknown as string },
    ];
    for (const options of bad) {
      for (
        const { open } of [
          JetStreamEventStore,
          JetStreamSnapshotStore,
          KvCheckpointStore,
          ProjectionLeases,
        ]
      ) {
        await assertRejects(async () => await open(connection, options), RangeError, "Cannot open");
      }
    }
    assertEquals(apiPrefixOf({}), "$JS.API");
    assertEquals(apiPrefixOf({ domain: "hub" }), "$JS.hub.API");
  },
);
