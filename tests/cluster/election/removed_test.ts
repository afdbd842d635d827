import { assert, assertEquals } from "@std/assert";
import { headers, type NatsConnection } from "@nats-io/nats-core";
import { clusterBucket } from "../../../cluster/subjects.ts";
import { endOf, open, openBucket, renewals, SHORT } from "./bed.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";

/** Removes the key as operators do, to force an election. */
type Removal = (connection: NatsConnection, bucket: string) => Promise<unknown>;

const marked = (operation: string): Removal => async (connection, bucket) => {
  const fields = headers();
  fields.set("KV-Operation", operation);
  if (operation === "PURGE") fields.set("Nats-Rollup", "sub");
  connection.publish(`$KV.${bucket}.leader`, "", { headers: fields });
  await connection.flush();
};

const purged = (filter?: string): Removal => async (connection, bucket) => {
  const query = filter === undefined ? {} : { filter: `$KV.${bucket}.${filter}` };
  const subject = `$JS.API.STREAM.PURGE.KV_${bucket}`;
  const { success } = (await connection.request(subject, JSON.stringify(query))).json<
    { success: boolean }
  >();
  assert(success);
};

const REMOVALS: Readonly<Record<string, Removal>> = {
  "nats kv del": marked("DEL"),
  "nats kv purge": marked("PURGE"),
  "a purge of its subject": purged("leader"),
  "a purge of the bucket": purged(),
};

/** Renews late, so that a removal is not noticed for long. */
const LATE = { lease: 4_000, renew: 1_500, margin: 400, attempt: 500 };

/** Removes the key of a leader; gives how long both are valid at once, as the candidate sees it. */
async function contest(scene: Scene, remove: Removal, isWatching: boolean): Promise<void> {
  const connection = await scene.connect();
  const one = await open(scene, "a", LATE);
  const two = await open(scene, "b", LATE);
  const first = await one.campaign();
  const bucket = await openBucket(scene);
  // One that comes later has nothing but the age of the bucket.
  while (!isWatching && await bucket.age() < LATE.lease) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  let next = isWatching ? two.campaign() : undefined;
  await renewals(bucket, 1);
  await remove(connection, clusterBucket(scene.namespace));
  const removedAt = performance.now();
  next ??= two.campaign();
  const second = await next;
  const took = performance.now() - removedAt;
  assertEquals([first.validFor, second.validFor > 0, first.signal.aborted], [0, true, true]);
  assert(second.term > first.term);
  assert(took < 2 * LATE.lease, `it took ${took} ms`);
  await bucket.close();
  await one[Symbol.asyncDispose]();
  await two[Symbol.asyncDispose]();
}

for (const [name, remove] of Object.entries(REMOVALS)) {
  for (const isWatching of name === "a purge of the bucket" ? [true, false] : [true]) {
    const who = isWatching ? "a candidate that watches" : "a candidate that comes later";
    natsTest(`one lease at most is valid after ${name}, with ${who}`, async (scene) => {
      await contest(scene, remove, isWatching);
    });
  }
}

natsTest(
  "one lease at most is valid after its key was overwritten by something that expires",
  async (scene) => {
    const overwritten: Removal = async (connection, bucket) => {
      const fields = headers();
      fields.set("Nats-TTL", "1s");
      connection.publish(`$KV.${bucket}.leader`, "{}", { headers: fields });
      await connection.flush();
    };
    await contest(scene, overwritten, true);
  },
);

natsTest(
  "a leader whose key was removed lets the others take it as soon as it notices",
  async (scene) => {
    const options = { lease: 60_000, renew: 300, margin: 1_000, attempt: 300 };
    const [one, two] = [await open(scene, "a", options), await open(scene, "b", options)];
    const first = await one.campaign();
    const next = two.campaign();
    await marked("DEL")(await scene.connect(), clusterBucket(scene.namespace));
    assertEquals((await endOf(first)).reason, "deposed");
    const begun = performance.now();
    await next;
    assert(performance.now() - begun < 10_000, "it waited for the lease to end");
    await one[Symbol.asyncDispose]();
    await two[Symbol.asyncDispose]();
  },
);

natsTest("an expired lease, a resigned one and a first one are not waited out", async (scene) => {
  const one = await open(scene, "a", SHORT);
  const begun = performance.now();
  const first = await one.campaign();
  await first.resign();
  await (await one.campaign()).resign();
  assert(performance.now() - begun < SHORT.lease);
  await one[Symbol.asyncDispose]();
});
