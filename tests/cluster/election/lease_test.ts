import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { isAetherError } from "../../../store/errors.ts";
import { endOf, open, openBucket, renewals, SHORT, until } from "./bed.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { publishAck } from "../../support/nats_frames.ts";

natsTest("A lease outlives its first time by its renewals", async (scene) => {
  const election = await open(scene, "a", { lease: 2000, renew: 300, attempt: 300 });
  const lease = await election.campaign();
  const bucket = await openBucket(scene);
  await renewals(bucket, 10);
  lease.assertValid();
  assertEquals((await election.leader())?.term, lease.term);
  await bucket.close();
  await election[Symbol.asyncDispose]();
});

natsTest("A lease whose acknowledgement was lost is still held", async (scene) => {
  const proxy = scene.proxy();
  const election = await open(scene, "a", { attempt: 300, url: proxy.url });
  const meal = proxy.eatAcks(1);
  const lease = await election.campaign();
  await meal.done;
  lease.assertValid();
  assertEquals(await election.leader(), { nodeId: "a", term: lease.term });
  await election[Symbol.asyncDispose]();
});

natsTest("Renewals whose acknowledgements are all lost still count", async (scene) => {
  const proxy = scene.proxy();
  const election = await open(scene, "a", { ...SHORT, attempt: 200, url: proxy.url });
  const lease = await election.campaign();
  const meal = proxy.eatAcksWhere(() => true);
  const bucket = await openBucket(scene);
  await renewals(bucket, 8);
  assert(meal.eaten.length >= 8);
  lease.assertValid();
  meal.stop();
  assertEquals((await election.leader())?.term, lease.term);
  await bucket.close();
  await election[Symbol.asyncDispose]();
});

natsTest("A resignation whose acknowledgement is lost frees the lease", async (scene) => {
  const proxy = scene.proxy();
  const election = await open(scene, "a", { attempt: 300, url: proxy.url });
  const lease = await election.campaign();
  const meal = proxy.eatAcks(1);
  await lease.resign();
  await meal.done;
  assertEquals(await election.leader(), undefined);
  await election[Symbol.asyncDispose]();
});

natsTest(
  "resign() throws when the server does not answer, and can be called again",
  async (scene) => {
    const proxy = scene.proxy();
    const election = await open(scene, "a", { attempt: 100, url: proxy.url });
    const lease = await election.campaign();
    proxy.pause();
    const error = await assertRejects(() => lease.resign(), Error, "it ends by itself within 15 s");
    assert(isAetherError(error, "StoreUnavailableError"), String(error));
    assertEquals((await endOf(lease)).reason, "resigned");
    proxy.resume();
    await lease.resign();
    assertEquals(await election.leader(), undefined);
    await election[Symbol.asyncDispose]();
  },
);

natsTest(
  "A holder that is cut off knows that its lease is over before another leads",
  async (scene) => {
    const proxy = scene.proxy();
    const cut = await open(scene, "a", { ...SHORT, url: proxy.url });
    const two = await open(scene, "b", SHORT);
    const first = await cut.campaign();
    const next = two.campaign().then((lease) => ({ lease, isOver: first.signal.aborted }));
    proxy.refusing = true;
    proxy.cut();
    const { lease, isOver } = await next;
    assert(isOver, "The one that was cut off still believes in its lease");
    assertEquals((await endOf(first)).reason, "expired");
    assert(lease.term > first.term);
    proxy.refusing = false;
    const again = cut.campaign();
    await lease.resign();
    assert((await again).term > lease.term);
    await cut[Symbol.asyncDispose]();
    await two[Symbol.asyncDispose]();
  },
);

natsTest("A lease that was over is not revived by a late acknowledgement", async (scene) => {
  const proxy = scene.proxy();
  const election = await open(scene, "a", { ...SHORT, url: proxy.url });
  const lease = await election.campaign();
  proxy.pause();
  await endOf(lease);
  proxy.resume();
  const next = await election.campaign();
  assert(next.term > lease.term);
  assertEquals(lease.validFor, 0);
  assertThrows(() => lease.assertValid());
  next.assertValid();
  await election[Symbol.asyncDispose]();
});

natsTest("assertValid() is right even if the event loop was blocked", async (scene) => {
  const election = await open(scene, "a", SHORT);
  const lease = await election.campaign();
  lease.assertValid();
  for (const start = performance.now(); performance.now() < start + SHORT.lease;);
  assert(!lease.signal.aborted, "A blocked event loop cannot have fired the signal");
  assertThrows(() => lease.assertValid(), Error, "no renewal of the lease was acknowledged");
  assert(lease.signal.aborted);
  assertEquals([lease.validFor, election.lease], [0, undefined]);
  await election[Symbol.asyncDispose]();
});

natsTest("A lease that another writer overwrites is lost at the next renewal", async (scene) => {
  const election = await open(scene, "a", SHORT);
  const lease = await election.campaign();
  const bucket = await openBucket(scene);
  const other = new TextEncoder().encode('{"nodeId":"z","nonce":"z.1"}');
  await bucket.update("leader", ({ value }) => value && other);
  assertEquals((await endOf(lease)).reason, "deposed");
  assertEquals((await election.leader())?.nodeId, "z");
  await lease.resign();
  assertEquals((await election.leader())?.nodeId, "z");
  await bucket.close();
  await election[Symbol.asyncDispose]();
});

natsTest(
  "Validity counts from before the last renewal was sent, less the margin",
  async (scene) => {
    const now = { monotonic: 0, wall: 1_000_000 };
    const clock = { monotonic: () => now.monotonic, wall: () => now.wall };
    const election = await open(scene, "a", { clock });
    const first = await election.campaign();
    assertEquals(first.validFor, 14_000);
    now.monotonic = 13_999;
    first.assertValid();
    now.monotonic = 14_000;
    assertThrows(() => first.assertValid());
    // The key still exists, and nobody leads by it: its writer may take it again.
    const second = await election.campaign();
    assert(second.term > first.term);
    now.wall += 13_999; // as after a sleep, during which the monotonic clock stops
    second.assertValid();
    now.wall += 1;
    assertThrows(() => second.assertValid());
    const third = await election.campaign();
    now.wall -= 3_600_000;
    assertEquals(third.validFor, 14_000);
    await election[Symbol.asyncDispose]();
  },
);

/** A candidate whose clock moves only by the time that its acknowledgements take in turn. */
async function slowed(scene: Scene, ...times: readonly number[]) {
  const now = { monotonic: 0, wall: 0 };
  const clock = { monotonic: () => now.monotonic, wall: () => now.wall };
  const proxy = scene.proxy();
  const election = await open(scene, "a", { renew: 200, clock, url: proxy.url });
  const left = [...times];
  proxy.onServerFrame = (frame) => {
    if (publishAck(frame) !== undefined) now.monotonic += left.shift() ?? 0;
    return "pass";
  };
  return { election, lease: await election.campaign() };
}

natsTest("The time an acknowledgement takes is not added to the lease", async (scene) => {
  const { election, lease } = await slowed(scene, 500, 3000);
  assertEquals(lease.validFor, 13_500);
  // The renewal is sent at 500, and its acknowledgement comes at 3500; so it is from then on.
  await until(() => lease.validFor === 11_000);
  await election[Symbol.asyncDispose]();
});

natsTest(
  "A renewal that is acknowledged after the lease's end does not revive it",
  async (scene) => {
    // Valid until 14,000; a renewal sent at 500 would make that 14,500, and is heard of at 14,200.
    const { election, lease } = await slowed(scene, 500, 13_700);
    await until(() => lease.signal.aborted || lease.validFor === 300);
    assertEquals([lease.signal.aborted, lease.validFor], [true, 0]);
    assertThrows(() => lease.assertValid());
    assert((await election.campaign()).term > lease.term);
    await election[Symbol.asyncDispose]();
  },
);

natsTest(
  "A candidate whose lease is over waits until its key has expired, and does not write over it",
  async (scene) => {
    let ahead = 0;
    const clock = { monotonic: () => performance.now() + ahead, wall: () => Date.now() };
    const election = await open(scene, "a", { ...SHORT, clock });
    const lease = await election.campaign();
    const bucket = await openBucket(scene);
    await renewals(bucket, 2);
    ahead = SHORT.lease; // Its time is over here, and not on the server.
    assertThrows(() => lease.assertValid());
    const { revision, value } = await bucket.get("leader");
    assert(value !== undefined);
    const next = await election.campaign();
    // The marker of the expiry is between.
    assertEquals(next.term, revision + 2);
    await bucket.close();
    await election[Symbol.asyncDispose]();
  },
);
