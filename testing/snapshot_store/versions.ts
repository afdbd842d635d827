import { equal, ok, rejects, within } from "../assert.ts";
import { range } from "../event_store/kit.ts";
import { isLatest, sample, type SnapshotTest } from "./kit.ts";

/** Promise 1: an older snapshot never replaces a newer one. */
export function newest(test: SnapshotTest): void {
  test("getLatestSnapshot() returns undefined if there is no snapshot", async ({ open }) => {
    const store = await open();
    equal(await store.getLatestSnapshot("order-1", { name: "order", schemaVersion: 1 }), undefined);
    await store.saveSnapshot(sample());
    equal(await store.getLatestSnapshot("order-2", { name: "order", schemaVersion: 1 }), undefined);
  });

  test("a newer snapshot takes the place of an older one", async ({ open }) => {
    const store = await open();
    for (const version of [1, 2, 7, 100, Number.MAX_SAFE_INTEGER]) {
      const snapshot = sample({ version, state: { version } });
      equal(await store.saveSnapshot(snapshot), true, `version ${version} is the newest`);
      await isLatest(store, snapshot);
    }
  });

  test("an older snapshot, or one at the same version, changes nothing", async ({ open }) => {
    const store = await open();
    const newest = sample({ version: 10, state: "newest" });
    await store.saveSnapshot(newest);
    for (const version of [10, 9, 1]) {
      const isNewest = await store.saveSnapshot(sample({ version, state: "other" }));
      equal(isNewest, false, `version ${version} is the newest`);
      await isLatest(store, newest);
    }
    equal(await store.saveSnapshot(newest), false, "the same snapshot once more is the newest");
    await isLatest(store, newest);
  });

  test("the highest version of 20 concurrent writers wins", async ({ open }) => {
    const store = await open();
    for (let round = 0; round < 5; round++) {
      const actorId = `order-${round}`;
      const versions = shuffled(range(1, 20));
      const told = await Promise.all(
        versions.map((version) => store.saveSnapshot(sample({ actorId, version, state: version }))),
      );
      ok(told[versions.indexOf(20)], "the highest version is told that it is the newest");
      await isLatest(store, sample({ actorId, version: 20, state: 20 }));
    }
  });
}

/** Promise 1 among several stores. */
export function together(test: SnapshotTest): void {
  test("a second store returns the first one's snapshots", async ({ open }) => {
    const [first, second] = [await open(), await open()];
    for (const version of [1, 2, 3]) {
      const snapshot = sample({ version });
      await first.saveSnapshot(snapshot);
      await isLatest(second, snapshot);
    }
    equal(await second.saveSnapshot(sample({ version: 2 })), false, "an older one is the newest");
    equal(await second.saveSnapshot(sample({ version: 4 })), true, "a newer one is the newest");
    equal(await first.saveSnapshot(sample({ version: 4 })), false, "an equal one is the newest");
    await isLatest(first, sample({ version: 4 }));
  });

  test("snapshots outlive the store that saved them", async ({ open }) => {
    const first = await open();
    await first.saveSnapshot(sample({ state: "kept" }));
    await first[Symbol.asyncDispose]();
    await isLatest(await open(), sample({ state: "kept" }));
  });

  test("the highest version of 20 writers in four stores wins, and no reader goes back", async ({ open }) => {
    const stores = [await open(), await open(), await open(), await open()];
    for (let round = 0; round < 5; round++) {
      const actorId = `order-${round}`;
      let isOver = false;
      const reading = (async () => {
        for (let seen = 0; !isOver;) {
          const found = await stores[3]!.getLatestSnapshot(actorId, {
            name: "order",
            schemaVersion: 1,
          });
          const version = found?.version ?? 0;
          ok(version >= seen, `version ${version} is not read after version ${seen}`);
          seen = version;
        }
      })();
      const versions = shuffled(range(1, 20));
      const writing = Promise.all(
        versions.map((version, at) =>
          stores[at % 4]!.saveSnapshot(sample({ actorId, version, state: version }))
        ),
      ).finally(() => isOver = true);
      const [told] = await Promise.all([writing, reading]);
      ok(told[versions.indexOf(20)], "the highest version is told that it is the newest");
      for (const store of stores) {
        await isLatest(store, sample({ actorId, version: 20, state: 20 }));
      }
    }
  });
}

/** Promise 2: schemas never meet. */
export function schemas(test: SnapshotTest): void {
  test("a snapshot of another schema is never returned", async ({ open }) => {
    const store = await open();
    await store.saveSnapshot(sample({ version: 5, schemaVersion: 2 }));
    for (const schemaVersion of [0, 1, 3, 22, Number.MAX_SAFE_INTEGER]) {
      const found = await store.getLatestSnapshot("order-1", { name: "order", schemaVersion });
      equal(found, undefined, `the snapshot in schema ${schemaVersion}`);
    }
  });

  test("two evolutions of one actor each find their own", async ({ open }) => {
    const store = await open();
    const names = ["order", "order-1", "1", "Order", "total.order", "total order", "*", ">"];
    const last = names.map((name, at) => sample({ name, version: 100 - at, state: name }));
    for (const snapshot of last) {
      const { name } = snapshot;
      const query = { name, schemaVersion: 1 };
      equal(await store.getLatestSnapshot("order-1", query), undefined, `before "${name}"`);
      equal(await store.saveSnapshot(snapshot), true, `"${name}" is the newest`);
    }
    for (const snapshot of last) await isLatest(store, snapshot);
  });

  test("old and new code side by side each find their own snapshots", async ({ open }) => {
    const store = await open();
    const last = [0, 1, 2, Number.MAX_SAFE_INTEGER].map((schemaVersion, at) =>
      sample({ schemaVersion, version: 100 - at, state: { schemaVersion } })
    );
    // The newer the schema, the older the version: none is in the way of another.
    for (const snapshot of last) {
      equal(await store.saveSnapshot({ ...snapshot, version: 7 }), true, "the first is the newest");
    }
    for (const snapshot of last) {
      equal(await store.saveSnapshot(snapshot), true, "the second is the newest");
    }
    for (const snapshot of last) await isLatest(store, snapshot);
  });
}

/** Disposal. */
export function disposal(test: SnapshotTest): void {
  test("disposal waits for saves under way", async ({ open }) => {
    const store = await open();
    const saves = range(1, 10).map((at) =>
      store.saveSnapshot(sample({ actorId: `order-${at % 2}`, version: at }))
    );
    const told: boolean[] = [];
    for (const save of saves) save.then((isNewest) => told.push(isNewest));
    await within(store[Symbol.asyncDispose](), "disposal");
    await Promise.all(saves);
    equal(told.length, 10, "number of saves that ended well");
  });

  test("a store that is disposed refuses everything by StoreUnavailableError", async ({ open }) => {
    const store = await open();
    await store.saveSnapshot(sample());
    await store[Symbol.asyncDispose]();
    const save = () => store.saveSnapshot(sample({ version: 2 }));
    await rejects(save, "StoreUnavailableError", "saveSnapshot()");
    for (const actorId of ["order-1", "nobody"]) {
      const read = () => store.getLatestSnapshot(actorId, { name: "order", schemaVersion: 1 });
      await rejects(read, "StoreUnavailableError", `getLatestSnapshot() of "${actorId}"`);
    }
  });

  test("disposal may be asked for twice", async ({ open }) => {
    const store = await open();
    const saving = store.saveSnapshot(sample());
    await Promise.all([store[Symbol.asyncDispose](), store[Symbol.asyncDispose]()]);
    await saving;
    await store[Symbol.asyncDispose]();
  });
}

function shuffled<T>(items: readonly T[]): T[] {
  const rest = [...items];
  for (let at = rest.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [rest[at], rest[other]] = [rest[other]!, rest[at]!];
  }
  return rest;
}
