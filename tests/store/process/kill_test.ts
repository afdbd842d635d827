/**
 * Reactors and processes whose programs are killed and frozen, each in a process of its own.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { execute, JetStreamEventStore } from "../../../mod.ts";
import { Child } from "../../support/child.ts";
import { natsTest, type Scene } from "../../support/fixture.ts";
import { place, Stock, typesOf, until } from "./bed.ts";

const STOCK = "stock-pen";
const SCRIPT = new URL("./worker.ts", import.meta.url);

/** Kills and freezes the programs that run `what` while orders come; each takes one piece. */
async function storm(
  scene: Scene,
  what: "reactor" | "manager",
): Promise<{ store: JetStreamEventStore; placed: number }> {
  const { namespace, server: { url } } = scene;
  const start = () => new Child(SCRIPT, [url, namespace, what]);
  const store = await JetStreamEventStore.open(await scene.connect(), { namespace });
  await execute(store, STOCK, new Stock(), { add: 10_000 });
  const count = async () => (await typesOf(store, STOCK)).length - 1;
  let placed = 0;
  const more = async (orders: number) => {
    for (let at = 0; at < orders; at++) await place(store, `order-${placed++}`);
  };
  await more(50);
  for (let round = 0; round < 3; round++) {
    const child = start();
    await child.line();
    await more(20); // The kill falls amid the handling of these.
    await child.kill();
  }
  const frozen = start();
  await frozen.line();
  await more(20);
  await frozen.stop();
  const next = start();
  await more(20);
  await until(async () => await count() >= placed);
  frozen.resume(); // It believes that it still runs its partitions.
  await more(10);
  await until(async () => await count() >= placed);
  await frozen.end();
  await next.end();
  assertEquals(await count(), placed);
  return { store, placed };
}

natsTest("a command of a reactor has its events once over kill -9 and SIGSTOP", async (scene) => {
  const { store } = await storm(scene, "reactor");
  await store[Symbol.asyncDispose]();
}, { leakCheck: false });

natsTest("processes take and send all once over kill -9 and SIGSTOP", async (scene) => {
  const { store, placed } = await storm(scene, "manager");
  for (let at = 0; at < placed; at++) {
    const types = await typesOf(store, `process:order-${at}`);
    const payments = await typesOf(store, `payment-${at}`);
    // What the last program had not settled when it ended is open, and not doubled.
    assertEquals(
      types.filter((type) => type === "CommandIssued").length,
      2 - Number(types.length < 5),
    );
    assertEquals(types.slice(0, 5), WHOLE.slice(0, Math.min(5, types.length)));
    assertEquals(payments.length <= 1, true);
  }
  await store[Symbol.asyncDispose]();
}, { leakCheck: false });

const WHOLE = ["Became", "CommandIssued", "CommandSettled", "Became", "CommandIssued"];
