import { asStreamSequence } from "../../../store/format/position.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Bucket, bucketToken } from "../../../store/kv/bucket.ts";
import type { BucketEntry } from "../../../store/kv/entry.ts";
import { StoreUnavailableError, StreamConfigError } from "../../../store/errors.ts";
import { encodeToken } from "../../../store/base/token.ts";
import { clusterTest, natsTest, type Scene } from "../../support/fixture.ts";
import { api } from "../../support/jetstream_api.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const bytes = (text: string) => encoder.encode(text);
const textOf = ({ value }: BucketEntry) => value && decoder.decode(value);

async function openBucket(scene: Scene, replicas = 1): Promise<Bucket> {
  const bucket = await Bucket.open(await scene.connect(), { bucket: scene.namespace, replicas });
  scene.use({ [Symbol.asyncDispose]: () => bucket.close() });
  return bucket;
}

async function nextOf(watch: AsyncGenerator<BucketEntry, void>): Promise<string> {
  const { value, done } = await watch.next();
  return done ? "end" : `${value.key}=${textOf(value) ?? "gone"}`;
}

natsTest("put() stores only on the expected revision", async (scene) => {
  const bucket = await openBucket(scene);
  assertEquals(await bucket.get("key"), { key: "key", revision: 0, value: undefined });
  assertEquals(await bucket.put("key", bytes("a"), { revision: 0 }), {
    kind: "stored",
    first: asStreamSequence(1),
  });
  assertEquals(await bucket.put("key", bytes("b"), { revision: 0 }), { kind: "stale" });
  assertEquals(await bucket.put("key", bytes("b"), { revision: 1 }), {
    kind: "stored",
    first: asStreamSequence(2),
  });
  assertEquals(textOf(await bucket.get("key")), "b");
  await bucket.close();
});

natsTest("remove() leaves a trace that the next write has to expect", async (scene) => {
  const bucket = await openBucket(scene);
  await bucket.put("key", bytes("a"), { revision: 0 });
  assertEquals(await bucket.remove("key", 7), { kind: "stale" });
  assertEquals((await bucket.remove("key", 1)).kind, "stored");
  const gone = await bucket.get("key");
  assertEquals(gone.value, undefined);
  assertEquals(await bucket.list(), []);
  assertEquals((await bucket.put("key", bytes("b"), gone)).kind, "stored");
  await bucket.close();
});

natsTest("a renewal keeps the time to live, and without one the key expires", async (scene) => {
  const bucket = await openBucket(scene);
  const watch = bucket.watch();
  await bucket.put("lease", bytes("1"), { revision: 0, ttl: 1 });
  assertEquals(await nextOf(watch), "lease=1");
  await bucket.put("lease", bytes("2"), { revision: 1, ttl: 1 });
  assertEquals(await nextOf(watch), "lease=2");
  assertEquals(await nextOf(watch), "lease=gone");
  assertEquals((await bucket.get("lease")).value, undefined);
  await assertRejects(
    async () => await bucket.put("lease", bytes("3"), { revision: 3, ttl: 1.5 }),
    RangeError,
    "not whole seconds",
  );
  await watch.return();
  await bucket.close();
});

natsTest("update() loses no change of several writers", async (scene) => {
  const buckets = await Promise.all([openBucket(scene), openBucket(scene), openBucket(scene)]);
  const increment = ({ value }: BucketEntry) =>
    bytes(String(Number(value ? decoder.decode(value) : 0) + 1));
  await Promise.all(buckets.map(async (bucket) => {
    for (let at = 0; at < 20; at++) await bucket.update("count", increment);
  }));
  assertEquals(textOf(await buckets[0]!.get("count")), "60");
  for (const bucket of buckets) await bucket.close();
});

natsTest("watch() yields present entries, then changes, each key's latest", async (scene) => {
  const bucket = await openBucket(scene);
  await bucket.put("a.1", bytes("x"), { revision: 0 });
  await bucket.put("b.1", bytes("x"), { revision: 0 });
  const ends = new AbortController();
  const watch = bucket.watch({ filter: "a.*", signal: ends.signal });
  assertEquals(await nextOf(watch), "a.1=x");
  await bucket.put("a.2", bytes("y"), { revision: 0 });
  assertEquals(await nextOf(watch), "a.2=y");
  await bucket.remove("a.1", 1);
  assertEquals(await nextOf(watch), "a.1=gone");
  const end = nextOf(watch);
  ends.abort();
  assertEquals(await end, "end");
  await bucket.close();
});

natsTest("watch() yields only changes of the entries that the caller knows", async (scene) => {
  const bucket = await openBucket(scene);
  await bucket.put("a", bytes("1"), { revision: 0 });
  await bucket.put("b", bytes("1"), { revision: 0 });
  const known = await Promise.all(["a", "b", "c"].map((key) => bucket.get(key)));
  await bucket.remove("b", 2);
  const watch = bucket.watch({ known });
  assertEquals(await nextOf(watch), "b=gone");
  await bucket.put("c", bytes("1"), { revision: 0 });
  assertEquals(await nextOf(watch), "c=1");
  await bucket.put("a", bytes("2"), { revision: 1 });
  assertEquals(await nextOf(watch), "a=2");
  await watch.return();
  await bucket.close();
});

natsTest("watch() follows a bucket that somebody has deleted and made again", async (scene) => {
  const bucket = await openBucket(scene);
  for (const key of ["a", "b", "c"]) await bucket.put(key, bytes("old"), { revision: 0 });
  const watch = bucket.watch();
  for (const key of ["a", "b", "c"]) assertEquals(await nextOf(watch), `${key}=old`);
  const operator = await scene.connect();
  await api(operator, `STREAM.DELETE.KV_${scene.namespace}`, {});
  const other = await openBucket(scene);
  // Revisions up to those of before, and beyond.
  await other.put("c", bytes("new"), { revision: 0 });
  for (const key of ["d", "e", "f"]) await other.put(key, bytes("new"), { revision: 0 });
  const seen: string[] = [];
  while (seen.length < 6) seen.push(await nextOf(watch));
  assertEquals(seen.sort(), ["a=gone", "b=gone", "c=new", "d=new", "e=new", "f=new"]);
  await other.put("a", bytes("newer"), { revision: 0 });
  assertEquals(await nextOf(watch), "a=newer");
  await watch.return();
  await Promise.all([bucket.close(), other.close()]);
});

natsTest(
  "watch() follows a bucket that somebody has made again and that is empty",
  async (scene) => {
    const bucket = await openBucket(scene);
    await bucket.put("a", bytes("old"), { revision: 0 });
    const watch = bucket.watch();
    assertEquals(await nextOf(watch), "a=old");
    const operator = await scene.connect();
    await api(operator, `STREAM.DELETE.KV_${scene.namespace}`, {});
    const other = await openBucket(scene);
    assertEquals(await nextOf(watch), "a=gone");
    await other.put("b", bytes("new"), { revision: 0 });
    assertEquals(await nextOf(watch), "b=new");
    await watch.return();
    await Promise.all([bucket.close(), other.close()]);
  },
);

natsTest("watch() ends soon while the server does not answer", async (scene) => {
  const bucket = await openBucket(scene);
  await bucket.put("a", bytes("1"), { revision: 0 });
  const ends = new AbortController();
  const following = bucket.watch({ signal: ends.signal });
  assertEquals(await nextOf(following), "a=1");
  await scene.server.pause();
  try {
    const beginning = nextOf(bucket.watch({ signal: ends.signal }));
    const next = nextOf(following);
    // Long enough for the first one to begin again.
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    const begun = performance.now();
    ends.abort();
    assertEquals(await Promise.all([beginning, next]), ["end", "end"]);
    const took = performance.now() - begun;
    assert(took < 3_000, `${took} ms`);
  } finally {
    await scene.server.resume();
  }
  await bucket.close();
  // A consumer that a frozen server makes late ends when nobody has asked it for a while.
  await scene.assertNoLeaks(60_000);
});

natsTest("watch() ends when the bucket is closed", async (scene) => {
  const bucket = await openBucket(scene);
  const end = nextOf(bucket.watch());
  await bucket.close();
  assertEquals(await end, "end");
});

natsTest("watch() finds changes missed while cut off by comparing", async (scene) => {
  const writer = await openBucket(scene);
  await writer.put("gone", bytes("1"), { revision: 0 });
  await writer.put("kept", bytes("1"), { revision: 0 });
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const bucket = await Bucket.open(connection, { bucket: scene.namespace });
  const watch = bucket.watch();
  const first = [await nextOf(watch), await nextOf(watch)].sort();
  assertEquals(first, ["gone=1", "kept=1"]);
  proxy.refusing = true;
  proxy.cut();
  await writer.remove("gone", 1);
  await writer.put("kept", bytes("2"), { revision: 2 });
  proxy.refusing = false;
  assertEquals([await nextOf(watch), await nextOf(watch)].sort(), ["gone=gone", "kept=2"]);
  await watch.return();
  await bucket.close();
  await writer.close();
});

natsTest("a bucket that loses keys, or keeps expired ones, is refused", async (scene) => {
  const { jetstreamManager } = await import("@nats-io/jetstream");
  const connection = await scene.connect();
  const manager = await jetstreamManager(connection);
  const bucket = scene.namespace;
  await manager.streams.add({
    name: `KV_${bucket}`,
    subjects: [`$KV.${bucket}.>`],
    max_msgs_per_subject: 5,
    max_age: 1e9,
  });
  const error = await assertRejects(
    () => Bucket.open(connection, { bucket }),
    StreamConfigError,
  ) as StreamConfigError;
  for (const part of ["max_msgs_per_subject", "max_age", "allow_msg_ttl", "delete_marker"]) {
    assert(error.message.includes(part), `${part} is missing in: ${error.message}`);
  }
});

clusterTest("on three nodes, a write is seen by a list of another node", async (scene) => {
  const buckets = await Promise.all(scene.servers.map(async (server) => {
    const connection = await scene.connect({ servers: server.url });
    return await Bucket.open(connection, { bucket: scene.namespace, replicas: 3 });
  }));
  for (let at = 0; at < 30; at++) {
    const writer = buckets[at % 3]!;
    const written = await writer.update(`key.${at}`, () => bytes(String(at)));
    assertEquals((await writer.list("key.*")).length, at + 1);
    assertEquals((await buckets[(at + 1) % 3]!.get(`key.${at}`)).revision, written.revision);
  }
  for (const bucket of buckets) await bucket.close();
});

natsTest("a bucket that was restored from a backup is followed again", async (scene) => {
  const { namespace } = scene;
  const timeout = 500; // how long a list is tried
  const bucket = await Bucket.open(await scene.connect(), { bucket: namespace, timeout });
  scene.use({ [Symbol.asyncDispose]: () => bucket.close() });
  const other = await openBucket(scene);
  for (let at = 0; at < 10; at++) await bucket.put("old", bytes(`${at}`), await bucket.get("old"));
  const watch = bucket.watch();
  assertEquals(await nextOf(watch), "old=9");
  const connection = await scene.connect();
  const stream = `KV_${namespace}`;
  const { config } = await api<{ config: unknown }>(connection, `STREAM.INFO.${stream}`);
  await api(connection, `STREAM.DELETE.${stream}`);
  await api(connection, `STREAM.CREATE.${stream}`, config);
  await other.put("new", bytes("1"), { revision: 0 });
  await assertRejects(() => bucket.list(), StoreUnavailableError, "lag behind");
  assertEquals((await bucket.list()).map(({ key }) => key), ["new"]);
  assertEquals([await nextOf(watch), await nextOf(watch)].sort(), ["new=1", "old=gone"]);
  await bucket.close();
  await other.close();
});

natsTest("a list from a replica that is behind is asked for again", async (scene) => {
  const proxy = scene.proxy();
  const connection = await scene.connect({ servers: proxy.url });
  const bucket = await Bucket.open(connection, { bucket: scene.namespace, replicas: 1 });
  await bucket.put("key.a", bytes("a"), { revision: 0 });
  await bucket.put("key.b", bytes("b"), { revision: 0 });
  // The first answer is as it would have been before the last write; a status ends each.
  let answers = 0;
  proxy.onServerFrame = ({ headers, raw }) => {
    if (!headers?.has("Nats-Num-Pending") || answers > 0) return "pass";
    if (headers.get("Nats-Sequence") === "2") return "drop";
    const old = decoder.decode(raw).replace("Num-Pending: 1", "Num-Pending: 0")
      .replace("Last-Sequence: 2", "Last-Sequence: 1").replace(
        "UpTo-Sequence: 2",
        "UpTo-Sequence: 1",
      );
    raw.set(bytes(old));
    if (headers.has("Status")) answers++;
    return "pass";
  };
  assertEquals((await bucket.list("key.*")).map(({ key }) => key), ["key.a", "key.b"]);
  assertEquals(answers, 1);
  await bucket.close();
});

Deno.test("no two namespaces share the form that a bucket has in its name", () => {
  const namespaces = ["a_b", "a=b", "a.b", "a__b", "a_2Eb", "a-b", "ü", "_", "__", "a_", "a"];
  const tokens = namespaces.map((namespace) => bucketToken(encodeToken(namespace)));
  assertEquals(new Set(tokens).size, namespaces.length);
  for (const token of tokens) assert(/^[-\w]+$/.test(token), token);
});
