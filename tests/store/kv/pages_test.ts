import { assertEquals } from "@std/assert";
import { Bucket } from "../../../store/kv/bucket.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

/** More than the server puts in one answer. */
const KEYS = 2_500;

async function openBucket(scene: Scene): Promise<Bucket> {
  return await Bucket.open(await scene.connect(), { bucket: scene.namespace });
}

natsTest("list() and watch() take any number of keys and of markers", async (scene) => {
  const bucket = await openBucket(scene);
  const names = Array.from({ length: KEYS }, (_, at) => `key.${at}`);
  const written = await Promise.all(
    names.map((name) => bucket.put(name, new TextEncoder().encode(name), { revision: 0 })),
  );
  const isLeft = (at: number) => at % 10 === 0;
  await Promise.all(written.map((outcome, at) => {
    if (outcome.kind !== "stored") throw new Error(outcome.kind);
    return isLeft(at) || bucket.remove(names[at]!, outcome.first);
  }));
  const left = names.filter((_, at) => isLeft(at)).sort();
  const listed = await bucket.list("key.*");
  assertEquals(listed.map(({ key }) => key).sort(), left);
  assertEquals(new TextDecoder().decode(listed[0]!.value), listed[0]!.key);
  const watch = bucket.watch({ filter: "key.*" });
  const seen: string[] = [];
  while (seen.length < left.length) seen.push((await watch.next()).value!.key);
  assertEquals(seen.sort(), left);
  await bucket.remove(listed[0]!.key, listed[0]!.revision);
  const { key, value } = (await watch.next()).value!;
  assertEquals([key, value], [listed[0]!.key, undefined]);
  await watch.return();
  await bucket.close();
});

natsTest(
  "list() takes any number of keys from a server that takes small messages only",
  async (scene) => {
    const bucket = await openBucket(scene);
    const value = new Uint8Array(6_000); // so that the answer takes pages
    const names = Array.from({ length: 1_000 }, (_, at) => `key.${at}`);
    await Promise.all(names.map((name) => bucket.put(name, value, { revision: 0 })));
    assertEquals((await bucket.list()).map(({ key }) => key).sort(), names.sort());
    await bucket.close();
  },
  { server: { config: "max_payload: 8192" } },
);

natsTest("list() takes values that are too large for one answer", async (scene) => {
  const bucket = await openBucket(scene);
  const value = new Uint8Array(200_000).fill(65);
  for (let at = 0; at < 60; at++) await bucket.put(`key.${at}`, value, { revision: 0 });
  const listed = await bucket.list();
  assertEquals(listed.length, 60);
  assertEquals(listed.every((entry) => entry.value!.length === value.length), true);
  await bucket.close();
});
