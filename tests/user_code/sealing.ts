import { assert, assertEquals } from "@std/assert";
import {
  type EventStore,
  FORGOTTEN,
  InMemoryKeyStore,
  InMemorySnapshotStore,
  isAetherError,
  type KeyStore,
  type SealedCodec,
  sealedCodec,
  type Snapshot,
} from "../../mod.ts";
import { once } from "../support/acts.ts";
import { assertStored, type Bed, DATA, fact, failureOf, type Hooks } from "./bed.ts";

interface Parts {
  readonly keys?: Partial<KeyStore>;
  readonly now?: () => number;
  readonly subjectOf?: (event: unknown) => string;
}

/** A store of events whose `list` is sealed, by keys that are not cached. */
async function open(
  bed: Bed,
  { keys = {}, now, subjectOf = () => "someone" }: Parts,
): Promise<{ store: EventStore; codec: SealedCodec }> {
  const codec = sealedCodec({
    keys: { ...soundKeys(), ...keys },
    fields: { T: { list: subjectOf } } as never,
    ...now === undefined ? { cacheMaxAge: 0 } : { now },
    timeout: 50,
  });
  return { codec, store: await bed.open({ codec }) };
}

function soundKeys(keys: KeyStore = new InMemoryKeyStore()): KeyStore {
  return {
    get: (subject) => keys.get(subject),
    getOrCreate: (subject) => keys.getOrCreate(subject),
    forget: (subject) => keys.forget(subject),
  };
}

/** What the sealed codec takes from its user. */
export const SEALING: Hooks = {
  "KeyStore.getOrCreate()": async (bed, act) => {
    const keys = soundKeys();
    const getOrCreate = once(act, keys.getOrCreate);
    const { store } = await open(bed, { keys: { ...keys, getOrCreate } });
    const failure = await failureOf(store.saveEvent(fact()));
    assert(isAetherError(failure!.error, "StoreUnavailableError"), String(failure!.error));
    await assertStored(store, []);
    await store.saveEvent(fact());
    await assertStored(store, [1]);
  },
  "KeyStore.get()": async (bed, act) => {
    const keys = soundKeys();
    const { store } = await open(bed, { keys: { ...keys, get: once(act, keys.get) } });
    await store.saveEvent(fact());
    const failure = await failureOf(store.getEvents("a-1"));
    const { error } = failure!;
    // That there is no key, if it says so, is no outage; and never is it forgetting.
    assert(
      isAetherError(error, "StoreUnavailableError") || isAetherError(error, "CorruptEventError"),
    );
    await assertStored(store, [1]);
  },
  "KeyStore.forget()": async (bed, act) => {
    const keys = soundKeys();
    const forget = once(act, keys.forget);
    const { store, codec } = await open(bed, { keys: { ...keys, forget } });
    await store.saveEvent(fact());
    const failure = await failureOf(codec.forget("someone"), true);
    if (failure !== undefined) assert(isAetherError(failure.error, "StoreUnavailableError"));
    await assertStored(store, [1]);
    await codec.forget("someone");
    const [{ data } = fact()] = await store.getEvents("a-1");
    assertEquals(data, { ...DATA, list: FORGOTTEN });
  },
  "SubjectOf": async (bed, act) => {
    const { store } = await open(bed, { subjectOf: once(act, () => "someone") });
    const failure = await failureOf(store.saveEvent(fact()), act.kind === "gives");
    if (failure !== undefined) assert(isAetherError(failure.error, "InvalidEventError"));
    else return await assertStored(store, [1]);
    await store.saveEvent(fact());
    await assertStored(store, [1]);
  },
  "KeyCacheOptions.now": async (bed, act) => {
    const { store, codec } = await open(bed, { now: once(act, () => 1) });
    const failure = await failureOf(store.saveEvent(fact()), true);
    if (failure !== undefined) assert(isAetherError(failure.error));
    else await assertStored(store, [1]);
    await codec.forget("someone");
  },
  "SnapshotSubjects": async (bed, act) => {
    const { codec } = await open(bed, {});
    const codecOf = codec.snapshots(once(act, () => ["someone"]));
    await using snapshots = new InMemorySnapshotStore({ codec: codecOf });
    const query = { name: "n", schemaVersion: 1 };
    const snapshot: Snapshot = {
      ...{ actorId: "a-1", ...query, version: 1, timestamp: new Date(), state: DATA },
    };
    const failure = await failureOf(snapshots.saveSnapshot(snapshot), true);
    if (failure !== undefined) assert(isAetherError(failure.error, "InvalidSnapshotError"));
    await snapshots.saveSnapshot({ ...snapshot, version: 2 });
    assertEquals((await snapshots.getLatestSnapshot("a-1", query))?.state, DATA);
  },
};
