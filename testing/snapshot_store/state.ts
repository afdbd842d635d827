import type { InvalidSnapshotError } from "../../store/errors.ts";
import type { Snapshot } from "../../store/snapshot/snapshot.ts";
import { equal, ok, rejects } from "../assert.ts";
import { isLatest, sample, type SnapshotTest } from "./kit.ts";
import {
  faithfulValues,
  HOSTILE,
  IMPOSSIBLE,
  NEIGHBOURS,
  unfaithfulValues,
  WRONG_IDS,
  WRONG_TIMESTAMPS,
  WRONG_VERSIONS,
} from "../values.ts";

const encoder = new TextEncoder();

/** Promise 3: nothing is aliased. */
export function copies(test: SnapshotTest): void {
  test("changes to a snapshot after its save do not reach the store", async ({ open }) => {
    const store = await open();
    const state = { items: [1, 2] };
    const timestamp = new Date(5);
    const saving = store.saveSnapshot(sample({ state, timestamp }));
    state.items.push(3);
    timestamp.setTime(6);
    await saving;
    state.items.push(4);
    await isLatest(store, sample({ state: { items: [1, 2] }, timestamp: new Date(5) }));
  });

  test("changes to a snapshot that was read do not reach the store", async ({ open }) => {
    const store = await open();
    await store.saveSnapshot(sample({ state: { items: [1] } }));
    const read = await store.getLatestSnapshot<{ items: number[] }>("order-1", {
      name: "order",
      schemaVersion: 1,
    });
    read!.state.items.push(2);
    read!.timestamp.setTime(0);
    await isLatest(store, sample({ state: { items: [1] } }));
  });
}

/** States come back as they were, or are refused. */
export function faithfulness(test: SnapshotTest): void {
  test("a state that JSON carries comes back unchanged", async ({ open }) => {
    const store = await open();
    for (const [at, state] of faithfulValues().entries()) {
      await store.saveSnapshot(sample({ version: at + 1, state }));
      const plain = JSON.parse(JSON.stringify(state));
      await isLatest(store, sample({ version: at + 1, state: plain }));
    }
    const state = { a: 1, b: undefined };
    await store.saveSnapshot(sample({ version: 1_000, state }));
    await isLatest(store, sample({ version: 1_000, state: { a: 1 } }));
  });

  test("a state that JSON would change is refused by InvalidSnapshotError", async ({ open }) => {
    const store = await open();
    for (const [place, state] of unfaithfulValues()) {
      const action = () => store.saveSnapshot(sample({ state }));
      const { reason } = await rejects<InvalidSnapshotError>(action, "InvalidSnapshotError", place);
      ok(reason.startsWith("state"), `the reason begins with the place: ${reason}`);
    }
    equal(await store.getLatestSnapshot("order-1", { name: "order", schemaVersion: 1 }), undefined);
  });

  test("times come back to the millisecond", async ({ open }) => {
    const store = await open();
    for (const [at, ms] of [0, -1, 1_700_000_000_001, 8.64e15, -8.64e15].entries()) {
      const snapshot = sample({ version: at + 1, timestamp: new Date(ms) });
      await store.saveSnapshot(snapshot);
      await isLatest(store, snapshot);
    }
  });
}

/** Refusals. */
export function refusals(test: SnapshotTest): void {
  test("impossible ids, versions, schemas and timestamps are refused", async ({ open }) => {
    const store = await open();
    const schemas = [-1, 0.5, NaN, Infinity, 2 ** 53, "1", null, undefined, 1n, "*", ">"];
    const wrong: Record<string, readonly unknown[]> = {
      actorId: WRONG_IDS,
      name: [...WRONG_IDS, undefined, "x".repeat(81)],
      version: WRONG_VERSIONS,
      schemaVersion: schemas,
      timestamp: WRONG_TIMESTAMPS,
    };
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) {
        const snapshot = { ...sample(), [name]: value } as Snapshot;
        const what = `${name} ${typeof value} ${String(value).slice(0, 20)}`;
        const action = () => store.saveSnapshot(snapshot);
        const { reason } = await rejects<InvalidSnapshotError>(
          action,
          "InvalidSnapshotError",
          what,
        );
        ok(reason.startsWith(name), `the reason names ${name}: ${reason}`);
      }
    }
    for (const snapshot of [null, undefined, "text", 7]) {
      await rejects(() => store.saveSnapshot(snapshot as never), "InvalidSnapshotError");
    }
    for (const schemaVersion of schemas) {
      const query = { name: "order", schemaVersion: schemaVersion as number };
      await rejects(() => store.getLatestSnapshot("order-1", query), "RangeError");
    }
    for (const name of ["", "\ud800", undefined as never]) {
      const query = { name, schemaVersion: 1 };
      await rejects(() => store.getLatestSnapshot("order-1", query), "RangeError");
    }
    for (const query of [null, undefined, "order"]) {
      const { message } = await rejects<TypeError>(
        () => store.getLatestSnapshot("order-1", query as never),
        "TypeError",
      );
      ok(message.includes("query"), `the message names the query: ${message}`);
    }
    equal(await store.getLatestSnapshot("order-1", { name: "order", schemaVersion: 1 }), undefined);
  });

  test("a hostile actor id reaches its own snapshot and no other", async ({ open }) => {
    const store = await open();
    const actors = [...new Set([...NEIGHBOURS, ...HOSTILE])];
    const snapshots = actors.map((actorId, at) => sample({ actorId, state: at }));
    for (const snapshot of snapshots) {
      equal(await store.saveSnapshot(snapshot), true, JSON.stringify(snapshot.actorId));
    }
    for (const snapshot of snapshots) await isLatest(store, snapshot);
    for (const actorId of IMPOSSIBLE) {
      await rejects(() => store.saveSnapshot(sample({ actorId })), "InvalidSnapshotError");
      await rejects(
        () => store.getLatestSnapshot(actorId, { name: "order", schemaVersion: 1 }),
        "RangeError",
      );
    }
  });
}

/** The largest snapshot. */
export function sizes(test: SnapshotTest, maxBytes: number): void {
  test("a snapshot that just fits is kept, one byte more is refused with both sizes", async ({ open }) => {
    const store = await open();
    const fits = filled(sample({ actorId: "a".repeat(200) }), maxBytes);
    equal(await store.saveSnapshot(fits), true, "the largest one is the newest");
    await isLatest(store, fits);
    const wide = filled(sample({ version: 2, state: "漢字é😀" }), maxBytes);
    await store.saveSnapshot(wide);
    await isLatest(store, wide);
    const over = filled(sample({ version: 3 }), maxBytes + 1);
    const action = () => store.saveSnapshot(over);
    const { reason } = await rejects<InvalidSnapshotError>(action, "InvalidSnapshotError");
    for (const size of [maxBytes, maxBytes + 1]) {
      ok(reason.includes(String(size)), `the reason names ${size} bytes: ${reason}`);
    }
    await isLatest(store, wide);
  });
}

/** `snapshot` with a state that makes it just `bytes` long. */
function filled(snapshot: Snapshot, bytes: number): Snapshot {
  const start = typeof snapshot.state === "string" ? snapshot.state : "";
  const length = encoder.encode(JSON.stringify({ ...snapshot, state: start })).length;
  return { ...snapshot, state: start + "x".repeat(bytes - length) };
}
