import { assert, assertEquals, assertRejects } from "@std/assert";
import type { MsgHdrs, NatsConnection } from "@nats-io/transport-node";
import { neededForGuards } from "../../../store/nats/server_version.ts";
import { isAetherError, JetStreamEventStore } from "../../../store/mod.ts";
import { actorIn, claimAll, nodeOf, Traffic } from "../fencing/bed.ts";
import { fact } from "../../support/fault.ts";
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";

const GUARD = "Nats-Expected-Last-Subject-Sequence-Subject";
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Headers as nats.js sends them. */
type Encoded = MsgHdrs & { encode(): Uint8Array };

/** A message that a client publishes. */
type Published = [subject: string, payload: unknown, options?: { headers?: MsgHdrs }];

/** `connection` to a server that says it is of `version`. */
function versioned(connection: NatsConnection, version: string): NatsConnection {
  return over(connection, { info: { ...connection.info!, version } });
}

/**
 * `connection` to a server of which a batch overwrites the subject of a guard by what the messages
 * behind it have in the same place, as nats-server does before 2.12.14 and 2.14.4.
 */
function mixing(connection: NatsConnection): NatsConnection {
  const batches = new Map<string, { text: string; message: Published }[]>();
  const publish = (...message: Published): void => {
    const text = message[2]?.headers === undefined
      ? ""
      : decoder.decode((message[2].headers as Encoded).encode());
    const id = /^Nats-Batch-Id: (.*)$/m.exec(text)?.[1];
    if (id === undefined) return (connection.publish as (...args: Published) => void)(...message);
    const batch = batches.get(id) ?? [];
    batches.set(id, batch);
    batch.push({ text, message });
    if (!text.includes("Nats-Batch-Commit")) return;
    batches.delete(id);
    for (const [at, { text, message: [subject, payload, options] }] of batch.entries()) {
      const encoded = encoder.encode(mixed(text, batch.slice(at + 1).map(({ text }) => text)));
      const headers = { encode: () => encoded } as Encoded;
      connection.publish(subject, payload as string, { ...options, headers });
    }
  };
  return over(connection, { publish });
}

/** The headers of a message behind which others come: the guard as the last of them leaves it. */
function mixed(text: string, behind: readonly string[]): string {
  const guard = placeOf(text);
  if (guard === undefined) return text;
  let { subject } = guard;
  for (const other of behind) {
    const found = placeOf(other);
    const isThere = found?.place === guard.place && found.subject.length === guard.subject.length;
    if (isThere) subject = found.subject;
  }
  return text.slice(0, guard.place) + subject + text.slice(guard.place + guard.subject.length);
}

/** The place of the subject of a message's guard: servers pass over the spaces in front. */
function placeOf(text: string): { place: number; subject: string } | undefined {
  const found = new RegExp(`${GUARD}: *([^\r]*)`).exec(text);
  if (found === null) return undefined;
  const subject = found[1]!;
  return { subject, place: found.index + found[0].length - subject.length };
}

function over(connection: NatsConnection, own: Record<string, unknown>): NatsConnection {
  return new Proxy(connection, {
    get(target, name): unknown {
      if (name in own) return own[name as string];
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** `connection` on whose way the spaces before the subjects of guards are lost. */
function trimmed(connection: NatsConnection): NatsConnection {
  const publish = (subject: string, payload: string, options?: { headers?: MsgHdrs }) => {
    options?.headers?.has(GUARD); // nats.js parses the headers, and trims them.
    connection.publish(subject, payload, options);
  };
  return over(connection, { publish });
}

/** A store over `connection`, and actors with subjects of one length that stand at version 1. */
async function opened(
  scene: Scene,
  connection: NatsConnection,
  count: number,
  options = {},
): Promise<{ store: JetStreamEventStore; expect: { actorId: string; version: number }[] }> {
  const { namespace } = scene;
  const settings = { namespace, shards: 1, timeout: 3_000, ...options };
  const store = await JetStreamEventStore.open(connection, settings);
  const ids = Array.from({ length: count }, (_, at) => `stock-${String(at).padStart(3, "0")}`);
  for (const id of ids) await store.saveEvent(fact(id, 1));
  return { store, expect: ids.map((actorId) => ({ actorId, version: 1 })) };
}

for (
  const [what, test, replicas] of [["alone", natsTest, 1], ["replicated", clusterTest, 3]] as const
) {
  test(`Each of several guards of a batch holds, on a server ${what}`, async (scene) => {
    const { store, expect } = await opened(scene, await scene.connect(), 16, { replicas });
    await using _ = store;
    await store.saveEvents([fact("ok-1", 1)], { expect });
    await store.saveEvents([fact("ok-2", 1), fact("ok-2", 2)], { expect });
    for (const { actorId } of expect) {
      // Another process writes what the first one depends on.
      const { namespace } = scene;
      await using other = await JetStreamEventStore.open(await scene.connect(), { namespace });
      await other.saveEvent(fact(actorId, 2));
      const saving = store.saveEvents([fact(`no-${actorId}`, 1)], { expect });
      const error = await assertRejects(() => saving);
      assert(isAetherError(error, "VersionConflictError"), String(error));
      assertEquals(error.currentVersion, 2);
      expect.find((it) => it.actorId === actorId)!.version = 2;
    }
  });
}

natsTest("A server that mixes up guards mixes up none of a save's", async (scene) => {
  const { store, expect } = await opened(scene, mixing(await scene.connect()), 16);
  await using _ = store;
  for (const count of [2, 3, 16]) {
    await store.saveEvents([fact(`one-${count}`, 1)], { expect: expect.slice(0, count) });
    const events = [1, 2, 3].map((version) => fact(`many-${count}`, version));
    await store.saveEvents(events, { expect: expect.slice(0, count) });
  }
});

natsTest("A server that mixes up guards mixes up none of a node's shards", async (scene) => {
  const connection = mixing(await scene.connect());
  await using node = await nodeOf(scene, "a", { connection, shards: 64 });
  await claimAll(node, 1);
  const { store } = node;
  await store.saveEvents([fact(actorIn(store, 10, 1), 1), fact(actorIn(store, 11, 1), 1)]);
  // More guards than are kept apart: these go one by one in the end.
  const ids = Array.from({ length: 54 }, (_, at) => actorIn(store, at + 10, 2));
  await Promise.all(ids.map((actorId) => store.saveEvent(fact(actorId, 1))));
});

natsTest(
  "Control: without their spaces the guards are mixed up, and the error says so",
  async (scene) => {
    const connection = trimmed(mixing(await scene.connect()));
    const { store, expect } = await opened(scene, connection, 2);
    await using _ = store;
    const begun = performance.now();
    const error = await assertRejects(() => store.saveEvents([fact("bad-1", 1)], { expect }));
    assert(isAetherError(error, "StoreUnavailableError"), String(error));
    assert(
      /has refused it \d+ times.*before 2\.12\.14.*mixes up guards/.test(error.message),
      error.message,
    );
    assert(performance.now() - begun < 2_500);
    await store.saveEvents([fact("good-1", 1)], { expect: expect.slice(1) });
  },
);

for (const version of ["2.12.0", "2.12.12", "2.14.0", "2.14.3"]) {
  natsTest(`On nats-server ${version} a batch has one guard at most`, async (scene) => {
    const connection = versioned(await scene.connect(), version);
    const { store, expect } = await opened(scene, connection, 2, { shards: 16 });
    await using _ = store;
    const error = await assertRejects(() => store.saveEvents([fact("bad-1", 1)], { expect }));
    assert(isAetherError(error, "UnsupportedServerError"), String(error));
    assertEquals(error.required, version.startsWith("2.12") ? "2.12.14" : "2.14.4");
    await store.saveEvents([fact("good-1", 1)], { expect: expect.slice(1) });
    const traffic = new Traffic();
    const watched = traffic.watch(connection);
    await using node = await nodeOf(scene, "a", { connection: watched });
    await claimAll(node, 1);
    const ids = [2, 3, 2, 4].map((shard, at) => actorIn(node.store, shard, at));
    await Promise.all(ids.map((actorId) => node.store.saveEvent(fact(actorId, 1))));
    assert(traffic.sizes.every((size) => size <= 3), String(traffic.sizes));
    const both = ids.slice(0, 2).map((actorId) => fact(actorId, 2));
    const refused = await assertRejects(() => node.store.saveEvents(both));
    assert(isAetherError(refused, "UnsupportedServerError"), String(refused));
  });
}

Deno.test("The versions that mix up guards are known", () => {
  const needed = [
    "2.12.0",
    "2.12.12",
    "2.12.14",
    "2.13.1",
    "2.14.3",
    "2.14.4",
    "2.15.1",
    "2.14.3-RC.1",
  ]
    .map((version) => neededForGuards(version));
  const [old, none] = ["2.12.14", undefined];
  assertEquals(needed, [old, old, none, "2.14.4", "2.14.4", none, none, "2.14.4"]);
  assertEquals(neededForGuards("unknown"), undefined);
});
