import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Election } from "../../../cluster/election/election.ts";
import { isAetherError } from "../../../store/errors.ts";
import { endOf, open, openBucket, renewals, SHORT } from "./bed.ts";
import { natsTest } from "../../support/fixture.ts";

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

natsTest("Another candidate takes a resigned lease at once, with a greater term", async (scene) => {
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
  assertThrows(() => first.assertValid(), Error, "the node gave the lease up; campaign again");
  await first.resign();
  assertEquals(await one.leader(), { nodeId: "b", term: second.term });
  await one[Symbol.asyncDispose]();
  await two[Symbol.asyncDispose]();
});

natsTest(
  "Another candidate takes the lease of a holder that is gone, once it has ended",
  async (scene) => {
    const connection = await scene.connect();
    const gone = await Election.open(connection, {
      namespace: scene.namespace,
      nodeId: "a",
      ...SHORT,
    });
    const two = await open(scene, "b", SHORT);
    const first = await gone.campaign();
    const next = two.campaign({ signal: AbortSignal.timeout(30_000) });
    const bucket = await openBucket(scene);
    await renewals(bucket, 1);
    await bucket.close();
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
  },
);

natsTest("Among five candidates one leads at a time, and terms only grow", async (scene) => {
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

natsTest(
  "A campaign that was called off gives back the lease that it may have taken",
  async (scene) => {
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
  },
);

natsTest("changes() yields changes that were missed while cut off", async (scene) => {
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

natsTest("disposing waits until a claim without an answer is taken back", async (scene) => {
  const { namespace } = scene;
  const proxy = scene.proxy();
  const behind = await scene.connect({ servers: proxy.url });
  const options = { namespace, lease: 10_000, attempt: 1_000 };
  const a = await Election.open(behind, { ...options, nodeId: "a" });
  await using b = await Election.open(await scene.connect(), { ...options, nodeId: "b" });
  proxy.eatAcks(1);
  // The server answers later requests slowly, so that the candidate takes its claim back slowly.
  proxy.onServerFrame = async ({ verb }) => {
    if (verb.endsWith("MSG")) await new Promise((resolve) => setTimeout(resolve, 300));
    return "pass" as const;
  };
  const campaign = a.campaign();
  campaign.catch(() => {});
  while (await b.leader() === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
  await new Promise((resolve) => setTimeout(resolve, 1_050));
  await a[Symbol.asyncDispose]();
  assertEquals(await b.leader(), undefined);
  await assertRejects(() => campaign);
});

natsTest("an incarnation that is no token is refused", async (scene) => {
  const connection = await scene.connect();
  for (const incarnation of ["", 7]) {
    const options = { namespace: scene.namespace, nodeId: "a", incarnation } as never;
    await assertRejects(() => Election.open(connection, options), RangeError, "incarnation");
  }
});
