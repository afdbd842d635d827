import { assert, assertEquals } from "@std/assert";
import { handledIn } from "../../../store/fencing/fenced_store.ts";
import { fact } from "../../support/fault.ts";
import { claimAll, nodeOf, saveApart } from "./bed.ts";
import { clusterTest, natsTest } from "../../support/fixture.ts";

natsTest("Where commands' events are is found from a message on", async (scene) => {
  await using a = await nodeOf(scene, "a");
  await claimAll(a, 1);
  const handled = handledIn(a.store);
  const save = async (id: string, ...events: ReturnType<typeof fact>[]) =>
    (await a.store.forCommand(id).saveEvents(events)).sequence;
  const first = await save("first", fact("order-1", 1), fact("order-1", 2));
  const second = await save("second", fact("order-1", 3));
  await a.store.saveEvent(fact("order-1", 4));
  const places = async (after: number) => {
    const { receipts, since } = await handled.receipts("order-1", after);
    return { since, at: [...receipts].map(([id, { sequence }]) => [id, sequence]) };
  };
  assertEquals(await places(0), { since: 0, at: [["first", first], ["second", second]] });
  // What is in the same message as the position was stored with it, so it is no outcome of it.
  assertEquals(await places(first - 1), { since: first - 1, at: [["second", second]] });
  assertEquals(await places(first - 2), {
    since: first - 2,
    at: [["first", first], ["second", second]],
  });
  assertEquals(await places(first), { since: first, at: [["second", second]] });
  assertEquals(await places(second), { since: second, at: [] });
  assertEquals(await places(1_000_000), { since: 1_000_000, at: [] });
  assertEquals((await handled.receipts("order-2", 0)).receipts.size, 0);
  const versions = async (id: string, after: number) =>
    (await handled.events("order-1", id, after)).map(({ version }) => version);
  assertEquals(await versions("first", 0), [1, 2]);
  assertEquals(await versions("first", first), []);
  assertEquals(await versions("second", first), [3]);
});

natsTest("Of more messages behind a position only the last 1,000 count", async (scene) => {
  await using a = await nodeOf(scene, "a");
  await claimAll(a, 1);
  const handled = handledIn(a.store);
  const { sequence } = await a.store.forCommand("begun").saveEvent(fact("order-1", 1));
  await a.store.forCommand("old").saveEvent(fact("order-1", 2));
  await saveApart(a.store.forCommand("new"), "order-1", 999, 3);
  const all = await handled.receipts("order-1", sequence);
  assertEquals([[...all.receipts.keys()], all.since], [["old", "new"], sequence]);
  await a.store.forCommand("newest").saveEvent(fact("order-1", 1002));
  const last = await handled.receipts("order-1", sequence);
  // All that counts is known: nothing more would be found from further back.
  assertEquals([[...last.receipts.keys()], last.since], [["new", "newest"], 0]);
});

natsTest("A landmark exists only where its event is", async (scene) => {
  await using a = await nodeOf(scene, "a");
  await claimAll(a, 1);
  const handled = handledIn(a.store);
  const events = [fact("order-1", 1), fact("order-2", 1), fact("order-2", 2)];
  const [first, second, third] = events.map(({ id }) => id) as [string, string, string];
  const { sequence } = await a.store.saveEvents(events);
  // Each of the two actors has a message; the second one's has two events.
  const places = { [first]: sequence - 257, [second]: sequence - 1, [third]: sequence };
  for (const [id, place] of Object.entries(places)) {
    assert(await handled.holds({ sequence: place, id }));
    for (const other of [...Object.values(places), sequence + 1, sequence + 100 * 256, 256, 1, 0]) {
      // 256 is the genesis.
      if (other !== place) assert(!await handled.holds({ sequence: other, id }), `${other}`);
    }
  }
});

clusterTest("An actor without new events costs no page of events", async (scene) => {
  await using a = await nodeOf(scene, "a", { replicas: 3 });
  await claimAll(a, 1);
  const events = [...Array(50).keys()].map((at) => fact("order-1", at + 1));
  const { sequence } = await a.store.forCommand("c-1").saveEvents(events);
  const proxy = scene.proxy();
  await using b = await nodeOf(scene, "b", {
    connection: await scene.connect({ servers: proxy.url }),
  });
  await b.store.claim(b.store.shardOf("order-1"), 2);
  const requests: string[] = [];
  proxy.onClientFrame = ({ verb, payload }) => {
    if (verb.endsWith("PUB")) requests.push(new TextDecoder().decode(payload));
    return "pass";
  };
  const { receipts } = await handledIn(b.store).receipts("order-1", sequence);
  assertEquals(receipts.size, 0);
  // A handler that asks for the version then has it.
  assertEquals(await b.store.getLatestVersion("order-1"), 50);
  // The leader's answer, and the proof that it is no older than the claim; at the same time.
  const isEnd = (query: string) => /^\{"(last_by_subj|multi_last)"/.test(query);
  assertEquals([requests.length, requests.filter(isEnd).length], [2, 2]);
});
