import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Election, type ElectionOptions } from "../cluster/election.ts";
import type { Lease } from "../cluster/lease.ts";
import { clusterBucket } from "../cluster/names.ts";
import { Bucket } from "../store/bucket.ts";
import { isAetherError, type LeaseLostError } from "../store/errors.ts";
import { natsTest, type Scene } from "./fixture.ts";
import { publishAck } from "./nats_frames.ts";

/** Short, yet long enough for a machine under load: two renewals may be late. */
const SHORT = { lease: 3000, renew: 500, margin: 200, attempt: 500 };

async function open(
  scene: Scene,
  nodeId: string,
  { url, ...options }: Partial<ElectionOptions> & { readonly url?: string } = {},
): Promise<Election> {
  const connection = await scene.connect(url === undefined ? {} : { servers: url });
  const { namespace } = scene;
  return scene.use(await Election.open(connection, { namespace, nodeId, ...options }));
}

async function openBucket(scene: Scene): Promise<Bucket> {
  const bucket = await Bucket.open(await scene.connect(), {
    bucket: clusterBucket(scene.namespace),
  });
  scene.use({ [Symbol.asyncDispose]: () => bucket.close() });
  return bucket;
}

/** Resolves when the lease is over; gives why. */
async function endOf({ signal }: Lease): Promise<LeaseLostError> {
  if (!signal.aborted) {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  }
  assert(isAetherError(signal.reason, "LeaseLostError"), String(signal.reason));
  return signal.reason;
}

/** Resolves when `count` more renewals stand in the key. */
async function renewals(bucket: Bucket, count: number): Promise<void> {
  const known = [await bucket.get("leader")];
  for await (const { value } of bucket.watch({ filter: "leader", known })) {
    assert(value !== undefined, "The lease is gone");
    if (--count === 0) return;
  }
}

natsTest("campaign() takes the lease, and renewals keep its term", async (scene) => {
  const election = await open(scene, "a", { ...SHORT, incarnation: "a-1" });
  assertEquals(await election.leader(), undefined);
  const lease = await election.campaign();
  const leader = { nodeId: "a", term: lease.term, incarnation: "a-1" };
  assertEquals(await election.leader(), leader);
  const bucket = await openBucket(scene);
  assertEquals((await bucket.get("leader")).revision, lease.term);
  await renewals(bucket, 3);
  assertEquals(await election.leader(), leader);
  lease.assertValid();
  assert(lease.validFor > 0 && lease.validFor <= SHORT.lease - SHORT.margin);
  assertEquals(election.lease, lease);
  await bucket.close();
  await election[Symbol.asyncDispose]();
  assertEquals((await endOf(lease)).reason, "resigned");
});

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

natsTest("A resigned lease is taken over at once, with a greater term", async (scene) => {
  const options = { lease: 60_000 };
  const [one, two] = [await open(scene, "a", options), await open(scene, "b", options)];
  const first = await one.campaign();
  const start = performance.now();
  const next = two.campaign();
  const seen = [];
  for await (const leader of two.changes()) {
    seen.push(leader?.nodeId);
    if (leader?.nodeId === "b") break;
    if (seen.length === 1) await first.resign();
  }
  const second = await next;
  assert(performance.now() < start + 30_000, "It has waited for the lease to end by itself");
  assertEquals(seen.filter((nodeId) => nodeId !== undefined), ["a", "b"]);
  assert(second.term > first.term);
  assertEquals((await endOf(first)).reason, "resigned");
  assertThrows(() => first.assertValid(), Error, "the lease was given up; campaign again");
  await first.resign();
  assertEquals(await one.leader(), { nodeId: "b", term: second.term });
  await one[Symbol.asyncDispose]();
  await two[Symbol.asyncDispose]();
});

natsTest("The lease of a holder that is gone is taken when it has ended", async (scene) => {
  const connection = await scene.connect();
  const gone = await Election.open(connection, {
    namespace: scene.namespace,
    nodeId: "a",
    ...SHORT,
  });
  const two = await open(scene, "b", SHORT);
  const first = await gone.campaign();
  const next = two.campaign();
  await connection.close();
  const order = await Promise.all([
    endOf(first).then(() => performance.now()),
    next.then(() => performance.now()),
  ]);
  assert(order[0] < order[1], "The lease was taken while it was valid");
  assertEquals((await endOf(first)).reason, "expired");
  assert((await next).term > first.term);
  await gone[Symbol.asyncDispose]();
  await two[Symbol.asyncDispose]();
});

natsTest("Of five candidates one leads at a time, and terms only grow", async (scene) => {
  const elections = await Promise.all([..."abcde"].map((nodeId) => open(scene, nodeId)));
  const terms: number[] = [];
  let leading = 0;
  await Promise.all(elections.map(async (election) => {
    for (let round = 0; round < 6; round++) {
      await using lease = await election.campaign();
      assertEquals(++leading, 1);
      terms.push(lease.term);
      assertEquals((await election.leader())?.nodeId, election.nodeId);
      lease.assertValid();
      leading--;
    }
  }));
  assertEquals(terms.length, 30);
  assertEquals(terms, [...new Set(terms)].sort((one, two) => one - two));
  for (const election of elections) await election[Symbol.asyncDispose]();
});

natsTest("A lease whose acknowledgement was lost is held all the same", async (scene) => {
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
  "resign() says when the server does not answer, and can be called again",
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

natsTest("A holder that is cut off knows that it is over before another leads", async (scene) => {
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
});

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

natsTest("assertValid() tells the truth though the event loop was blocked", async (scene) => {
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

natsTest("A lease that somebody else writes over is lost at the next renewal", async (scene) => {
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
    // The key still stands, and nobody leads by it: its writer may take it again.
    const second = await election.campaign();
    assert(second.term > first.term);
    now.wall += 13_999; // as after a sleep, in which the monotonic clock stands still
    second.assertValid();
    now.wall += 1;
    assertThrows(() => second.assertValid());
    const third = await election.campaign();
    now.wall -= 3_600_000;
    assertEquals(third.validFor, 14_000);
    await election[Symbol.asyncDispose]();
  },
);

natsTest("Time that an acknowledgement takes is not added to the lease", async (scene) => {
  const now = { monotonic: 0, wall: 0 };
  const clock = { monotonic: () => now.monotonic, wall: () => now.wall };
  const proxy = scene.proxy();
  const election = await open(scene, "a", { renew: 200, clock, url: proxy.url });
  let acks = 0;
  proxy.onServerFrame = (frame) => {
    if (publishAck(frame) !== undefined) now.monotonic += ++acks === 1 ? 500 : 3000;
    return "pass";
  };
  const lease = await election.campaign();
  assertEquals(lease.validFor, 13_500);
  // The renewal is sent at 500, and its acknowledgement comes at 3500.
  const deadline = performance.now() + 10_000;
  while (lease.validFor !== 11_000 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  assertEquals([lease.validFor, now.monotonic, acks], [11_000, 3500, 2]);
  proxy.onServerFrame = () => "pass";
  await election[Symbol.asyncDispose]();
});

natsTest("A campaign can be called off, and leaves nothing behind", async (scene) => {
  const [one, two] = [await open(scene, "a"), await open(scene, "b")];
  const lease = await one.campaign();
  const ends = new AbortController();
  const waiting = two.campaign({ signal: ends.signal });
  await assertRejects(() => two.campaign(), TypeError, "a campaign is under way");
  await assertRejects(() => one.campaign(), TypeError, "the lease is held here");
  ends.abort(new Error("enough"));
  await assertRejects(() => waiting, Error, "enough");
  await assertRejects(() => two.campaign({ signal: ends.signal }), Error, "enough");
  const next = two.campaign();
  await lease.resign();
  assertEquals((await next).nodeId, "b");
  await one[Symbol.asyncDispose]();
  await two[Symbol.asyncDispose]();
});

natsTest("What a campaign may have taken when it was called off is given back", async (scene) => {
  const proxy = scene.proxy();
  const options = { lease: 60_000 };
  const one = await open(scene, "a", { ...options, url: proxy.url });
  const two = await open(scene, "b", options);
  const ends = new AbortController();
  const meal = proxy.eatAcks(1);
  const campaign = one.campaign({ signal: ends.signal });
  await meal.done;
  ends.abort(new Error("enough"));
  const start = performance.now();
  const next = two.campaign();
  await assertRejects(() => campaign, Error, "enough");
  const lease = await next;
  assert(performance.now() < start + 30_000, "It has waited for the lease to end by itself");
  assertEquals((await two.leader())?.term, lease.term);
  await one[Symbol.asyncDispose]();
  await two[Symbol.asyncDispose]();
});

natsTest("changes() finds what was missed while cut off", async (scene) => {
  const proxy = scene.proxy();
  const observer = await open(scene, "observer", { url: proxy.url });
  const [one, two] = [await open(scene, "a"), await open(scene, "b")];
  const changes = observer.changes();
  assertEquals((await changes.next()).value, undefined);
  const first = await one.campaign();
  assertEquals((await changes.next()).value, { nodeId: "a", term: first.term });
  proxy.refusing = true;
  proxy.cut();
  await first.resign();
  const second = await two.campaign();
  proxy.refusing = false;
  let news = await changes.next();
  while (!news.done && news.value === undefined) news = await changes.next();
  assertEquals(news.value, { nodeId: "b", term: second.term });
  const end = changes.next();
  await observer[Symbol.asyncDispose]();
  assertEquals((await end).done, true);
  await one[Symbol.asyncDispose]();
  await two[Symbol.asyncDispose]();
});

natsTest("A closed election ends its campaign and refuses another", async (scene) => {
  const [one, two] = [await open(scene, "a"), await open(scene, "b")];
  await one.campaign();
  const campaign = two.campaign();
  const rejected = assertRejects(() => campaign, Error, "the election is closed");
  await two[Symbol.asyncDispose]();
  await rejected;
  await assertRejects(() => two.campaign(), Error, "the election is closed");
  await assertRejects(() => two.leader(), Error, "the election is closed");
  for await (const _ of two.changes()) throw new Error("There is nothing to tell");
  await two[Symbol.asyncDispose]();
  await one[Symbol.asyncDispose]();
});

natsTest("A campaign on a connection that closes rejects", async (scene) => {
  const one = await open(scene, "a");
  await one.campaign();
  const connection = await scene.connect();
  const two = await Election.open(connection, { namespace: scene.namespace, nodeId: "b" });
  const campaign = two.campaign();
  const rejected = assertRejects(() => campaign);
  await connection.close();
  assert(isAetherError(await rejected, "StoreUnavailableError"));
  await two[Symbol.asyncDispose]();
  await one[Symbol.asyncDispose]();
});

natsTest("Node ids and namespaces may be any strings", async (scene) => {
  const connection = await scene.connect();
  for (const name of ["a.b", "*", ">", 'ü "x"', "a_b=c"]) {
    const options = { namespace: `${scene.namespace} ${name}`, nodeId: name };
    await using election = await Election.open(connection, options);
    await using lease = await election.campaign();
    assertEquals(await election.leader(), { nodeId: name, term: lease.term });
  }
  await assertRejects(
    () => Election.open(connection, { nodeId: "" }),
    RangeError,
    'nodeId "" is empty',
  );
});
