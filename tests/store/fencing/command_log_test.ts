import { assertEquals } from "@std/assert";
import { commandLogOf } from "../../../store/command_log.ts";
import { streamSequenceOf } from "../../../store/format/position.ts";
import { fact } from "../../support/fault.ts";
import { claimAll, nodeOf } from "./bed.ts";
import { clusterTest } from "../../support/fixture.ts";

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
  const { found } = await commandLogOf(b.store)!.search("order-1", streamSequenceOf(sequence));
  assertEquals(found.size, 0);
  // A handler that asks for the version then has it.
  assertEquals(await b.store.getLatestVersion("order-1"), 50);
  // The leader's answer, and the proof that it is no older than the claim; at the same time.
  const isEnd = (query: string) => /^\{"(last_by_subj|multi_last)"/.test(query);
  assertEquals([requests.length, requests.filter(isEnd).length], [2, 2]);
});
