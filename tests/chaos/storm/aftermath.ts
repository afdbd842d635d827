/**
 * What comes after a storm, when its stream is put back as it was, loses messages from the middle,
 * and is made again. Nobody can undo that; whoever looks has to be told.
 *
 * @module
 */

import type { NatsConnection } from "@nats-io/transport-node";
import {
  type AetherErrorCode,
  appendEvents,
  type EventStore,
  type EventSubscription,
  InMemoryCheckpointStore,
  isAetherError,
  JetStreamEventStore,
  markRestored,
  Projection,
  verify,
} from "../../../store/mod.ts";
import { api } from "../../support/jetstream_api.ts";
import { readLog } from "../stored_log.ts";
import type { Violation } from "./evidence.ts";
import { ledgerOf } from "./ledger.ts";
import { backUp, putBack } from "./stream_backup.ts";

/** An actor that storms write all the time. */
const ACTOR = "note-0";

/** How often who was told, and who was not. */
export interface Aftermath {
  readonly told: number;
  readonly violations: readonly Violation[];
  readonly faults: Readonly<Record<string, number>>;
}

/** Somebody who has seen all of a stream: a store, a subscription, and a projection. */
interface Witness extends AsyncDisposable {
  readonly store: JetStreamEventStore;
  readonly following: EventSubscription;
  /** How the subscription ends. */
  readonly end: Promise<unknown>;
  readonly project: (store: EventStore) => Promise<void>;
}

/** Does all of it to the stream of `namespace`. */
export async function aftermath(
  connection: NatsConnection,
  namespace: string,
  replicas: number,
): Promise<Aftermath> {
  const violations: Violation[] = [];
  let told = 0;
  const broken = (message: string): void => {
    violations.push({ rule: "told of it", message, operations: [] });
  };
  /** Has something done that must not pass. */
  const refused = async (
    what: string,
    work: () => Promise<unknown>,
    ...codes: AetherErrorCode[]
  ): Promise<void> => {
    try {
      await work();
      broken(`${what} passes`);
    } catch (error) {
      if (codes.some((code) => isAetherError(error, code))) told++;
      else broken(`${what} ends by ${error}`);
    }
  };
  const open = () => JetStreamEventStore.open(connection, { namespace, replicas, timeout: 4_000 });
  const positionsIn = async () =>
    ledgerOf(await readLog(connection, namespace), namespace).facts.map(({ position }) => position);
  /** Whoever has seen another stream here believes nothing of the present one. */
  const regressed = async (when: string, witness: Witness, version: number): Promise<void> => {
    const { store, end, project } = witness;
    const code = "StreamRegressedError";
    const latest = () => store.getLatestVersion(ACTOR, { fresh: true });
    await refused(`${when}, a lookup`, latest, code);
    await refused(`${when}, a read`, () => store.getEvents(ACTOR), code);
    await refused(`${when}, a read of all`, () => Array.fromAsync(store.readAll()), code);
    const draft = { eventType: "Happened", data: null };
    await refused(
      `${when}, a save`,
      () => appendEvents(store, ACTOR, version, [draft]),
      ...[code, "VersionConflictError"] as const,
    );
    await refused(`${when}, a subscription`, async () => {
      throw await end;
    }, ...[code, "StoreRefusedError"] as const);
    await using other = await open();
    await refused(`${when}, a projection`, () => project(other), code);
  };

  let stream = "";
  {
    await using store = await open();
    ({ stream } = store);
    await grow(store); // So many messages that some can be lost.
  }
  const copy = await backUp(connection, stream);
  const before = await positionsIn();
  {
    await using witness = await witnessOf(await open(), true);
    const { store } = witness;
    const version = await store.getLatestVersion(ACTOR, { fresh: true });
    await putBack(connection, stream, copy);
    await regressed("with an old backup", witness, version);
  }
  const after = await positionsIn();
  if (after.join() !== before.join()) broken(`The backup has ${after.length} events`);
  await markRestored(connection, { namespace });
  {
    await using store = await open();
    const { ok, problems } = await verify(store);
    if (!ok) broken(`A backup does not verify: ${problems[0]?.message}`);
  }

  {
    await using witness = await witnessOf(await open(), false);
    const { store } = witness;
    const { config } = await api<{ config: object }>(connection, `STREAM.INFO.${stream}`);
    await api(connection, `STREAM.UPDATE.${stream}`, { ...config, max_msgs_per_subject: 2 });
    await api(connection, `STREAM.UPDATE.${stream}`, config);
    const when = "without some messages";
    await refused(`${when}, a read`, () => store.getEvents(ACTOR), "CorruptEventError");
    const all = () => Array.fromAsync(store.readAll());
    await refused(`${when}, a read of all`, all, "CorruptEventError");
    await refused(`${when}, a subscription`, async () => {
      for await (const _ of store.subscribe()); // Ends by the error.
    }, "CorruptEventError");
    await refused(`${when}, open()`, open, "StreamConfigError");
    if ((await verify(store)).ok) broken("verify() finds no loss");
    else told++;
  }

  {
    await using salvaged = await JetStreamEventStore.open(connection, {
      ...{ namespace, replicas, acceptedLosses: Infinity, timeout: 4_000 },
    });
    const witness = await witnessOf(salvaged, false);
    const version = await salvaged.getLatestVersion(ACTOR, { fresh: true });
    await api(connection, `STREAM.DELETE.${stream}`);
    await using _anew = await open();
    await regressed("with a stream recreated", witness, version);
    await witness[Symbol.asyncDispose]();
  }
  const faults = { "backup restored": 1, "messages removed": 1, "stream recreated": 1 };
  return { told, violations, faults };
}

async function grow(store: EventStore): Promise<void> {
  for (let more = 0; more < 5; more++) {
    const version = await store.getLatestVersion(ACTOR, { fresh: true });
    await appendEvents(store, ACTOR, version, [{ eventType: "Happened", data: null }]);
  }
}

/** Has seen all, and saved the last of it if it `grows`. */
async function witnessOf(store: JetStreamEventStore, grows: boolean): Promise<Witness> {
  const checkpoints = new InMemoryCheckpointStore();
  const project = async (from: EventStore): Promise<void> => {
    await using projection = new Projection({
      ...{ name: "witness", store: from, checkpoints, handler() {}, onError() {} },
    });
    const running = projection.run();
    if (from === store) return await Promise.race([running, projection.caughtUp]);
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, 5_000);
    await Promise.race([running, late]).finally(() => clearTimeout(timer));
  };
  if (grows) await grow(store);
  await store.getLatestVersion(ACTOR, { fresh: true });
  await project(store);
  const following = store.subscribe({ from: "now" });
  const end = (async () => {
    try {
      for await (const _ of following); // Nothing comes.
    } catch (error) {
      return error;
    }
    return undefined;
  })();
  await following.caughtUp;
  return {
    ...{ store, following, end, project },
    async [Symbol.asyncDispose]() {
      await following[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
    },
  };
}
